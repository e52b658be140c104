"""Stage `segment`: customers into segments, exported as the dbt seed."""

from typing import TYPE_CHECKING

from insight.database import DatabaseEndpoint, connect
from insight.errors import StageError
from insight.stages import anomalies
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
    return f"{_summary(report)}, {anomalies.find(context)}"


def _summary(report: "SegmentationReport") -> str:
    if report.skipped_reason:
        return f"skipped: {report.skipped_reason}"
    unchanged = ", unchanged" if report.unchanged else ""
    return f"{report.customers:,} customers in {len(report.segments)} segments{unchanged}"


def _is_generated(database: DatabaseEndpoint) -> bool:
    with connect(database) as connection:
        if connection.execute("select to_regclass('raw.loaded_files')").fetchone() == (None,):
            raise StageError("nothing is loaded yet", next_step="Run: insight run")
        row = connection.execute("select bool_and(generated) from raw.loaded_files").fetchone()
    return row == (True,)
