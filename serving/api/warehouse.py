"""The API's connections to Postgres: a bounded pool that reads, and a small one that writes."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, LiteralString

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests

from insight.database import DatabaseEndpoint
from serving.api.problems import not_built

BUILD_ALL = "insight run"
_WAIT_SECONDS = 3.0
_WRITERS = 3

_NOT_MENDED_BY_A_RETRY = (psycopg.errors.QueryCanceled, PoolTimeout, TooManyRequests)

Row = dict[str, Any]
Query = LiteralString | sql.SQL | sql.Composed
Pool = AsyncConnectionPool[AsyncConnection[Row]]


class Warehouse:
    """Answers queries with rows as dicts, as a role that can only read what is served."""

    def __init__(self, reader: DatabaseEndpoint, connections: int):
        self._pool = _pool(reader, connections, "insight api reader", autocommit=True)

    async def open(self) -> None:
        """Return at once: an unreachable server is found out by requests, and tried again."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        await self._pool.close()

    async def rows(
        self, query: Query, values: Sequence[object] = (), *, build_with: str = BUILD_ALL
    ) -> list[Row]:
        """All rows of a query. A table that is missing is a 503 that says how to build it."""
        try:
            try:
                return await self._rows(query, values)
            except psycopg.OperationalError as error:
                if isinstance(error, _NOT_MENDED_BY_A_RETRY):
                    raise
                # A connection of before the server's restart; reading again does no harm.
                await self._pool.check()
                return await self._rows(query, values)
        except (
            psycopg.errors.UndefinedTable,
            psycopg.errors.UndefinedColumn,
            psycopg.errors.InvalidSchemaName,
        ) as error:
            raise not_built(_named(error), build_with) from error

    async def row(self, query: Query, values: Sequence[object] = ()) -> Row | None:
        """The first row, None when there is none."""
        rows = await self.rows(query, values)
        return rows[0] if rows else None

    async def _rows(self, query: Query, values: Sequence[object]) -> list[Row]:
        async with self._pool.connection(_WAIT_SECONDS) as connection:
            cursor = await connection.execute(query, values)
            return await cursor.fetchall()


class Writer:
    """Transactions of the few writes: keys, their last use, answers to repeat, the audit log."""

    def __init__(self, writer: DatabaseEndpoint):
        self._pool = _pool(writer, _WRITERS, "insight api writer", autocommit=False)

    async def open(self) -> None:
        await self._pool.open(wait=False)

    async def close(self) -> None:
        await self._pool.close()

    async def mend(self) -> None:
        """Throw connections away that broke, for instance with the server."""
        await self._pool.check()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection[Row]]:
        """Committed at the end of the block, rolled back on an error."""
        async with self._pool.connection(_WAIT_SECONDS) as connection:
            yield connection


def _named(error: psycopg.Error) -> str:
    """The missing table as Postgres names it: `relation "marts.x" does not exist`."""
    quoted = (error.diag.message_primary or "").split('"')
    return quoted[1] if len(quoted) > 1 else "a table of the warehouse"


def connection_options(
    endpoint: DatabaseEndpoint, name: str, *, autocommit: bool
) -> dict[str, Any]:
    """What psycopg takes to connect. A server whose machine vanished is noticed within 35 s."""
    return {
        "host": endpoint.host,
        "port": endpoint.port,
        "user": endpoint.user,
        "password": endpoint.password.get_secret_value(),
        "dbname": endpoint.dbname,
        "autocommit": autocommit,
        "connect_timeout": 5,
        "keepalives_idle": 20,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 10_000,
        "application_name": name,
        "options": "-c timezone=UTC",
        **dict(endpoint.encryption),
    }


def _pool(endpoint: DatabaseEndpoint, size: int, name: str, *, autocommit: bool) -> Pool:
    return AsyncConnectionPool(
        kwargs={
            **connection_options(endpoint, name, autocommit=autocommit),
            "row_factory": dict_row,
        },
        connection_class=AsyncConnection[Row],
        min_size=1,
        max_size=size,
        max_waiting=20 * size,
        timeout=_WAIT_SECONDS,
        reconnect_timeout=5,
        name=name,
        open=False,
    )
