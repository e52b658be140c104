"""`segment-membership`: who entered and left segments by rule.

An offset is the id of the last change that was sent. One process at a time writes changes, each
round in one transaction, so ids are seen in their order.
"""

import re
from collections.abc import AsyncIterator

from psycopg import sql

from serving.access.permissions import Permission
from serving.api.models.segments import ChangeOfSegment
from serving.api.sockets.topic import Batch, not_an_offset, too_old
from serving.api.warehouse import Warehouse

MOST_ROWS = 500
MOST_BEHIND = 5_000

_NEWEST = sql.SQL(
    "select coalesce(max(change_id), 0) as newest from segmentation.membership_changes"
)
_BEHIND = sql.SQL(
    """select count(*) as changes from segmentation.membership_changes
       where change_id > %s and change_id <= %s"""
)
_CHANGES = sql.SQL(
    """select {} from segmentation.membership_changes
       where change_id > %s and change_id <= %s order by change_id limit %s"""
).format(sql.SQL(", ").join(map(sql.Identifier, ChangeOfSegment.model_fields)))
_OFFSET = re.compile(r"\d{1,18}", re.ASCII)


class SegmentMembership:
    """Follows the changes that the runtime of segments by rule writes; they are all kept."""

    name = "segment-membership"
    permission = Permission.segments_read
    seconds = 0.5

    def __init__(self, warehouse: Warehouse):
        self._warehouse = warehouse

    async def start(self) -> str:
        return str(await self._newest())

    async def read(self, after: str) -> Batch:
        place, newest = _place(after), await self._newest()
        # Ids have gaps, so the distance is a bound of the number.
        if newest - place > MOST_BEHIND:
            behind = await self._behind(place, newest)
            if behind > MOST_BEHIND:
                return Batch([], str(newest), skipped=behind)
        return await self._next(place, newest)

    async def resume(self, since: str | None, until: str) -> AsyncIterator[Batch]:
        if since is None:
            return
        place, end = _place(since), _place(until)
        if place > end:
            raise not_an_offset()
        if (behind := await self._behind(place, end)) > MOST_BEHIND:
            raise too_old(f"{behind} customers have entered and left since.")
        while True:
            batch = await self._next(place, end)
            if batch.rows:
                yield batch
            place = _place(batch.offset)
            if not batch.is_more:
                return

    async def _newest(self) -> int:
        row = await self._warehouse.row(_NEWEST)
        assert row is not None
        return int(row["newest"])

    async def _behind(self, place: int, end: int) -> int:
        row = await self._warehouse.row(_BEHIND, (place, end))
        assert row is not None
        return int(row["changes"])

    async def _next(self, place: int, end: int) -> Batch:
        if place >= end:
            return Batch([], str(place))
        found = await self._warehouse.rows(_CHANGES, (place, end, MOST_ROWS + 1))
        rows, is_more = found[:MOST_ROWS], len(found) > MOST_ROWS
        after = rows[-1]["change_id"] if is_more else end
        return Batch(rows, str(after), is_more=is_more)


def _place(text: str) -> int:
    if _OFFSET.fullmatch(text) is None:
        raise not_an_offset()
    return int(text)
