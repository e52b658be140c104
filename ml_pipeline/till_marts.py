"""Reading the marts of the tills: one aggregate, never the sales themselves."""

from datetime import date

import pandas as pd

from insight.database import Connection
from ml_pipeline.marts import SalesWindow, read_totals, window_of

# An order is a customer's day, and a refund belongs to the customer of its sale, as in the dbt
# model int_pos_customer_rfm and in rfm.rfm_from_tills.
_TOTALS = """
copy (
    with sales as not materialized (
        select * from marts.fct_pos_transactions where date_day < {as_of}
    ),
    given_back as (
        select sales.customer_id, sum(refunds.refund_amount) as amount
        from marts.fct_pos_refunds as refunds
        inner join sales on refunds.original_transaction_id = sales.transaction_id
        where refunds.date_day < {as_of}
        group by sales.customer_id
    ),
    customers as (
        select
            customer_id,
            max(date_day) as newest,
            count(distinct date_day) as frequency,
            sum(amount) as amount
        from sales
        group by customer_id
    )
    select
        customer_id,
        {as_of} - customers.newest as recency_days,
        customers.frequency,
        customers.amount - coalesce(given_back.amount, 0) as monetary
    from customers
    left join given_back using (customer_id)
) to stdout (format csv, header)
"""


def read_till_window(connection: Connection, *, as_of: date | None = None) -> SalesWindow | None:
    """The window up to `as_of`, by default the day after the newest sale; None without sales.

    Days are UTC. Raises StageError when the mart does not exist.
    """
    return window_of(connection, "fct_pos_transactions", "date_day", as_of)


def read_till_rfm(connection: Connection, as_of: date) -> pd.DataFrame:
    """RFM frame of all customers of the tills with a sale before `as_of`, net of refunds."""
    return read_totals(connection, _TOTALS, as_of)
