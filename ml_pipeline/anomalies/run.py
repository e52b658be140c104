"""Anomalies of revenue from the marts to table, figure and report: the part that reads and writes.

Order of the writes: the rows of ml.revenue_anomalies in one transaction, the figure, the report,
and last the document that says for which data all of it stands. A run that finds that document for
the same data, options and code, and the same rows in the table, scores nothing.
"""

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import psycopg
from pydantic import BaseModel, ConfigDict, ValidationError

from insight.database import Connection, DatabaseEndpoint, connect
from insight.errors import StageError
from ml_pipeline.anomalies.evaluation import Planted, alarm_count, evaluate
from ml_pipeline.anomalies.report import render_report
from ml_pipeline.anomalies.revenue import ProductSeries, product_series, score_products
from ml_pipeline.anomalies.scoring import Options
from ml_pipeline.export import content_of, write_atomically
from ml_pipeline.results import REVENUE_ANOMALIES, replace_rows
from ml_pipeline.segmentation import library_versions

VERSION = 1
NAME = "revenue_anomalies"

_SOLD = """
copy (
    select product_id, window_start, total_revenue as revenue
    from marts.fct_product_metrics_minute
    order by window_start, product_id
) to stdout (format csv, header)
"""
_CONTENT = """
select count(*)::text || ':' || coalesce(sum(hashtextextended(written::text, 0)), 0)::text
from ml.revenue_anomalies as written
"""

KnownPlanted = Callable[[], Sequence[Planted] | None]


class _Stored(BaseModel):
    """What the last run stands for: its input, and the content of the table after it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fingerprint: str
    content: str
    products: int
    minutes: int
    flagged: int
    alarms: int


@dataclass(frozen=True)
class AnomalyReport:
    """Sizes of a run; `alarms` are runs of flagged minutes of a product."""

    products: int
    minutes: int
    flagged: int
    alarms: int
    unchanged: bool


def find_revenue_anomalies(
    database: DatabaseEndpoint,
    *,
    model_dir: Path,
    planted: KnownPlanted = lambda: None,
    options: Options | None = None,
) -> AnomalyReport:
    """Score marts.fct_product_metrics_minute; write ml.revenue_anomalies and a report.

    `planted` tells which anomalies are known to be in the data, None when nobody knows; the report
    holds the result against them. Raises StageError without the mart.
    """
    options = options or Options()
    document = model_dir / f"{NAME}.json"
    with connect(database) as connection:
        sold = _read_sold(connection)
        fingerprint = _fingerprint(sold, options)
        stored = _stored(document)
        if stored and (stored.fingerprint, stored.content) == (fingerprint, _content(connection)):
            sizes = stored.model_dump(exclude={"fingerprint", "content"})
            return AnomalyReport(**sizes, unchanged=True)
        series = product_series(pd.read_csv(io.BytesIO(sold), **_TYPES))  # type: ignore[call-overload]
        _, flagged = score_products(series, options)
        replace_rows(connection, REVENUE_ANOMALIES, flagged.itertuples(index=False, name=None))
        content = _content(connection)
    _write_report(model_dir, series, flagged, planted(), options)
    stored = _Stored(
        fingerprint=fingerprint,
        content=content,
        products=len(series.products),
        minutes=len(series.minutes),
        flagged=len(flagged),
        alarms=alarm_count(flagged),
    )
    write_atomically(document, stored.model_dump_json(indent=1).encode())
    return AnomalyReport(**stored.model_dump(exclude={"fingerprint", "content"}), unchanged=False)


_TYPES = {
    "dtype": {"product_id": str, "revenue": float},
    "parse_dates": ["window_start"],
    "keep_default_na": False,
}


def _read_sold(connection: Connection) -> bytes:
    received = io.BytesIO()
    try:
        with connection.cursor().copy(_SOLD) as copy:
            for block in copy:
                received.write(block)
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
        raise StageError(
            "there is no revenue by minute to look at",
            where="marts.fct_product_metrics_minute",
            next_step="Run `insight transform` first",
        ) from error
    return received.getvalue()


def _fingerprint(sold: bytes, options: Options) -> str:
    digest = hashlib.sha256(sold)
    digest.update(repr((VERSION, asdict(options), library_versions())).encode())
    return digest.hexdigest()


def _content(connection: Connection) -> str:
    row = connection.execute(_CONTENT).fetchone()
    assert row is not None
    return str(row[0])


def _stored(document: Path) -> _Stored | None:
    """The last run; None without one, or when its document cannot be read: it is made anew."""
    content = content_of(document)
    try:
        return _Stored.model_validate_json(content) if content else None
    except ValidationError:
        return None


def _write_report(
    model_dir: Path,
    series: ProductSeries,
    flagged: pd.DataFrame,
    planted: Sequence[Planted] | None,
    options: Options,
) -> None:
    figure = _figure(series, flagged, planted)
    if figure is not None:
        write_atomically(model_dir / f"{NAME}.png", figure)
    results = None if planted is None else evaluate(flagged, series.products, planted)
    text = render_report(series, flagged, results, options, figure=f"{NAME}.png" if figure else "")
    write_atomically(model_dir / f"{NAME}.md", text.encode())


def _figure(
    series: ProductSeries, flagged: pd.DataFrame, planted: Sequence[Planted] | None
) -> bytes | None:
    """A picture of the flags, None without matplotlib (extra `notebook`) or without sales."""
    if not series.products:
        return None
    try:
        from ml_pipeline.anomalies.figure import plot_flags
    except ModuleNotFoundError:
        return None
    return plot_flags(series, flagged, planted or ())
