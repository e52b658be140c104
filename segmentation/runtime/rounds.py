"""Asking rules who is in, and writing who entered and left: each call in one transaction.

A round asks only those customers whose answer can have changed: who has new rows, whose events
entered or left a window since the last time, and who entered or left a segment that is read. The
first time, and for a new version, `ask_all` asks everybody; what is written is the difference.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

import psycopg

from insight.database import Connection
from insight.errors import InputError
from segmentation.queries.compile import Query
from segmentation.queries.plan import Plan
from segmentation.rules import spec
from segmentation.rules.catalogue import CUSTOMER_DIMENSION, Catalogue
from segmentation.runtime.arrivals import take_changed
from segmentation.runtime.clock import (
    Span,
    customers_within,
    moment_of,
    moved_spans,
    newest_events,
)
from segmentation.runtime.pipelines import SEGMENT_SOURCE, Pipeline
from segmentation.runtime.sharing import SharedMeasures

# Fewer rules are asked one by one: a table in each round costs the catalogue of Postgres some rows.
SHARE_FROM = 3

# Changes in one order, so that ids grow alike however Postgres joins.
_CHANGE = """
with result as materialized (
{query}
),
before as (
    select customer_id from segmentation.current_members
    where segment = %(segment)s {only}
),
changed as materialized (
    select
        coalesce(result.customer_id, before.customer_id) as customer_id,
        before.customer_id is null as enters,
        {evidence} as evidence
    from result
    full join before on before.customer_id = result.customer_id
    where (result.matches is true) <> (before.customer_id is not null)
),
entered as (
    insert into segmentation.current_members (segment, customer_id, since)
    select %(segment)s, customer_id, %(as_of)s from changed where enters
),
gone as (
    delete from segmentation.current_members as member
    using changed
    where member.segment = %(segment)s and member.customer_id = changed.customer_id
        and not changed.enters
),
told as (
    insert into segmentation.membership_changes
        (segment, customer_id, version, change, as_of, evidence)
    select
        %(segment)s,
        customer_id,
        %(version)s,
        case when enters then 'entered' else 'left' end,
        %(as_of)s,
        evidence
    from changed
    order by customer_id
    returning change_id, customer_id
),
queued as (
    insert into segmentation.membership_outbox (change_id) select change_id from told
)
select coalesce(array_agg(customer_id), '{{}}') from told
"""
_NOBODY = "select null::text as customer_id, false as matches, 0::bigint as leaves where false"

_KEEP_PLACE = """
insert into segmentation.pipelines as known (segment, version, as_of, traits_state)
values (%(segment)s, %(version)s, %(as_of)s, %(traits_state)s)
on conflict (segment) do update set
    version = excluded.version, as_of = excluded.as_of, asks_all = false,
    traits_state = excluded.traits_state, evaluated_at = now()
