"""`transactions`: sales of the tills as they are loaded, with the names of product and store.

An offset names the next offset of each partition, as `<partition id>:<offset>` joined by dots, so
that nothing is lost between partitions whose loads commit in any order. A message that was mended
in quarantine has an old offset and is not sent.
"""

import re
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from psycopg import sql

from serving.access.permissions import Permission
from serving.api.problems import Problem
from serving.api.sockets.topic import Batch, not_an_offset, too_old
from serving.api.warehouse import Row, Warehouse

Place = Mapping[int, int]

# Of one message; of what a listener gets who resumes; and beyond which the rest is skipped.
MOST_ROWS = 500
MOST_RESUMED = 5_000
MOST_BEHIND = 5_000
_NAMES_SECONDS = 60.0

_PARTITIONS = sql.SQL(
    """select partition_id, first_offset, next_offset from streaming.partition_status
       where stream = 'transactions'"""
)
_ROWS = sql.SQL(
    """select feed.transaction_id, feed.product_id, feed.store_id, feed.customer_id, feed.amount,
           feed.sold_at, feed.loaded_at
       from unnest(%s::integer[], %s::bigint[], %s::bigint[]) as span (partition_id, low, high)
       join streaming.transaction_feed as feed
           on feed.partition_id = span.partition_id
           and feed."offset" >= span.low and feed."offset" < span.high
       order by feed.loaded_at, feed.partition_id, feed."offset" """
)
_PRODUCTS = sql.SQL("select product_id as id, product_name as name from marts.dim_pos_products")
_STORES = sql.SQL("select store_id as id, store_name as name from marts.dim_pos_stores")
_OFFSET = re.compile(r"(\d{1,9}:\d{1,18})(\.\d{1,9}:\d{1,18})*", re.ASCII)
_EMPTY = "-"


@dataclass(frozen=True)
class Step:
    """Offsets `low` to `high` - 1 of some partitions, and the place after them."""

    low: dict[int, int]
    high: dict[int, int]
    place: dict[int, int]

    @property
    def size(self) -> int:
        return sum(self.high[each] - self.low[each] for each in self.low)


def next_step(after: Place, until: Place, most: int) -> Step:
    """The next offsets between two places, about `most`, a fair part of each partition."""
    behind = {each: until[each] - after.get(each, until[each]) for each in until}
    behind = {each: size for each, size in behind.items() if size > 0}
    part = max(1, most // max(1, len(behind)))
    low = {each: after[each] for each in behind}
    high = {each: after[each] + min(size, part) for each, size in behind.items()}
    return Step(low, high, {**after, **high})


def place_text(place: Place) -> str:
    return ".".join(f"{each}:{place[each]}" for each in sorted(place)) or _EMPTY


def place_of(text: str) -> dict[int, int]:
    """Raises OffsetError when the text is no place."""
    if text == _EMPTY:
        return {}
    if not _OFFSET.fullmatch(text):
        raise not_an_offset()
    pairs = [each.split(":") for each in text.split(".")]
    return {int(partition): int(offset) for partition, offset in pairs}


class Transactions:
    """Reads raw rows by partition and offset, of which there is an index."""

    name = "transactions"
    permission = Permission.insights_read
    seconds = 0.5

    def __init__(self, warehouse: Warehouse):
        self._warehouse = warehouse
        self._products: dict[str, str] = {}
        self._stores: dict[str, str] = {}
        self._names_read_at = -_NAMES_SECONDS

    async def start(self) -> str:
        _, loaded = await self._bounds()
        return place_text(loaded)

    async def read(self, after: str) -> Batch:
        first, loaded = await self._bounds()
        # A partition that is new is read from its first message on.
        place = {**first, **place_of(after)}
        skipped = 0
        behind = next_step(place, loaded, 2**62)
        if behind.size > MOST_BEHIND:
            newest = {each: max(place[each], loaded[each] - MOST_ROWS) for each in behind.low}
            skipped = sum(newest[each] - place[each] for each in newest)
            place = {**place, **newest}
        step = next_step(place, loaded, MOST_ROWS)
        rows = await self._rows(step)
        return Batch(rows, place_text(step.place), skipped, is_more=step.size < behind.size)

    async def resume(self, since: str | None, until: str) -> AsyncIterator[Batch]:
        if since is None:
            return
        place, end = place_of(since), place_of(until)
        first, loaded = await self._bounds()
        if any(offset > loaded.get(each, -1) for each, offset in place.items()):
            raise not_an_offset()
        place = {**{each: first.get(each, 0) for each in end}, **place}
        step = next_step(place, end, 2**62)
        if step.size > MOST_RESUMED:
            raise too_old(f"{step.size} sales were loaded since.")
        while (step := next_step(place, end, MOST_ROWS)).size:
            place = step.place
            yield Batch(await self._rows(step), place_text(place))

    async def _bounds(self) -> tuple[dict[int, int], dict[int, int]]:
        """The first offset of each partition, and the one that is loaded next."""
        rows = await self._warehouse.rows(_PARTITIONS, build_with="insight stream")
        return (
            {row["partition_id"]: row["first_offset"] for row in rows},
            {row["partition_id"]: row["next_offset"] for row in rows},
        )

    async def _rows(self, step: Step) -> list[Row]:
        if not step.size:
            return []
        partitions = list(step.low)
        low, high = ([side[each] for each in partitions] for side in (step.low, step.high))
        rows = await self._warehouse.rows(_ROWS, (partitions, low, high))
        await self._read_names()
        for row in rows:
            row["product_name"] = self._products.get(row["product_id"])
            row["store_name"] = self._stores.get(row["store_id"])
        return rows

    async def _read_names(self) -> None:
        """Names of products and stores, read again each minute; none before the first build."""
        if time.monotonic() - self._names_read_at < _NAMES_SECONDS:
            return
        self._names_read_at = time.monotonic()
        self._products = await self._names(_PRODUCTS)
        self._stores = await self._names(_STORES)

    async def _names(self, query: sql.SQL) -> dict[str, str]:
        try:
            return {row["id"]: row["name"] for row in await self._warehouse.rows(query)}
        except Problem:
            return {}
