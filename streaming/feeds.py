"""Views on raw rows for who follows a stream, row by row, by partition and offset."""

from insight.database import Connection

TRANSACTION_FEED = """
create or replace view streaming.transaction_feed as
select
    transaction_id,
    product_id,
    store_id,
    customer_id,
    amount,
    timestamp as sold_at,
    ingestion_timestamp as loaded_at,
    _partition_id as partition_id,
    _offset as "offset"
from streaming.transactions_raw
"""


def create_feeds(connection: Connection) -> None:
    """Make or renew the views; the raw tables of the package's contracts must be there."""
    connection.execute("set local client_min_messages = warning")
    connection.execute(TRANSACTION_FEED)
