"""Raw rows of the streams, made by Postgres itself: millions in seconds, and always the same.

Events are numbered as the sales are: a sale a minute, as in the default data. Some sales come
minutes late, and every fiftieth comes twice.
"""

from collections.abc import Mapping

from psycopg import sql

from insight.database import Connection

# As in the default data: one event of a stream for so many sales.
EVERY: Mapping[str, int] = {
    "transactions_raw": 1,
    "refunds_raw": 10,
    "account_transactions_raw": 3,
    "bitcoin_prices_raw": 75,
    "news_events_raw": 300,
}

_PARTITIONS = 4
_SALE = "md5('sale' || i - (i % 50) / 49)"
_WHO = "'P00' || 1 + i % 6, 'S00' || 1 + i % 3, 'C' || i % 6569"
_COLUMNS: Mapping[str, str] = {
    "transactions_raw": f"""{_SALE}, {_WHO}, 10 + i % 990 + (i % 100) / 100.0,
        moment - (i % 10 / 9) * (i % 4) * interval '6 minutes'""",
    "refunds_raw": f"""md5('refund' || i), {_SALE}, {_WHO}, 5, 'changed_mind',
        moment + interval '1 day'""",
    "account_transactions_raw": """md5('movement' || i), 'A' || i % 1500, (i % 7 - 3) * 12.34,
        moment""",
    "bitcoin_prices_raw": """md5('price' || i), 'coingecko_simulator', 'bitcoin', 'usd',
        7200 + i % 97, i % 13 - 6, moment""",
    "news_events_raw": """md5('article' || i), 'newsapi_simulator', 'Bitcoin ' || i, null, 'crypto',
        (array['Reuters', 'BBC News', 'Example Times'])[i % 3 + 1], 'https://news.example/' || i,
        moment, i % 13 + 1, true, moment""",
}
_INSERT = """
insert into streaming.{table}
select {columns}, now(), event / {partitions}, {first_partition} + event % {partitions}, {load}
from generate_series({first}, {last}) as event
cross join lateral (select event * {every} as i) as number
cross join lateral (
    select timestamptz '2010-01-01 00:00+00' + i * interval '1 minute' as moment
) as moment
"""


def add_events(
    connection: Connection, first: int, last: int, load: int, every: Mapping[str, int] = EVERY
) -> int:
    """Land the events of the sales `first` to `last` in every stream, as one load; their number.

    `load` must grow from one call to the next. A stream without a number in `every` gets none.
    """
    landed = 0
    for number, (table, columns) in enumerate(_COLUMNS.items()):
        if table in every:
            numbers = {
                "partitions": _PARTITIONS,
                "first_partition": 1 + number * _PARTITIONS,
                "load": load,
                "first": -(-first // every[table]),
                "last": last // every[table],
                "every": every[table],
            }
            statement = sql.SQL(_INSERT).format(
                table=sql.Identifier(table),
                columns=sql.SQL(columns),
                **{name: sql.Literal(value) for name, value in numbers.items()},
            )
            landed += connection.execute(statement).rowcount
    return landed
