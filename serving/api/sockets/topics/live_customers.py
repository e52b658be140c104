"""`live-customers`: rows of bank customers whose figures or segment have changed.

An offset is `<start>.<revision>.<position>`: when live segments were started, their transaction,
and how many of its customers were sent. Each row is as it is when it is read: a customer who
changed twice meanwhile comes twice with the newest figures, never with older ones.
"""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

from psycopg import sql

from serving.access.permissions import Permission
from serving.api.models.banking import LiveCustomer
from serving.api.sockets.topic import Batch, not_an_offset, too_old
from serving.api.warehouse import Row, Warehouse

MOST_ROWS = 500
MOST_RESUMED = 5_000
MOST_BEHIND = 5_000
_COMMAND = "insight segment-live"

_STATE = sql.SQL(
    """select (extract(epoch from started_at) * 1000)::bigint as start, revision,
           coalesce((select min(revision) from segmentation.live_change_log), revision + 1) as kept
       from segmentation.live_state"""
)
_BEHIND = sql.SQL(
    """select coalesce(sum(customers), 0)::bigint as customers from segmentation.live_change_log
       where revision > %s and revision <= %s"""
)
_CHANGED = sql.SQL(
    """select revision, position, customer_id
       from segmentation.live_change_log
       cross join unnest(customer_ids) with ordinality as changed (customer_id, position)
       where revision >= %s and revision <= %s and (revision, position) > (%s, %s)
       order by revision, position limit %s"""
)
_ROWS = sql.SQL(
    "select {} from segmentation.live_customers where customer_id = any(%s) order by customer_id"
).format(sql.SQL(", ").join(map(sql.Identifier, LiveCustomer.model_fields)))
_OFFSET = re.compile(r"(\d{1,15})\.(\d{1,18})\.(\d{1,9})", re.ASCII)


@dataclass(frozen=True, order=True)
class Place:
    """`position` customers of transaction `revision` were sent, and all of those before it."""

    start: int = 0
    revision: int = 0
    position: int = 0

    def __str__(self) -> str:
        return f"{self.start}.{self.revision}.{self.position}"

    @classmethod
    def of(cls, text: str) -> "Place":
        """Raises OffsetError when the text is no place."""
        found = _OFFSET.fullmatch(text)
        if found is None:
            raise not_an_offset()
        return cls(*map(int, found.groups()))


# All of a transaction's customers: there can be no more.
_END = 999_999_999


class LiveCustomers:
    """Follows the log of changes that live segments keep for some minutes."""

    name = "live-customers"
    permission = Permission.insights_read
    seconds = 0.5

    def __init__(self, warehouse: Warehouse):
        self._warehouse = warehouse

    async def start(self) -> str:
        return str((await self._present())[0])

    async def read(self, after: str) -> Batch:
        place = Place.of(after)
        present, kept = await self._present()
        if present.start == 0:
            # Between an end and a new start there is nothing to tell.
            return Batch([], after)
        if present.start != place.start or kept > place.revision + 1:
            # Started over, or the changes in between are forgotten: the list has them.
            return Batch([], str(present), skipped=1)
        behind = await self._behind(place, present)
        if behind > MOST_BEHIND:
            return Batch([], str(present), skipped=behind)
        return await self._next(place, present)

    async def resume(self, since: str | None, until: str) -> AsyncIterator[Batch]:
        if since is None:
            return
        place, end = Place.of(since), Place.of(until)
        present, kept = await self._present()
        if place.start != present.start:
            raise too_old("Live segments were started over since.")
        if place.revision > present.revision:
            raise not_an_offset()
        if kept > place.revision + 1:
            raise too_old("What changed right after it is no longer kept.")
        if (behind := await self._behind(place, end)) > MOST_RESUMED:
            raise too_old(f"{behind} customers have changed since.")
        while True:
            batch = await self._next(place, end)
            if batch.rows:
                yield batch
            place = Place.of(batch.offset)
            if not batch.is_more:
                return

    async def _present(self) -> tuple[Place, int]:
        """The end of the last transaction, and the first one whose changes are still kept."""
        rows = await self._warehouse.rows(_STATE, build_with=_COMMAND)
        if not rows:
            return Place(), 0
        return Place(rows[0]["start"], rows[0]["revision"], _END), rows[0]["kept"]

    async def _behind(self, place: Place, end: Place) -> int:
        if place >= end:
            return 0
        row = await self._warehouse.row(_BEHIND, (place.revision, end.revision))
        assert row is not None
        return int(row["customers"])

    async def _next(self, place: Place, end: Place) -> Batch:
        if place >= end:
            return Batch([], str(place))
        changed = await self._warehouse.rows(
            _CHANGED,
            (place.revision, end.revision, place.revision, place.position, MOST_ROWS + 1),
        )
        is_more = len(changed) > MOST_ROWS
        changed = changed[:MOST_ROWS]
        after = end
        if is_more:
            after = Place(place.start, changed[-1]["revision"], changed[-1]["position"])
        rows: list[Row] = []
        if changed:
            ids = sorted({row["customer_id"] for row in changed})
            rows = await self._warehouse.rows(_ROWS, (ids,))
        return Batch(rows, str(after), is_more=is_more)
