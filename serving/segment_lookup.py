"""Each customer's segment by key in Redis, for applications that ask for one customer.

`insight:customer-segment:<customer_id>` is a JSON object of customer_id, segment_id, segment_name
and updated_at (ISO 8601, UTC), as the API answers it; the set `insight:customer-segments` holds the
customers that have one. The marts stay the source of truth: the lookups can be rebuilt at any time,
and one that is not refreshed for a week ends by itself.
"""

import itertools
from datetime import datetime

import orjson
import redis

from insight.database import DatabaseEndpoint, connect
from insight.errors import ServiceError
from insight.pacing import at_half_speed
from insight.services import RedisEndpoint

_MEMBERS = "insight:customer-segments"
_UNFINISHED = "insight:customer-segments:new"
_SECONDS_TO_LIVE = 7 * 24 * 3600
_BATCH = 1_000


def lookup_key(customer_id: str) -> str:
    """The Redis key of one customer's lookup."""
    return f"insight:customer-segment:{customer_id}"


def is_lookup_of(customer_id: str, value: bytes) -> bool:
    """Whether a value is one customer's lookup, and not something else under its key."""
    return value.startswith(_beginning(customer_id)) and value.endswith(b"}")


def _beginning(customer_id: str) -> bytes:
    return b'{"customer_id":' + orjson.dumps(customer_id) + b',"segment_id":'


def publish_segments(database: DatabaseEndpoint, endpoint: RedisEndpoint) -> int:
    """Write the lookup of every customer in `marts.fct_customer_segments`; how many there are.

    Lookups of customers who are no longer there are removed. It takes its time: whoever reads
    meanwhile comes first. Raises ServiceError when Redis does
    not answer; lookups written so far stay and are right.
    """
    client = redis.Redis.from_url(endpoint.url.get_secret_value(), decode_responses=True)
    try:
        with client:
            return _replace_lookups(database, client)
    except redis.RedisError as error:
        raise ServiceError(
            f"Redis does not take the lookups ({error})",
            next_step="Check that it runs and that REDIS_URL is right",
        ) from error


def _replace_lookups(database: DatabaseEndpoint, client: redis.Redis) -> int:
    client.unlink(_UNFINISHED)
    written = 0
    with connect(database) as connection, connection.cursor("segments") as cursor:
        cursor.execute(
            "select customer_id, segment_id, segment_name, updated_at"
            " from marts.fct_customer_segments"
        )
        for rows in at_half_speed(iter(lambda: cursor.fetchmany(_BATCH), [])):
            _write(client, rows)
            written += len(rows)
    _remove_others(client)
    return written


def _write(client: redis.Redis, rows: list[tuple[object, ...]]) -> None:
    with client.pipeline(transaction=False) as pipeline:
        for customer_id, segment_id, segment_name, updated_at in rows:
            assert isinstance(updated_at, datetime)
            value = orjson.dumps(
                {
                    "customer_id": str(customer_id),
                    "segment_id": segment_id,
                    "segment_name": segment_name,
                    "updated_at": updated_at.isoformat(),
                }
            )
            pipeline.set(lookup_key(str(customer_id)), value, ex=_SECONDS_TO_LIVE)
            pipeline.sadd(_UNFINISHED, str(customer_id))
        pipeline.execute()


def _remove_others(client: redis.Redis) -> None:
    """In small steps: Redis answers nobody else during one of them."""
    known = client.sscan_iter(_MEMBERS, count=_BATCH)
    for some in at_half_speed(iter(lambda: list(itertools.islice(known, _BATCH)), [])):
        is_there = client.smismember(_UNFINISHED, some)
        gone = [
            lookup_key(str(name)) for name, is_in in zip(some, is_there, strict=True) if not is_in
        ]
        if gone:
            client.unlink(*gone)
    with client.pipeline(transaction=True) as pipeline:
        pipeline.unlink(_MEMBERS)
        if client.exists(_UNFINISHED):
            pipeline.rename(_UNFINISHED, _MEMBERS)
        pipeline.execute()
