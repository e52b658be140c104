"""Asking rules who is in, and writing who entered and left: each call in one transaction.

A round asks only those customers whose answer can have changed: who has new rows, whose events
entered or left a window since the last time, and who entered or left a segment that is read. The
first time, and for a new version, `ask_all` asks everybody; what is written is the difference.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

import psycopg

from insight.database import Connection
from segmentation.rules.catalogue import CUSTOMER_DIMENSION, Catalogue
from segmentation.runtime.arrivals import take_changed
from segmentation.runtime.changes import (
    Place,
    Told,
    change,
    change_together,
    empty,
    keep_places,
    read_places,
    unanswered,
)
from segmentation.runtime.clock import (
    Span,
    customers_within,
    moment_of,
    moved_spans,
    newest_events,
)
from segmentation.runtime.pipelines import SEGMENT_SOURCE, Pipeline
from segmentation.runtime.sharing import Sharing, can_share

# Fewer rules are asked one by one: what they share is not worth a longer statement.
SHARE_FROM = 3


@dataclass
class Round:
    """What one transaction did: changes by segment, and what could not be asked, with the reason.

    `asked` counts customers, once for each segment.
    """

    changes: dict[str, int] = field(default_factory=dict)
    asked: int = 0
    failures: dict[str, str] = field(default_factory=dict)


def traits_state(connection: Connection) -> str:
    """A text that changes whenever rows of the customer dimension may have.

    dbt makes the table anew at each build; other writes are counted by Postgres. After a crash it
    counts from 0, and customers are asked once in vain.
    """
    row = connection.execute(
        """select concat_ws('/', oid, relfilenode, pg_stat_get_tuples_inserted(oid),
                   pg_stat_get_tuples_updated(oid), pg_stat_get_tuples_deleted(oid))
           from pg_class where oid = to_regclass(%s)""",
        (".".join(CUSTOMER_DIMENSION),),
    ).fetchone()
    return "" if row is None else str(row[0])


def wants_all(pipeline: Pipeline, place: Place | None, traits: str) -> bool:
    """Whether everybody must be asked: a new version, changed traits, or changes unknown."""
    if place is None or place.version != pipeline.version or place.asks_all:
        return True
    return pipeline.has_traits and place.traits_state != traits


def ask_all(
    connection: Connection,
    pipeline: Pipeline,
    *,
    is_read: bool,
    wall: datetime | None = None,
    before_commit: Callable[[], None] = lambda: None,
) -> Round:
    """Ask everybody, and write the difference to the members there are, of whatever version.

    Raises InputError when the rule cannot be asked. If `is_read`, whoever entered or left is noted
    for the segments that read this one.
    """
    done = Round()
    with one_snapshot(connection):
        # Before the customers are read: what changes meanwhile is seen the next time.
        traits = traits_state(connection)
        as_of = moment_of(pipeline.clock, newest_events(connection), wall)
        try:
            told = change(connection, pipeline, as_of)
        except psycopg.DatabaseError as error:
            raise unanswered(error) from error
        if is_read:
            _note_readers(connection, pipeline.segment, told)
        keep_places(connection, [(pipeline, as_of, traits)])
        done.changes[pipeline.segment] = len(told)
        before_commit()
    return done


def ask_changed(
    connection: Connection,
    pipelines: Sequence[Pipeline],
    catalogue: Catalogue,
    sharing: Sharing,
    *,
    wall: datetime | None = None,
    share_from: int = SHARE_FROM,
    before_commit: Callable[[], None] = lambda: None,
) -> Round:
    """Ask those customers whose answer can have changed, segment after segment.

    `pipelines` are in the order of what they read. Those that want everybody are passed over: they
    lose nothing, because `ask_all` follows. So it does for one that cannot be asked. When so many
    as `share_from` are asked as of one moment, they are asked together.
    """
    done = Round()
    kept: list[tuple[Pipeline, datetime, str | None]] = []
    with one_snapshot(connection):
        asking = _Asking(connection, pipelines, catalogue, wall)
        shared = asking.ask_together(sharing, share_from)
        for each in asking.pipelines:
            place, as_of = asking.places[each.segment], asking.moments[each.segment]
            customers = asking.customers_of(each)
            if customers is None or len(customers) > shared.most_customers(each):
                _ask_all_next(connection, each.segment)
                continue
            if not customers and as_of == place.as_of:
                continue
            told = shared.told.get(each.segment)
            if told is None:
                try:
                    with connection.transaction():
                        told = change(connection, each, as_of, sorted(customers))
                except psycopg.DatabaseError as error:
                    done.failures[each.segment] = unanswered(error).what
                    _ask_all_next(connection, each.segment)
                    continue
            done.asked += len(customers)
            done.changes[each.segment] = len(told)
            asking.note(each, told)
            kept.append((each, as_of, place.traits_state))
        keep_places(connection, kept)
        if done.changes:
            before_commit()
    return done


def ask_all_if_all_changed(connection: Connection, pipelines: Sequence[Pipeline]) -> None:
    """Mark the segments of which a source says that everybody changed, so that `ask_all` follows.

    Before that follows: what it asks is then not asked again by the next round.
    """
    with connection.transaction():
        rows = connection.execute(
            "delete from segmentation.changed_customers where customer_id is null returning source"
        )
        sources = {str(source) for (source,) in rows}
        for each in pipelines:
            if sources.intersection(each.sources):
                _ask_all_next(connection, each.segment)


def leave_all(connection: Connection, segment: str, *, is_read: bool) -> Round:
    """Everybody leaves a segment that is no longer in use; its place is forgotten."""
    with one_snapshot(connection):
        place = read_places(connection)[segment]
        told = empty(connection, segment, place)
        if is_read:
            _note_readers(connection, segment, told)
        connection.execute("delete from segmentation.pipelines where segment = %s", (segment,))
    return Round({segment: len(told)})


@contextmanager
def one_snapshot(connection: Connection) -> Iterator[None]:
    """A transaction whose statements all see the same rows, so that nothing is told by halves."""
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read")
        yield


@dataclass(frozen=True)
class _Shared:
    """Of segments that were asked together, who entered or left, and how many shared a question."""

    told: Told = field(default_factory=dict)
    sharing: dict[str, int] = field(default_factory=dict)

    def most_customers(self, pipeline: Pipeline) -> int:
        """Past so many it is quicker to ask everybody; those who share, share the cost."""
        return pipeline.job.most_customers * self.sharing.get(pipeline.segment, 1)


class _Asking:
    """Whom a round has to ask, and as of when."""

    def __init__(
        self,
        connection: Connection,
        pipelines: Sequence[Pipeline],
        catalogue: Catalogue,
        wall: datetime | None,
    ):
        self._connection = connection
        self.changed = take_changed(connection)
        self.places = read_places(connection)
        traits, newest = traits_state(connection), newest_events(connection)
        self.pipelines = [
            each for each in pipelines if not wants_all(each, self.places.get(each.segment), traits)
        ]
        self.moments = {
            each.segment: max(self.places[each.segment].as_of, moment_of(each.clock, newest, wall))
            for each in self.pipelines
        }
        self._spans = {each.segment: self._moved(each) for each in self.pipelines}
        self._within = self._find_within(catalogue)
        self._customers: dict[object, set[str] | None] = {}

    def note(self, pipeline: Pipeline, customers: Iterable[str]) -> None:
        """For the segments that read this one: beside those whom `ask_all` noted before."""
        noted = self.changed.setdefault(SEGMENT_SOURCE + pipeline.segment, set())
        if noted is not None:
            noted.update(customers)

    def customers_of(self, pipeline: Pipeline) -> set[str] | None:
        """Whose answer can be another one than the last time; None for everybody."""
        spans = self._spans[pipeline.segment]
        # Most rules read the same and have the same windows.
        key = (pipeline.sources, spans)
        if key not in self._customers or pipeline.reads:
            self._customers[key] = self._find_customers(pipeline.sources, spans)
        return self._customers[key]

    def ask_together(self, sharing: Sharing, share_from: int) -> "_Shared":
        """Ask those that share much, of each moment; whoever cannot be is asked by itself later."""
        by_moment: dict[datetime, list[Pipeline]] = {}
        for each in self.pipelines:
            if can_share(each) and self.customers_of(each) is not None:
                by_moment.setdefault(self.moments[each.segment], []).append(each)
        shared = _Shared()
        for as_of, pipelines in by_moment.items():
            few = [
                each
                for each in pipelines
                if len(self.customers_of(each) or ()) <= each.job.most_customers * len(pipelines)
            ]
            # All of them, also one that has nobody to ask: so most rounds have the same statement.
            customers = sorted(set().union(*(self.customers_of(each) or () for each in few)))
            if len(few) >= share_from and customers:
                for part, query in sharing.together(few):
                    try:
                        with self._connection.transaction():
                            told = change_together(self._connection, part, query, as_of, customers)
                    except psycopg.DatabaseError as error:
                        # Each by itself then: the one that is at fault says so.
                        unanswered(error)
                        continue
                    shared.told.update({each.segment: told.get(each.segment, []) for each in part})
                    shared.sharing.update(dict.fromkeys((e.segment for e in part), len(pipelines)))
        return shared

    def _find_customers(
        self, sources: Sequence[str], spans: Iterable[tuple[str, Span]]
    ) -> set[str] | None:
        found: set[str] = set()
        for source in sources:
            some = self.changed.get(source, set())
            if some is None:
                return None
            found |= some
        return found.union(*(self._within[each] for each in spans))

    def _moved(self, pipeline: Pipeline) -> frozenset[tuple[str, Span]]:
        before, after = self.places[pipeline.segment].as_of, self.moments[pipeline.segment]
        return frozenset(
            (stream, span)
            for stream, spans in moved_spans(pipeline.plan, before, after).items()
            for span in spans
        )

    def _find_within(self, catalogue: Catalogue) -> dict[tuple[str, Span], set[str]]:
        """Who has events in the spans that moved: rules share most of them."""
        by_stream: dict[str, set[Span]] = {}
        for stream, span in set().union(*self._spans.values()):
            by_stream.setdefault(stream, set()).add(span)
        return {
            (stream, span): customers
            for stream, spans in by_stream.items()
            for span, customers in customers_within(
                self._connection, catalogue.streams[stream], sorted(spans)
            ).items()
        }


def _ask_all_next(connection: Connection, segment: str) -> None:
    connection.execute(
        "update segmentation.pipelines set asks_all = true where segment = %s", (segment,)
    )


def _note_readers(connection: Connection, segment: str, customers: Sequence[str]) -> None:
    connection.execute(
        """insert into segmentation.changed_customers (source, customer_id)
           select %s, * from unnest(%s::text[])""",
        (SEGMENT_SOURCE + segment, list(customers)),
    )
