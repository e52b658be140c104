"""Stage `segment`: what is learned from the marts, written where dbt reads it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from insight.database import DatabaseEndpoint, connect
from insight.errors import StageError
from insight.stages import anomalies
from insight.stages.context import Context

if TYPE_CHECKING:
    from ml_pipeline.run import SegmentationReport

# The analyses import what they need when they run: scikit-learn and scipy take seconds, which
# other commands need not wait.


def run(context: Context) -> str:
    """Run every analysis; each is quick when nothing changed since its last run."""
    origin = "generated" if _is_generated(context.services.database) else "own"
    analyses: tuple[Callable[[Context, str], str], ...] = (
        _segments,
        _till_clusters,
        _lifetime_value,
        _associations,
        _anomalies,
    )
    return "\n".join(analysis(context, origin) for analysis in analyses)


def _segments(context: Context, origin: str) -> str:
    from ml_pipeline.run import segment_customers

    context.tell("clustering")
    count = context.settings.segment_count
    report = segment_customers(
        context.services.database,
        seed_path=context.settings.dbt_project_dir / "seeds" / "customer_segments.csv",
        model_dir=context.settings.model_dir,
        origin=origin,
        k=None if count == "rule" else count,
        as_of=context.settings.as_of_date,
        segments_in=context.settings.segments_in,
    )
    return _summary(report)


def _summary(report: "SegmentationReport") -> str:
    """How many customers, where their labels lie, what has drifted."""
    if report.skipped_reason:
        return f"skipped: {report.skipped_reason}"
    parts = [f"{report.customers:,} customers in {len(report.segments)} segments"]
    if report.labels_in == "table":
        parts.append("kept in ml.customer_segments")
    advice = report.drift.advice() if report.drift else {}
    if drifted := [name for name, word in advice.items() if word == "act"]:
        parts.append(f"drift in {', '.join(drifted)}")
    parts += ["unchanged"] * report.unchanged
    return ", ".join(parts)


def _till_clusters(context: Context, _origin: str) -> str:
    from ml_pipeline.till_run import cluster_till_customers

    context.tell("till customers")
    return cluster_till_customers(
        context.services.database, as_of=context.settings.as_of_date
    ).sentence()


def _lifetime_value(context: Context, origin: str) -> str:
    from ml_pipeline.lifetime_value.run import value_customers

    context.tell("customer lifetime value")
    return value_customers(
        context.services.database,
        model_dir=context.settings.model_dir,
        origin=origin,
        horizon_days=context.settings.lifetime_value_days,
        as_of=context.settings.as_of_date,
    ).sentence()


def _associations(context: Context, _origin: str) -> str:
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


def _anomalies(context: Context, _origin: str) -> str:
    return anomalies.find(context)


def _is_generated(database: DatabaseEndpoint) -> bool:
    with connect(database) as connection:
        if connection.execute("select to_regclass('raw.loaded_files')").fetchone() == (None,):
            raise StageError("nothing is loaded yet", next_step="Run: insight run")
        row = connection.execute("select bool_and(generated) from raw.loaded_files").fetchone()
    return row == (True,)
