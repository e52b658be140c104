"""What goes on beside the requests: sales are loaded, customers enter and leave a segment by rule,
and all that Redis holds of customers is written anew.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from redis import Redis

from insight.database import DatabaseEndpoint, connect
from insight.services import RedisEndpoint
from segmentation.runtime.cache import rebuild
from serving.segment_lookup import publish_segments

_SALES, _CHANGES = 50, 5
_SECONDS = 0.25


@contextmanager
def changes(database: DatabaseEndpoint, redis: RedisEndpoint) -> Iterator[None]:
    """200 sales and 20 changes of a segment a second, and one rebuild after the other."""
    stop = threading.Event()
    threads = [
        threading.Thread(target=_load, args=(database, stop)),
        threading.Thread(target=_rebuild, args=(database, redis, stop)),
    ]
    for each in threads:
        each.start()
    try:
        yield
    finally:
        stop.set()
        for each in threads:
            each.join()


def _rebuild(database: DatabaseEndpoint, redis: RedisEndpoint, stop: threading.Event) -> None:
    """Lookups and segments by rule in turn."""
    url = redis.url.get_secret_value()
    with connect(database, autocommit=True) as connection, Redis.from_url(url) as client:
        while not stop.wait(0.1):
            publish_segments(database, redis)
            rebuild(connection, client)


def _load(database: DatabaseEndpoint, stop: threading.Event) -> None:
    with connect(database) as connection:
        row = connection.execute("select count(*) from streaming.transactions_raw").fetchone()
        assert row is not None
        loaded = int(str(row[0]))
        connection.execute(
            """insert into streaming.stream_progress
                   (stream, cluster_id, topic, partition, first_offset, next_offset, epoch, owner,
                    high_watermark)
               select 'transactions', 'bench', 'transactions', n, 0, 0, 1, 'bench', 0
               from generate_series(0, 3) as n on conflict do nothing"""
        )
        connection.commit()
        while not stop.wait(_SECONDS):
            connection.execute(
                """with moved as (
                       update streaming.stream_progress
                       set next_offset = %(hi)s, high_watermark = %(hi)s, last_commit_at = now(),
                           rows_total = rows_total + %(size)s
                       where cluster_id = 'bench' returning partition, partition_id
                   )
                   insert into streaming.transactions_raw
                       (transaction_id, product_id, store_id, customer_id, amount, timestamp,
                        _offset, _partition_id, _load_id)
                   select partition || '-' || n, 'P001', 'S001', lpad(n::text, 6, '0'), 12.5, now(),
                          n, partition_id, 1
                   from moved, generate_series(%(lo)s, %(hi)s - 1) as n
                   where n %% 4 = partition""",
                {"lo": loaded, "hi": loaded + _SALES, "size": _SALES // 4},
            )
            connection.execute(
                """insert into segmentation.membership_changes
                       (segment, customer_id, version, change, as_of)
                   select 'spenders', lpad(n::text, 6, '0'), 1, 'entered', now()
                   from generate_series(%s::bigint, %s) as n""",
                (loaded, loaded + _CHANGES - 1),
            )
            connection.commit()
            loaded += _SALES
