"""Reading the sales marts: one aggregate, never the sale lines themselves."""

import io
from dataclasses import dataclass
from datetime import date, timedelta
from typing import LiteralString

import pandas as pd
import psycopg
from psycopg import sql

from insight.database import Connection
from insight.errors import StageError
from ml_pipeline.rfm import UNKNOWN_CUSTOMER, rfm_from_totals


@dataclass(frozen=True)
class SalesWindow:
    """First and last day with a sale, and the day that recency is counted from."""

    first_sale_on: date
    last_sale_on: date
    as_of: date


_SALES_TOTALS = """
copy (
    select
        customer_id,
        {as_of} - max(transaction_date) as recency_days,
        count(distinct transaction_id) as frequency,
        sum(total_amount) as monetary
    from marts.fct_sales
    where transaction_date < {as_of} and customer_id <> {unknown}
    group by customer_id
) to stdout (format csv, header)
"""


def read_window(connection: Connection, *, as_of: date | None = None) -> SalesWindow | None:
    """The window up to `as_of`, by default the day after the newest sale; None without sales.

    Sales of unknown customers count: the marts count their days from the same date.
    Raises StageError when the mart does not exist.
    """
    return window_of(connection, "fct_sales", "transaction_date", as_of)


def window_of(
    connection: Connection, mart: str, day: str, as_of: date | None
) -> SalesWindow | None:
    """The window of a mart by its column of days. Raises StageError when it does not exist."""
    query = sql.SQL(
        "select min({day}), max({day}) from {mart} where {day} < coalesce(%s, 'infinity'::date)"
    ).format(day=sql.Identifier(day), mart=sql.Identifier("marts", mart))
    try:
        row = connection.execute(query, [as_of]).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
        raise StageError(
            "there are no sales to segment by",
            where=f"marts.{mart}",
            next_step="Run `insight transform` first",
        ) from error
    if row is None or row[0] is None:
        return None
    first, last = row
    assert isinstance(first, date)
    assert isinstance(last, date)
    return SalesWindow(first, last, as_of or last + timedelta(days=1))


def read_rfm(connection: Connection, as_of: date) -> pd.DataFrame:
    """RFM frame of all known customers with a sale before `as_of`."""
    return read_totals(connection, _SALES_TOTALS, as_of)


def read_totals(connection: Connection, totals: LiteralString, as_of: date) -> pd.DataFrame:
    """RFM frame of a COPY query with {as_of} and {unknown} in it, one row a customer."""
    query = sql.SQL(totals).format(
        as_of=sql.SQL("{}::date").format(sql.Literal(as_of)), unknown=sql.Literal(UNKNOWN_CUSTOMER)
    )
    received = io.BytesIO()
    with connection.cursor().copy(query) as copy:
        for block in copy:
            received.write(block)
    received.seek(0)
    # A customer called "NA" or "007" is neither missing nor a number.
    frame = pd.read_csv(received, dtype={"customer_id": str}, keep_default_na=False)
    return rfm_from_totals(frame)
