"""Each customer's segments in Redis: one GET of `insight:segments:<customer_id>` is ready JSON.

`{"customer_id": ..., "segments": [{"segment": ..., "version": ..., "since": ...}], "updated_at":
...}`. Who left all segments has an empty list; who never was in one has no key. Postgres is the
source of truth: keys are written from what stands there, end by themselves, and can be rebuilt at
any time.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence

import redis

from insight.database import Connection
from insight.pacing import at_half_speed
from segmentation.store.configuration import CACHE_PREFIX

# Whoever reads members and writes keys holds it, so that nobody writes older ones over newer ones.
_LOCK = 7_207_024

# Which run of Redis has all keys. A run that began from an older file on disk has older ones.
_COMPLETE = "insight:segments-complete"
_COMPLETE_SECONDS = 24 * 3600
_SECONDS_TO_LIVE = 7 * 24 * 3600
_JITTER_SECONDS = 24 * 3600
_BATCH = 2_000

_DOCUMENTS = """
select
    asked.customer_id,
    json_build_object(
        'customer_id', asked.customer_id,
        'segments', coalesce(
            json_agg(
                json_build_object(
                    'segment', member.segment, 'version', pipeline.version, 'since', member.since
                )
                order by member.segment
            ) filter (where member.segment is not null),
            '[]'
        ),
        'updated_at', clock_timestamp()
    )::text
from unnest(%s::text[]) as asked (customer_id)
left join segmentation.current_members as member using (customer_id)
left join segmentation.pipelines as pipeline on pipeline.segment = member.segment
group by asked.customer_id
"""

# Along the index on customers, as far as a batch goes.
_NEXT_CUSTOMERS = """
select distinct customer_id from segmentation.current_members
where customer_id > %s order by customer_id limit %s
"""


def cache_key(customer_id: str) -> str:
    """The Redis key of one customer's segments."""
    return f"{CACHE_PREFIX}{customer_id}"


def write_customers(connection: Connection, client: redis.Redis, customers: Sequence[str]) -> None:
    """Write the keys of these customers as their segments are now. Raises redis.RedisError."""
    for start in range(0, len(customers), _BATCH):
        with connection.transaction():
            connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
            some = list(customers[start : start + _BATCH])
            rows = connection.execute(_DOCUMENTS, (some,)).fetchall()
            with client.pipeline(transaction=False) as pipeline:
                for customer, document in rows:
                    key = cache_key(str(customer))
                    pipeline.set(key, str(document), ex=_seconds_to_live(str(customer)))
                pipeline.execute()


def is_complete(client: redis.Redis) -> bool:
    """Whether all keys were written within a day, and Redis has run since."""
    found = client.get(_COMPLETE)
    return (found.decode() if isinstance(found, bytes) else found) == _run_id(client)


def _run_id(client: redis.Redis) -> str:
    return str(client.info("server")["run_id"])


def rebuild(
    connection: Connection,
    client: redis.Redis,
    on_batch: Callable[[int], None] = lambda _written: None,
) -> int:
    """Write the keys of all members and bring the others up to date; how many members there are.

    It takes its time: whoever reads from Redis or Postgres meanwhile comes first. `on_batch` is
    called between batches with how many are written. Raises redis.RedisError.
    """
    written, run_id = 0, _run_id(client)
    for customers in at_half_speed(_members(connection)):
        write_customers(connection, client, customers)
        written += len(customers)
        on_batch(written)
    for customers in at_half_speed(_cached(client)):
        write_customers(connection, client, _without_segments(connection, customers))
        on_batch(written)
    client.set(_COMPLETE, run_id, ex=_COMPLETE_SECONDS)
    return written


def _members(connection: Connection) -> Iterator[list[str]]:
    last = ""
    while rows := connection.execute(_NEXT_CUSTOMERS, (last, _BATCH)).fetchall():
        yield [str(customer) for (customer,) in rows]
        last = str(rows[-1][0])


def _cached(client: redis.Redis) -> Iterator[list[str]]:
    found: list[str] = []
    for key in client.scan_iter(match=f"{CACHE_PREFIX}*", count=_BATCH):
        found.append((key.decode() if isinstance(key, bytes) else key)[len(CACHE_PREFIX) :])
        if len(found) >= _BATCH:
            yield found
            found = []
    if found:
        yield found


def _without_segments(connection: Connection, customers: Sequence[str]) -> list[str]:
    rows = connection.execute(
        """select customer_id from unnest(%s::text[]) as asked (customer_id)
           where not exists (
               select from segmentation.current_members as member
               where member.customer_id = asked.customer_id)""",
        (list(customers),),
    )
    return [str(customer) for (customer,) in rows]


def _seconds_to_live(customer: str) -> int:
    """A day apart, so that not all keys end at one moment."""
    return _SECONDS_TO_LIVE + zlib.crc32(customer.encode()) % _JITTER_SECONDS
