"""Redis as the API uses it: quick, and allowed to be away."""

import logging
import time
from typing import Any

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from insight.services import RedisEndpoint

_SECONDS = 0.25
# After a failure Redis is not asked again for so long: a request must not wait for it each time.
_PAUSE_SECONDS = 1.0

_logger = logging.getLogger(__name__)


class RedisAwayError(Exception):
    """Redis does not answer, or did not a moment ago."""


class RedisLink:
    """One pool of connections; each call is one round trip of at most a quarter of a second."""

    def __init__(self, endpoint: RedisEndpoint):
        self._client: Any = redis.Redis.from_url(
            endpoint.url.get_secret_value(),
            decode_responses=True,
            socket_timeout=_SECONDS,
            socket_connect_timeout=_SECONDS,
            retry=Retry(NoBackoff(), 1),
            max_connections=64,
        )
        self._away_until = 0.0

    async def close(self) -> None:
        await self._client.aclose()

    async def read_hash(self, key: str) -> dict[str, str]:
        """The fields of a hash, empty when there is none. Raises RedisAwayError."""
        self._refuse_while_away()
        try:
            fields: dict[str, str] = await self._client.hgetall(key)
        except (redis.RedisError, OSError) as error:
            raise self._away(error) from error
        return fields

    async def count(self, key: str, amount: int, seconds: int) -> int | None:
        """Add to a counter that ends after so many seconds; its value, None when Redis is away."""
        try:
            self._refuse_while_away()
            async with self._client.pipeline(transaction=False) as pipeline:
                pipeline.incrby(key, amount)
                pipeline.expire(key, seconds)
                value, _ = await pipeline.execute()
        except RedisAwayError:
            return None
        except (redis.RedisError, OSError) as error:
            self._away(error)
            return None
        return int(value)

    async def answers(self) -> bool:
        try:
            await self._client.ping()
        except (redis.RedisError, OSError):
            return False
        return True

    def _refuse_while_away(self) -> None:
        if time.monotonic() < self._away_until:
            raise RedisAwayError

    def _away(self, error: Exception) -> RedisAwayError:
        _logger.warning("Redis does not answer: %s", " ".join(str(error).split()))
        self._away_until = time.monotonic() + _PAUSE_SECONDS
        return RedisAwayError()
