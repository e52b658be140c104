"""What time it is for a rule, and whose events entered or left a window since.

A rule is asked as of the newest event of the streams that it reads (decision 28), so a history
that is played expires as it did then, and a replay gives the same members on any day.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import compress

from psycopg import sql

from insight.database import Connection
from segmentation.queries.plan import Plan
from segmentation.rules import spec
from segmentation.rules.catalogue import Stream
from segmentation.rules.windows import Window

EARLIEST = datetime(1, 1, 1, tzinfo=UTC)
# Of a stream without events: whatever is asked then, nothing is found.
BEFORE_ALL = datetime(1970, 1, 1, tzinfo=UTC)

Span = tuple[datetime, datetime]


class Clock(StrEnum):
    """`events`: as of the newest event. `wall`: the later of that and the time of day."""

    events = "events"
    wall = "wall"


def newest_events(connection: Connection) -> dict[str, datetime]:
    """The second after the newest event of each stream that has one."""
    rows = connection.execute(
        """select stream, max(last_event_at) from streaming.stream_progress
           where last_event_at is not null group by stream"""
    )
    found = {}
    for stream, at in rows:
        assert isinstance(at, datetime)
        found[str(stream)] = at.replace(microsecond=0) + timedelta(seconds=1)
    return found


def moment_of(
    streams: Iterable[str], newest: Mapping[str, datetime], wall: datetime | None = None
) -> datetime:
    """As of when a rule that reads these streams is asked; `wall` only if the clock is that."""
    moment = max((newest[each] for each in streams if each in newest), default=BEFORE_ALL)
    return moment if wall is None else max(moment, wall)


def moved_spans(plan: Plan, before: datetime, after: datetime) -> dict[str, set[Span]]:
    """Of each stream, the event times that are in a window at one moment and not at the other.

    Who has an event there, or one that is new, may have another result; nobody else.
    """
    spans: dict[str, set[Span]] = {}
    for leaf in plan.leaves:
        if isinstance(leaf, spec.Aggregate | spec.Sequence):
            moved = _moved(leaf.window, before, after)
            for _, step in spec.steps_of(leaf):
                spans.setdefault(step.stream, set()).update(moved)
    return spans


def customers_within(
    connection: Connection, stream: Stream, spans: Sequence[Span]
) -> dict[Span, set[str]]:
    """Who has an event of a stream in each [start, end); by the index on time, in one pass."""
    found: dict[Span, set[str]] = {span: set() for span in spans}
    if not spans:
        return found
    at = sql.Identifier(stream.event_time)
    within = [
        sql.SQL("({at} >= {start} and {at} < {end})").format(at=at, start=start, end=end)
        for start, end in spans
    ]
    statement = sql.SQL("select distinct {customer}, array[{within}] from {table} where {some}")
    rows = connection.execute(
        statement.format(
            customer=sql.Identifier(stream.customer),
            within=sql.SQL(", ").join(within),
            table=sql.Identifier(stream.schema, stream.table),
            some=sql.SQL(" or ").join(within),
        )
    )
    for customer, holds in rows:
        assert isinstance(holds, list)
        for span in compress(spans, holds):
            found[span].add(str(customer))
    return found


def _moved(window: Window, before: datetime, after: datetime) -> set[Span]:
    """What lies in exactly one of two intervals."""
    first, second = _interval(window, before), _interval(window, after)
    if first is None or second is None:
        return {each for each in (first, second) if each}
    if first[1] <= second[0] or second[1] <= first[0]:
        return {first, second}
    edges = [sorted(pair) for pair in zip(first, second, strict=True)]
    return {(low, high) for low, high in edges if low < high}


def _interval(window: Window, as_of: datetime) -> Span | None:
    start, end = window.bounds(as_of)
    start = EARLIEST if start is None else start
    return (start, end) if start < end else None
