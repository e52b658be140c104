"""A year of sales in Postgres, made there: millions of raw rows in a minute."""

from datetime import datetime, timedelta

from psycopg import sql

from insight.database import Connection
from streaming.contract import Contract

EVENTS_A_CUSTOMER = 10
_PARTITIONS = 4
_PLACE = ("_offset", "_partition_id", "_load_id")

# In the order of their times; a fifth of the customers has 45 % of them. One in a hundred is the
# row of a sale again that arrived 37 rows before.
_ROWS = """
select md5(sale.id::text), 'P00' || 1 + (hashint8(i + 5) & 1048575) % 6,
    'S00' || 1 + (hashint8(i + 9) & 1048575) % 3,
    'C' || lpad((power((hashint8(sale.id + 3) & 1048575) / 1048576.0, 2) * {customers})
        ::bigint::text, 7, '0'),
    round((1 + (hashint8(sale.id + 11) & 1048575) % 50000) / 100.0, 2),
    {start} + sale.id * (365.0 * 86400 / {events}) * interval '1 second',
    {offset_} + i / 4, 1 + i % 4, ({offset_} * 4 + i) / 20000
from generate_series({first}::bigint, {last}) as i
cross join lateral (select case when i % 100 = 0 and i > 50 then i - 37 else i end as id) as sale
"""
_PROGRESS = """
insert into streaming.stream_progress (
    stream, cluster_id, topic, partition, first_offset, next_offset, epoch, owner, high_watermark,
    rows_total, last_event_at, last_commit_at
)
select 'transactions', 'history', 'transactions', n, 0, %(rows)s, 1, 'bench', %(rows)s,
    %(rows)s, %(end)s, now()
from generate_series(0, {partitions} - 1) as n
"""


def fill(connection: Connection, contract: Contract, events: int, start: datetime) -> None:
    """Write the sales of the year from `start` on; nothing of any stream may be there yet."""
    connection.execute(
        sql.SQL(_PROGRESS).format(partitions=sql.Literal(_PARTITIONS)),
        {"rows": events // _PARTITIONS + 1, "end": start + timedelta(days=365)},
    )
    connection.execute(
        sql.SQL("insert into streaming.transactions_raw ({}) {}").format(
            sql.SQL(", ").join(map(sql.Identifier, [*contract.column_names, *_PLACE])),
            rows(events, 0, events, 0, start),
        )
    )
    connection.execute("vacuum analyze streaming.transactions_raw")


def rows(events: int, first: int, last: int, offset: int, start: datetime) -> sql.Composed:
    """The query of some rows of the raw table: the contract's columns, then its place."""
    numbers = {
        "events": events, "customers": events // EVENTS_A_CUSTOMER, "first": first, "last": last,
        "offset_": offset, "start": start,
    }  # fmt: skip
    return sql.SQL(_ROWS).format(**{key: sql.Literal(each) for key, each in numbers.items()})
