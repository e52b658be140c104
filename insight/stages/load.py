"""Stage `load`: the five batch files into schema raw."""

from datetime import datetime
from pathlib import Path

from batch.generator import generate
from batch.loader import LoadReport, load_directory
from insight.database import DatabaseEndpoint, connect
from insight.stages.context import Context
from ml_pipeline.results import create_tables


def run(context: Context) -> str:
    """Load the user's files, or generated ones when there are none."""
    # dbt reads the results of the segmentation: before its first run they are empty, not missing.
    create_tables(context.services.database)
    if context.data is not None:
        return _load(context, context.data, generated=False)
    if not context.generated and (own := _own_data_loaded_at(context.services.database)):
        return f"your files of {own:%Y-%m-%d %H:%M} UTC kept"
    context.tell("generating a year of sales")
    folder = context.settings.data_dir / f"generated-{context.scale}x"
    generate(folder, scale=context.scale)
    return _load(context, folder, generated=True)


def _load(context: Context, folder: Path, *, generated: bool) -> str:
    report = load_directory(
        context.services.database,
        folder,
        max_rejected_share=context.settings.max_rejected_share,
        generated=generated,
        on_progress=lambda source, rows: context.tell(f"{source}: {rows:,} rows"),
    )
    return _summary(report, generated=generated)


def _summary(report: LoadReport, *, generated: bool) -> str:
    rows = sum(source.rows for source in report.sources)
    unchanged = all(source.unchanged for source in report.sources)
    parts = [f"{rows:,} rows in {len(report.sources)} tables" + " of generated data" * generated]
    parts += ["unchanged"] * unchanged
    rejected = sum(source.rejected for source in report.sources)
    if rejected:
        parts.append(f"{rejected:,} bad rows in raw.rejected_rows")
    if report.unknown_customer_sales:
        parts.append(f"warning: {report.unknown_customer_sales:,} sales of unknown customers")
    return ", ".join(parts)


def _own_data_loaded_at(database: DatabaseEndpoint) -> datetime | None:
    """When the user's own files were loaded; None when the warehouse holds generated data."""
    with connect(database) as connection:
        if connection.execute("select to_regclass('raw.loaded_files')").fetchone() == (None,):
            return None
        row = connection.execute(
            "select max(loaded_at) from raw.loaded_files where not generated"
        ).fetchone()
    assert row is not None
    loaded_at = row[0]
    assert loaded_at is None or isinstance(loaded_at, datetime)
    return loaded_at
