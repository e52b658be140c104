"""Redis as the API uses it: quick, and allowed to be away."""

import asyncio
import logging
import time
from typing import Any

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from insight.services import RedisEndpoint

# A busy event loop delays answers that are there: much less would take that for an outage.
_SECONDS = 0.5
# After a failure Redis is not asked again for so long: a request must not wait for it each time.
_PAUSE_SECONDS = 1.0

_MOST_AT_ONCE = 100

# A key, and where its value goes.
_Asked = tuple[str, "asyncio.Future[bytes | None]"]

_logger = logging.getLogger(__name__)


class RedisAwayError(Exception):
    """Redis does not answer, or did not a moment ago."""


class RedisLink:
    """A few connections; each call is one round trip of at most half a second."""

    def __init__(self, endpoint: RedisEndpoint):
        self._client: Any = redis.Redis.from_url(
            endpoint.url.get_secret_value(),
            # One timeout around each call below costs less than one around each read and write.
            socket_timeout=None,
            socket_connect_timeout=_SECONDS,
            retry=Retry(NoBackoff(), 1),
            max_connections=16,
        )
        self._away_until = 0.0
        self._asked: list[_Asked] = []
        self._reading: asyncio.Task[None] | None = None

    async def close(self) -> None:
        await self._client.aclose()

    async def read(self, key: str) -> bytes | None:
        """The value of a key, None when there is none. Raises RedisAwayError."""
        self._refuse_while_away()
        answer: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._asked.append((key, answer))
        if self._reading is None:
            self._reading = asyncio.create_task(self._read_asked())
        return await answer

    async def _read_asked(self) -> None:
        """Read what is asked for, and what is asked for meanwhile: all of that in one round trip.

        Under load the cost of a read falls, where one connection a request would make it rise.
        """
        try:
            while self._asked:
                batch, self._asked = self._asked[:_MOST_AT_ONCE], self._asked[_MOST_AT_ONCE:]
                await self._read(batch)
        finally:
            self._reading = None

    async def _read(self, batch: list[_Asked]) -> None:
        try:
            async with asyncio.timeout(_SECONDS):
                found = await self._client.mget([key for key, _ in batch])
        except (redis.RedisError, OSError) as error:
            away = self._away(error)
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(away)
            return
        for (_, answer), value in zip(batch, found, strict=True):
            # Its caller may have gone away.
            if not answer.done():
                answer.set_result(value)

    async def count(self, key: str, amount: int, seconds: int) -> int | None:
        """Add to a counter that ends after so many seconds; its value, None when Redis is away."""
        try:
            self._refuse_while_away()
            async with asyncio.timeout(_SECONDS):
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
            async with asyncio.timeout(_SECONDS):
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
