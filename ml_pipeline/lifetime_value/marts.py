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

_TOTALS = """
copy (
    with purchases as (
        select
            customer_id,
            order_date,
            sum(net_sales_amount) as amount,
            min(order_date) over (partition by customer_id) as first_on
        from marts.fct_orders
        where order_date < {as_of} and customer_id <> {unknown}
        group by customer_id, order_date
    )

    select
        customer_id,
        count(*) - 1 as frequency,
        max(order_date) - first_on as recency_days,
        {as_of} - first_on as age_days,
        coalesce(sum(amount) filter (where order_date > first_on), 0) as repeat_value
    from purchases
    group by customer_id, first_on
) to stdout (format csv, header)
"""


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


def read_summary(connection: Connection, as_of: date) -> pd.DataFrame:
    """Summary frame of all known customers with an order before `as_of`."""
    query = sql.SQL(_TOTALS).format(
        as_of=sql.SQL("{}::date").format(sql.Literal(as_of)), unknown=sql.Literal(UNKNOWN_CUSTOMER)
    )
    received = io.BytesIO()
    with connection.cursor().copy(query) as copy:
        for block in copy:
            received.write(block)
    received.seek(0)
    # A customer called "NA" or "007" is neither missing nor a number.
    totals = pd.read_csv(received, dtype={"customer_id": str}, keep_default_na=False)
    return summary_from_totals(totals)
