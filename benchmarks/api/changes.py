"""What goes on beside the requests: sales are loaded, and all lookups in Redis are written anew."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from insight.database import DatabaseEndpoint, connect
from insight.services import RedisEndpoint
from serving.segment_lookup import publish_segments

_SALES = 50
_SECONDS = 0.25


@contextmanager
def changes(database: DatabaseEndpoint, redis: RedisEndpoint) -> Iterator[None]:
    """200 sales a second in four partitions, and one rebuild of the lookups after the other."""
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
    while not stop.wait(0.1):
        publish_segments(database, redis)


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
            connection.commit()
            loaded += _SALES
