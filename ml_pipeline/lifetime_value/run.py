"""Lifetime value from the orders to rows and report: the only part that writes.

Order of the writes, and what a crash after each leaves for the next run:

1. the rows of ml.customer_lifetime_value, in one transaction;
2. the document `lifetime_value-{origin}.json`: models, calibration and a digest of the rows;
3. the report beside it, and its figures when matplotlib is installed.

A run that finds a document of the same data, horizon and code fits nothing. It writes whichever of
1 and 3 is missing or is not what the document says.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from insight.database import Connection, DatabaseEndpoint, connect
from insight.errors import InputError
from ml_pipeline.export import content_of, write_atomically
from ml_pipeline.lifetime_value.calibration import Calibration, calibrate, choose_holdout_days
from ml_pipeline.lifetime_value.document import (
    Fingerprint,
    RowsDigest,
    StoredLifetimeValue,
    fingerprint_of,
    load,
    save,
)
from ml_pipeline.lifetime_value.forecast import by_fifths, forecast
from ml_pipeline.lifetime_value.gamma_gamma import OrderValueFit, fit_order_values
from ml_pipeline.lifetime_value.marts import read_as_of, read_first_day, read_summaries
from ml_pipeline.lifetime_value.purchase_model import Family, fit_purchases, reason_not_to_fit
from ml_pipeline.lifetime_value.report import FIGURES, figure_file, render_report
from ml_pipeline.lifetime_value.rows import rows_of
from ml_pipeline.results import CUSTOMER_LIFETIME_VALUE, create_tables, replace_rows

# Of the two, the one that does not take one-time buyers for alive (decision 20).
DEFAULT_FAMILY: Family = "mbg_nbd"
DEFAULT_HORIZON_DAYS = 90

_DIGEST = """
select count(*), coalesce(sum(hashtextextended(each::text, 0)::numeric), 0)::text
from ml.customer_lifetime_value as each
"""


@dataclass(frozen=True)
class LifetimeValueReport:
    """What a run did. `skipped_reason` says why there are no rows; else it is None."""

    origin: str
    customers: int
    horizon_days: int
    as_of: date | None = None
    unchanged: bool = False
    skipped_reason: str | None = None

    def sentence(self) -> str:
        """The report in a few words."""
        if self.skipped_reason:
            return f"lifetime value skipped: {self.skipped_reason}"
        unchanged = ", unchanged" if self.unchanged else ""
        return f"value of {self.customers:,} over {self.horizon_days} days{unchanged}"


@dataclass(frozen=True)
class _Summaries:
    """Summary frames as of today and, for the calibration, as of the start of the holdout."""

    now: pd.DataFrame
    before: pd.DataFrame
    holdout_days: int


@dataclass(frozen=True)
class _Files:
    folder: Path
    origin: str

    @property
    def document(self) -> Path:
        return self.folder / f"lifetime_value-{self.origin}.json"

    @property
    def report(self) -> Path:
        return self.folder / f"lifetime_value-{self.origin}.md"

    def figure(self, name: str) -> Path:
        return self.folder / figure_file(self.origin, name)


def value_customers(
    database: DatabaseEndpoint,
    *,
    model_dir: Path,
    origin: str,
    horizon_days: int = DEFAULT_HORIZON_DAYS,
    family: Family = DEFAULT_FAMILY,
    as_of: date | None = None,
) -> LifetimeValueReport:
    """Forecast each customer of marts.fct_orders and write rows, document and report.

    `origin` ('generated' or 'own') keeps one document for each kind of data. `as_of` is the day
    from which the horizon runs, by default the day after the newest order.

    With customers that no model can be fitted to the table is emptied and the report says why.
    Raises StageError without the mart, InputError for a horizon below one day, and IntegrityError
    when the stored document cannot be read.
    """
    if horizon_days < 1:
        raise InputError(
            f"cannot look {horizon_days} days ahead", next_step="Give a horizon of 1 day or more"
        )
    files = _Files(model_dir, origin)
    create_tables(database)
    with connect(database) as connection:
        day = read_as_of(connection, as_of)
        if day is None:
            return _skip(connection, origin, horizon_days, 0, "there are no orders")
        read = _read(connection, day, horizon_days)
        if reason := reason_not_to_fit(read.now):
            return _skip(connection, origin, horizon_days, len(read.now), reason)
        fingerprint = fingerprint_of(read.now, read.before, day, horizon_days, family)
        stored = load(files.document)
        is_new = stored is None or stored.fingerprint != fingerprint
        if stored is None or is_new:
            try:
                stored = _fit_and_write(connection, origin, read, fingerprint)
            except InputError as error:
                return _skip(connection, origin, horizon_days, len(read.now), str(error))
        else:
            is_new = _write_rows_that_differ(connection, stored, read.now)
    if is_new:
        save(files.document, stored)
    is_new |= _write_report(files, stored, also_figures=is_new)
    return LifetimeValueReport(
        origin=origin,
        customers=stored.customers,
        horizon_days=horizon_days,
        as_of=day,
        unchanged=not is_new,
    )


def _read(connection: Connection, as_of: date, horizon_days: int) -> _Summaries:
    first = read_first_day(connection, as_of)
    holdout_days = choose_holdout_days((as_of - first).days if first else 0, horizon_days)
    now, before = read_summaries(connection, as_of, as_of - timedelta(days=holdout_days))
    return _Summaries(now, before, holdout_days)


def _skip(
    connection: Connection, origin: str, horizon_days: int, customers: int, reason: str
) -> LifetimeValueReport:
    replace_rows(connection, CUSTOMER_LIFETIME_VALUE, ())
    return LifetimeValueReport(
        origin=origin, customers=customers, horizon_days=horizon_days, skipped_reason=reason
    )


def _fit_and_write(
    connection: Connection, origin: str, read: _Summaries, wanted: Fingerprint
) -> StoredLifetimeValue:
    now = read.now
    fit = fit_purchases(now, wanted.family)
    values, no_values = _fit_order_values(now)
    found, no_calibration = _calibrate(read)
    forecasts = forecast(now, fit.model, values.model if values else None, wanted.horizon_days)
    _write_rows(connection, forecasts, wanted)
    return StoredLifetimeValue(
        origin=origin,
        fingerprint=wanted,
        customers=len(now),
        repeaters=int((now["frequency"] > 0).sum()),
        first_order_on=wanted.as_of - timedelta(days=int(now["age_days"].max())),
        purchases=fit.model,
        log_likelihood=round(fit.log_likelihood, 3),
        at_bound=(*fit.at_bound, *(values.at_bound if values else ())),
        order_values=values.model if values else None,
        correlation=round(values.correlation, 6) if values else None,
        no_order_values=no_values,
        calibration=found,
        no_calibration=no_calibration,
        fifths=by_fifths(forecasts),
        rows=_rows_digest(connection),
    )


def _fit_order_values(now: pd.DataFrame) -> tuple[OrderValueFit | None, str | None]:
    try:
        return fit_order_values(now), None
    except InputError as error:
        # Purchases are worth knowing without their value; report and rows say that it is missing.
        return None, str(error)


def _calibrate(read: _Summaries) -> tuple[Calibration | None, str | None]:
    try:
        return calibrate(read.before, read.now, read.holdout_days), None
    except InputError as error:
        # A young shop has a forecast before it has a past to hold it against.
        return None, str(error)


def _write_rows(connection: Connection, forecasts: pd.DataFrame, wanted: Fingerprint) -> None:
    table = CUSTOMER_LIFETIME_VALUE
    rows = rows_of(
        forecasts, tuple(table.columns), wanted.family, wanted.horizon_days, wanted.as_of
    )
    replace_rows(connection, table, rows)


def _rows_digest(connection: Connection) -> RowsDigest:
    found = connection.execute(_DIGEST).fetchone()
    assert found is not None
    return RowsDigest(rows=int(str(found[0])), checksum=str(found[1]))


def _write_rows_that_differ(
    connection: Connection, stored: StoredLifetimeValue, now: pd.DataFrame
) -> bool:
    """Make the table what the document says; whether anything had to be written."""
    if _rows_digest(connection) == stored.rows:
        return False
    wanted = stored.fingerprint
    forecasts = forecast(now, stored.purchases, stored.order_values, wanted.horizon_days)
    _write_rows(connection, forecasts, wanted)
    return True


def _write_report(files: _Files, stored: StoredLifetimeValue, *, also_figures: bool) -> bool:
    """Report and figures as the document says; whether anything had to be written."""
    wanted = _figures_of(stored)
    written = also_figures or not all(files.figure(name).exists() for name in wanted)
    if wanted and written:
        # Here, because importing matplotlib takes a second that unchanged data need not wait.
        from ml_pipeline.lifetime_value.figures import draw_figures

        for name, content in draw_figures(stored, wanted).items():
            write_atomically(files.figure(name), content)
    text = render_report(stored, wanted).encode()
    if content_of(files.report) != text:
        write_atomically(files.report, text)
        written = True
    return written


def _figures_of(stored: StoredLifetimeValue) -> tuple[str, ...]:
    if find_spec("matplotlib") is None:
        return ()
    return tuple(
        name for name in FIGURES if name != "calibration" or stored.calibration is not None
    )
