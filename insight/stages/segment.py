"""Stage `segment`: customers into segments, written where dbt reads them."""

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
    return "; ".join([_summary(report), _till_clusters(context)])


def _till_clusters(context: Context) -> str:
    from ml_pipeline.till_run import cluster_till_customers

    context.tell("till customers")
    return cluster_till_customers(
        context.services.database, as_of=context.settings.as_of_date
    ).sentence()


def _summary(report: "SegmentationReport") -> str:
    """One line: how many customers, where their labels lie, what has drifted."""
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


def _is_generated(database: DatabaseEndpoint) -> bool:
    with connect(database) as connection:
        if connection.execute("select to_regclass('raw.loaded_files')").fetchone() == (None,):
            raise StageError("nothing is loaded yet", next_step="Run: insight run")
        row = connection.execute("select bool_and(generated) from raw.loaded_files").fetchone()
    return row == (True,)
