"""Stage `segment`: customers into segments, exported as the dbt seed."""

from typing import TYPE_CHECKING

from insight.database import DatabaseEndpoint, connect
from insight.errors import StageError
from insight.stages.context import Context

if TYPE_CHECKING:
    from ml_pipeline.run import SegmentationReport


def run(context: Context) -> str:
    """Segment the customers of the marts; quick when nothing changed since the last run."""
    # Here, because importing scikit-learn takes seconds that other commands need not wait.
    from ml_pipeline.run import segment_customers

    origin = "generated" if _is_generated(context.services.database) else "own"
    context.tell("clustering")
    report = segment_customers(
        context.services.database,
        seed_path=context.settings.dbt_project_dir / "seeds" / "customer_segments.csv",
        model_dir=context.settings.model_dir,
        origin=origin,
        k=context.settings.segment_count,
        as_of=context.settings.as_of_date,
    )
    return f"{_summary(report)}, {_find_associations(context)}"


def _summary(report: "SegmentationReport") -> str:
    if report.skipped_reason:
        return f"skipped: {report.skipped_reason}"
    unchanged = ", unchanged" if report.unchanged else ""
    return f"{report.customers:,} customers in {len(report.segments)} segments{unchanged}"


def _find_associations(context: Context) -> str:
    from ml_pipeline.associations.itemsets import Limits
    from ml_pipeline.associations.run import LEAST_COUNT, associate_products
    from ml_pipeline.associations.thresholds import Thresholds

    settings = context.settings
    context.tell("products bought together")
    report = associate_products(
        context.services.database,
        thresholds=Thresholds.of(
            support=settings.association_min_support,
            confidence=settings.association_min_confidence,
            lift=settings.association_min_lift,
            count=LEAST_COUNT,
        ),
        limits=Limits(settings.association_max_products, settings.association_seconds),
        largest_basket=settings.association_max_basket,
        before=settings.as_of_date,
    )
    return report.summary()


def _is_generated(database: DatabaseEndpoint) -> bool:
    with connect(database) as connection:
        if connection.execute("select to_regclass('raw.loaded_files')").fetchone() == (None,):
            raise StageError("nothing is loaded yet", next_step="Run: insight run")
        row = connection.execute("select bool_and(generated) from raw.loaded_files").fetchone()
    return row == (True,)
