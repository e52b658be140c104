"""Keys that were revoked elsewhere, told by Postgres: this server forgets what it knows of them.

A notice can be missed while the connection is away. So everything is forgotten whenever it is back,
and a key is read again every few seconds in any case.
"""

import asyncio
import logging

import psycopg
from psycopg import AsyncConnection, sql

from insight.database import DatabaseEndpoint
from serving.access.keys import REVOKED_CHANNEL
from serving.api.gate import KeyDirectory
from serving.api.warehouse import connection_options

_logger = logging.getLogger(__name__)

_RECONNECT_SECONDS = 1.0


class Revocations:
    """Listens as long as the server runs."""

    def __init__(self, writer: DatabaseEndpoint, keys: KeyDirectory):
        self._options = connection_options(writer, "insight api revocations", autocommit=True)
        self._keys = keys
        self._listening: asyncio.Task[None] | None = None

    async def open(self) -> None:
        self._listening = asyncio.create_task(self._listen_on())

    async def close(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)

    async def _listen_on(self) -> None:
        while True:
            try:
                await self._listen()
            except psycopg.OperationalError as error:
                _logger.info("revocations are not heard: %s", " ".join(str(error).split()))
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _listen(self) -> None:
        async with await AsyncConnection.connect(**self._options) as connection:
            await connection.execute(sql.SQL("listen {}").format(sql.Identifier(REVOKED_CHANNEL)))
            self._keys.forget_all()
            async for notice in connection.notifies():
                self._keys.forget(notice.payload)