"""


@dataclass(frozen=True)
class Place:
    """A row of `segmentation.pipelines`: what the members of a segment are, and as of when."""

    version: int
    as_of: datetime
    asks_all: bool
    traits_state: str | None


@dataclass
class Round:
    """What one transaction did: changes by segment, and what could not be asked, with the reason.

    `asked` counts customers, once for each segment.
    """

    changes: dict[str, int] = field(default_factory=dict)
    asked: int = 0
    failures: dict[str, str] = field(default_factory=dict)


def read_places(connection: Connection) -> dict[str, Place]:
    """How far each segment is."""
    rows = connection.execute(
        "select segment, version, as_of, asks_all, traits_state from segmentation.pipelines"
    )
    return {str(name): Place(*row) for name, *row in rows}  # type: ignore[arg-type]


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
            told = _change(connection, pipeline, pipeline.everyone, as_of, None)
        except psycopg.DatabaseError as error:
            raise _unanswered(error) from error
        if is_read:
            _note_readers(connection, pipeline.segment, told)
        _keep_place(connection, pipeline, as_of, traits)
        done.changes[pipeline.segment] = len(told)
        before_commit()
    return done


def ask_changed(
    connection: Connection,
    pipelines: Sequence[Pipeline],
    catalogue: Catalogue,
    shared: SharedMeasures,
    *,
    wall: datetime | None = None,
    share_from: int = SHARE_FROM,
    before_commit: Callable[[], None] = lambda: None,
) -> Round:
    """Ask those customers whose answer can have changed, segment after segment.

    `pipelines` are in the order of what they read. Those that want everybody are passed over: they
    lose nothing, because `ask_all` follows. So it does for one that cannot be asked. When so many
    as `share_from` ask as of one moment, they first find together who changed.
    """
    done = Round()
    if len(pipelines) >= share_from:
        shared.create_tables(connection)
    with one_snapshot(connection):
        asking = _Asking(connection, pipelines, catalogue, wall)
        screened = asking.screen(shared, share_from)
        for each in asking.pipelines:
            place, as_of = asking.places[each.segment], asking.moments[each.segment]
            customers = asking.customers_of(each)
            if customers is None or len(customers) > screened.most_customers(each):
                _ask_all_next(connection, each.segment)
                continue
            if not customers and as_of == place.as_of:
                continue
            told: list[str] = []
            wanted = screened.changed.get(each.segment, customers)
            if wanted:
                try:
                    with connection.transaction():
                        told = _change(connection, each, each.some, as_of, sorted(wanted))
                except psycopg.DatabaseError as error:
                    done.failures[each.segment] = _unanswered(error).what
                    _ask_all_next(connection, each.segment)
                    continue
            done.asked += len(customers)
            done.changes[each.segment] = len(told)
            asking.note(each, told)
            _keep_place(connection, each, as_of, place.traits_state)
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
        told = _run(
            connection,
            _change_statement(_NOBODY, "null::jsonb", only=""),
            {"segment": segment, "version": place.version, "as_of": place.as_of},
        )
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
class _Screened:
    """Of segments that were asked together, who would enter or leave; nobody else's changes."""

    sharing: int = 1
    changed: Mapping[str, set[str]] = field(default_factory=dict)

    def most_customers(self, pipeline: Pipeline) -> int:
        """Past so many it is quicker to ask everybody; those who share, share the cost."""
        most = pipeline.job.most_customers
        return most * self.sharing if pipeline.segment in self.changed else most


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
        self._catalogue = catalogue
        self._within: dict[tuple[str, Span], set[str]] = {}
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

    def screen(self, shared: SharedMeasures, share_from: int) -> "_Screened":
        """Who changed in most of the segments that are asked as of one moment."""
        by_moment: dict[datetime, dict[str, Pipeline]] = {}
        for each in self.pipelines:
            if shared.covers(each) and self.customers_of(each):
                by_moment.setdefault(self.moments[each.segment], {})[each.segment] = each
        most = max(by_moment, key=lambda each: len(by_moment[each]), default=None)
        if most is None or len(by_moment[most]) < share_from:
            return _Screened()
        sharing = len(by_moment[most])
        together = {
            name: each
            for name, each in by_moment[most].items()
            if len(self.customers_of(each) or ()) <= each.job.most_customers * sharing
        }
        customers = set().union(*(self.customers_of(each) or () for each in together.values()))
        try:
            with self._connection.transaction():
                found = shared.changed(self._connection, together.values(), most, sorted(customers))
        except psycopg.DatabaseError as error:
            # Each by itself then: the one that is at fault says so.
            _unanswered(error)
            return _Screened()
        return _Screened(sharing, {name: set(found.get(name, ())) for name in together})

    def _find_customers(
        self, sources: Sequence[str], spans: Iterable[tuple[str, Span]]
    ) -> set[str] | None:
        found: set[str] = set()
        for source in sources:
            some = self.changed.get(source, set())
            if some is None:
                return None
            found |= some
        return found.union(*(self._customers_within(*each) for each in spans))

    def _moved(self, pipeline: Pipeline) -> frozenset[tuple[str, Span]]:
        before, after = self.places[pipeline.segment].as_of, self.moments[pipeline.segment]
        return frozenset(
            (stream, span)
            for stream, spans in moved_spans(pipeline.plan, before, after).items()
            for span in spans
        )

    def _customers_within(self, stream: str, span: Span) -> set[str]:
        """Rules share most spans, so each is read once."""
        key = (stream, span)
        if key not in self._within:
            table = self._catalogue.streams[stream]
            self._within[key] = customers_within(self._connection, table, span)
        return self._within[key]


def _change(
    connection: Connection,
    pipeline: Pipeline,
    query: Query,
    as_of: datetime,
    customers: Sequence[str] | None,
) -> list[str]:
    connection.execute(
        "select set_config('statement_timeout', %s, true)", (f"{pipeline.job.statement_seconds}s",)
    )
    statement = _change_statement(
        query.sql,
        _evidence(pipeline.plan),
        only="" if customers is None else "and customer_id = any(%(customers)s)",
    )
    values = {
        **query.parameters(as_of, customers),
        "segment": pipeline.segment,
        "version": pipeline.version,
        "as_of": as_of,
    }
    return _run(connection, statement, values)


def _change_statement(query: str, evidence: str, *, only: str) -> str:
    return _CHANGE.format(query=query, evidence=evidence, only=only)


def _run(connection: Connection, statement: str, values: Mapping[str, object]) -> list[str]:
    row = connection.execute(statement.encode(), values).fetchone()
    assert row is not None
    return cast(list[str], row[0])


def _evidence(plan: Plan) -> str:
    """Of each leaf whether it holds, and the number that was found; constants only."""
    leaves = []
    for index, leaf in enumerate(plan.leaves):
        value = f", 'found', result.value_{index}" if isinstance(leaf, spec.Aggregate) else ""
        holds = f"(result.leaves >> {index}) & 1 = 1"
        leaves.append(f"jsonb_build_object('holds', {holds}{value})")
    listed = ", ".join(leaves)
    return f"case when result.customer_id is not null then jsonb_build_array({listed}) end"


def _keep_place(
    connection: Connection, pipeline: Pipeline, as_of: datetime, traits: str | None
) -> None:
    connection.execute(
        _KEEP_PLACE,
        {
            "segment": pipeline.segment,
            "version": pipeline.version,
            "as_of": as_of,
            "traits_state": traits,
        },
    )


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


def _unanswered(error: psycopg.DatabaseError) -> InputError:
    """Raises the error itself when Postgres went away, which says nothing of the rule."""
    if isinstance(error, psycopg.OperationalError) and not isinstance(
        error, psycopg.errors.QueryCanceled
    ):
        raise error
    reason = error.diag.message_primary or " ".join(str(error).split())
    return InputError(f"Postgres cannot answer it ({reason})")
