"""Reading the purchases of customers: aggregates of marts.fct_orders, never the orders."""

import io
from datetime import date, timedelta

import pandas as pd
import psycopg
from psycopg import sql

from insight.database import Connection
from insight.errors import StageError
from ml_pipeline.lifetime_value.summary import summary_from_totals
from ml_pipeline.rfm import UNKNOWN_CUSTOMER

# Both summaries in one pass over the orders. The lowest pair of day and amount is the first
# purchase; a window, or a join with the first days, would sort or read them again.
_TOTALS = """
copy (
    with purchases as (
        select
            customer_id,
            order_date,
            sum(net_sales_amount) as amount
        from marts.fct_orders
        where order_date < {as_of} and customer_id <> {unknown}
        group by customer_id, order_date
    ),

    totals as (
        select
            customer_id,
            min(order_date) as first_on,
            (min(array[(order_date - date '1970-01-01')::numeric, amount]))[2] as first_amount,
            count(*) as purchases,
            max(order_date) as last_on,
            sum(amount) as amount,
            count(*) filter (where order_date < {earlier}) as purchases_before,
            max(order_date) filter (where order_date < {earlier}) as last_before,
            sum(amount) filter (where order_date < {earlier}) as amount_before
        from purchases
        group by customer_id
    )

    select
        customer_id,
        purchases - 1 as frequency,
        last_on - first_on as recency_days,
        {as_of} - first_on as age_days,
        amount - first_amount as repeat_value,
        purchases_before - 1 as frequency_before,
        coalesce(last_before - first_on, 0) as recency_days_before,
        {earlier} - first_on as age_days_before,
        coalesce(amount_before - first_amount, 0) as repeat_value_before
    from totals
) to stdout (format csv, header)
"""
_NUMBERS = ["frequency", "recency_days", "age_days", "repeat_value"]


def read_as_of(connection: Connection, as_of: date | None = None) -> date | None:
    """The given day, by default the day after the newest order; None when no order is before it.

    Raises StageError when the mart does not exist.
    """
    try:
        row = connection.execute(
            "select max(order_date) from marts.fct_orders"
            " where order_date < coalesce(%s, 'infinity'::date)",
            [as_of],
        ).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
        raise StageError(
            "there are no orders to tell the value of customers from",
            where="marts.fct_orders",
            next_step="Run `insight transform` first",
        ) from error
    if row is None or row[0] is None:
        return None
    assert isinstance(row[0], date)
    return as_of or row[0] + timedelta(days=1)


def read_first_day(connection: Connection, as_of: date) -> date | None:
    """The day of the first order of a known customer before `as_of`; None without one."""
    row = connection.execute(
        "select min(order_date) from marts.fct_orders where order_date < %s and customer_id <> %s",
        [as_of, UNKNOWN_CUSTOMER],
    ).fetchone()
    if row is None or row[0] is None:
        return None
    assert isinstance(row[0], date)
    return row[0]


def read_summary(connection: Connection, as_of: date) -> pd.DataFrame:
    """Summary frame of all known customers with an order before `as_of`."""
    return read_summaries(connection, as_of, as_of)[0]


def read_summaries(
    connection: Connection, as_of: date, earlier: date
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The summary frames as of two days; `earlier` is not after `as_of`."""
    query = sql.SQL(_TOTALS).format(
        as_of=sql.SQL("{}::date").format(sql.Literal(as_of)),
        earlier=sql.SQL("{}::date").format(sql.Literal(earlier)),
        unknown=sql.Literal(UNKNOWN_CUSTOMER),
    )
    received = io.BytesIO()
    with connection.cursor().copy(query) as copy:
        for block in copy:
            received.write(block)
    received.seek(0)
    # A customer called "NA" or "007" is neither missing nor a number.
    totals = pd.read_csv(received, dtype={"customer_id": str}, keep_default_na=False)
    known_before = totals[totals["frequency_before"] >= 0]
    before = known_before[["customer_id"]].assign(
        **{name: known_before[f"{name}_before"] for name in _NUMBERS}
    )
    return summary_from_totals(totals), summary_from_totals(before)
