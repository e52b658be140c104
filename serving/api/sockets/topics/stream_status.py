"""`stream-status`: the state of each stream, first as it is, then whenever it has changed.

An offset is the moment of a reading, in milliseconds. There is no history: who resumes gets the
state of all streams, so no offset is too old.
"""

import re
from collections.abc import AsyncIterator

from psycopg import sql

from serving.access.permissions import Permission
from serving.api.models.streams import Stream
from serving.api.sockets.topic import Batch, not_an_offset
from serving.api.warehouse import Row, Warehouse

_ALL = sql.SQL(
    """select {}, (extract(epoch from clock_timestamp()) * 1000)::bigint as read_at
       from streaming.stream_status order by stream"""
).format(sql.SQL(", ").join(map(sql.Identifier, Stream.model_fields)))
_OFFSET = re.compile(r"\d{1,18}", re.ASCII)


class StreamStatus:
    """Remembers what it read last, to tell what is new."""

    name = "stream-status"
    permission = Permission.streams_read
    seconds = 1.0

    def __init__(self, warehouse: Warehouse):
        self._warehouse = warehouse
        self._known: dict[str, Row] = {}

    async def start(self) -> str:
        rows, offset = await self._read("0")
        self._known = {row["stream"]: row for row in rows}
        return offset

    async def read(self, after: str) -> Batch:
        rows, offset = await self._read(after)
        changed = [row for row in rows if self._known.get(row["stream"]) != row]
        self._known = {row["stream"]: row for row in rows}
        return Batch(changed, offset if changed else after)

    async def resume(self, since: str | None, until: str) -> AsyncIterator[Batch]:
        if since is not None and not _OFFSET.fullmatch(since):
            raise not_an_offset()
        rows, offset = await self._read(until)
        yield Batch(rows, offset)

    async def _read(self, offset: str) -> tuple[list[Row], str]:
        rows = await self._warehouse.rows(_ALL, build_with="insight stream")
        moments = [row.pop("read_at") for row in rows]
        return rows, str(max(moments, default=offset))
