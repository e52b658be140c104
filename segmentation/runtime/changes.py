"""Who entered and who left: found, written with the evidence and queued for publishing at once.

Each of these is one statement, in a transaction of the caller.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg

from insight.database import Connection
from insight.errors import InputError
from segmentation.queries.query import Query
from segmentation.queries.together import MATCHING, Together
from segmentation.rules import spec
from segmentation.rules.spec import Leaf
from segmentation.runtime.pipelines import Pipeline

# Segments have numbers, from 1, in a statement.
_OF_ONE = """
with result as materialized (
{query}
),
before as (
    select customer_id from segmentation.current_members
    where segment = any(%(segments)s) {only}
),
changed as materialized (
    select
        1 as number,
        coalesce(result.customer_id, before.customer_id) as customer_id,
        before.customer_id is null as enters,
        {evidence} as evidence
    from result
    full join before on before.customer_id = result.customer_id
    where (result.matches is true) <> (before.customer_id is not null)
),
"""
_OF_MANY = """
with result as materialized (
{query}
),
matching as (
    select result.customer_id, listed.number
    from result cross join lateral unnest(result.{matching}) as listed (number)
),
-- By customer, before anything looks at segments: those are many, each with many members.
members as materialized (
    select segment, customer_id from segmentation.current_members
    where customer_id = any(%(customers)s)
),
before as (
    select members.customer_id, asked.number
    from members
    inner join unnest(%(segments)s::text[]) with ordinality as asked (segment, number)
        on asked.segment = members.segment
),
different as materialized (
    select
        coalesce(matching.number, before.number) as number,
        coalesce(matching.customer_id, before.customer_id) as customer_id,
        before.customer_id is null as enters
    from matching
    full join before
        on before.customer_id = matching.customer_id and before.number = matching.number
    where matching.customer_id is null or before.customer_id is null
),
changed as materialized (
    select different.*, {evidence} as evidence
    from different inner join result on result.customer_id = different.customer_id
),
"""
# Changes in one order, so that ids grow alike however Postgres joins.
_WRITTEN = """
versions as (
    select number, segment, version
    from unnest(%(segments)s::text[], %(versions)s::integer[])
        with ordinality as asked (segment, version, number)
),
entered as (
    insert into segmentation.current_members (segment, customer_id, since)
    select segment, customer_id, %(as_of)s from changed inner join versions using (number)
    where enters
),
gone as (
    delete from segmentation.current_members as member
    using changed inner join versions using (number)
    where member.segment = versions.segment and member.customer_id = changed.customer_id
        and not changed.enters
),
told as (
    insert into segmentation.membership_changes
        (segment, customer_id, version, change, as_of, evidence)
    select
        segment,
        customer_id,
        version,
        case when enters then 'entered' else 'left' end,
        %(as_of)s,
        evidence
    from changed inner join versions using (number)
    order by number, customer_id
    returning change_id, segment, customer_id
),
queued as (
    insert into segmentation.membership_outbox (change_id) select change_id from told
)
select segment, array_agg(customer_id) from told group by segment
"""
_NOBODY = "select null::text as customer_id, false as matches where false"

_KEEP_PLACES = """
insert into segmentation.pipelines as known (segment, version, as_of, traits_state)
select * from unnest(
    %(segments)s::text[], %(versions)s::integer[], %(as_of)s::timestamptz[], %(traits)s::text[]
)
on conflict (segment) do update set
    version = excluded.version, as_of = excluded.as_of, asks_all = false,
    traits_state = excluded.traits_state, evaluated_at = now()
"""

Told = dict[str, list[str]]


@dataclass(frozen=True)
class Place:
    """A row of `segmentation.pipelines`: what the members of a segment are, and as of when."""

    version: int
    as_of: datetime
    asks_all: bool
    traits_state: str | None


def read_places(connection: Connection) -> dict[str, Place]:
    """How far each segment is."""
    rows = connection.execute(
        "select segment, version, as_of, asks_all, traits_state from segmentation.pipelines"
    )
    return {str(name): Place(*row) for name, *row in rows}  # type: ignore[arg-type]


def keep_places(
    connection: Connection, places: Iterable[tuple[Pipeline, datetime, str | None]]
) -> None:
    """Of each segment as of when it was asked, and the state of traits then."""
    kept = list(places)
    connection.execute(
        _KEEP_PLACES,
        {
            "segments": [pipeline.segment for pipeline, _, _ in kept],
            "versions": [pipeline.version for pipeline, _, _ in kept],
            "as_of": [as_of for _, as_of, _ in kept],
            "traits": [traits for _, _, traits in kept],
        },
    )


def change(
    connection: Connection,
    pipeline: Pipeline,
    as_of: datetime,
    customers: Sequence[str] | None = None,
) -> list[str]:
    """Ask everybody, or some, about one segment; who entered or left."""
    query = pipeline.everyone if customers is None else pipeline.some
    statement = _OF_ONE.format(
        query=query.sql,
        evidence=_own_evidence(pipeline.plan.leaves),
        only="" if customers is None else "and customer_id = any(%(customers)s)",
    )
    told = _write(connection, statement, query, [pipeline], as_of, customers)
    return told.get(pipeline.segment, [])


def change_together(
    connection: Connection,
    pipelines: Sequence[Pipeline],
    together: Together,
    as_of: datetime,
    customers: Sequence[str],
) -> Told:
    """Ask some about the segments that the query is of; by segment, who entered or left."""
    # The sizes of both sides decide how to join them, and nobody knows them in advance.
    connection.execute("set local plan_cache_mode = force_custom_plan")
    statement = _OF_MANY.format(
        query=together.query.sql, matching=MATCHING, evidence=_evidence_by_number(together)
    )
    return _write(connection, statement, together.query, pipelines, as_of, customers)


def empty(connection: Connection, segment: str, place: Place) -> list[str]:
    """Everybody leaves; who it was."""
    statement = _OF_ONE.format(query=_NOBODY, evidence="null::jsonb", only="")
    values = {"segments": [segment], "versions": [place.version], "as_of": place.as_of}
    return _run(connection, statement, values).get(segment, [])


def unanswered(error: psycopg.DatabaseError) -> InputError:
    """Raises the error itself when Postgres went away, which says nothing of the rule."""
    if isinstance(error, psycopg.OperationalError) and not isinstance(
        error, psycopg.errors.QueryCanceled
    ):
        raise error
    reason = error.diag.message_primary or " ".join(str(error).split())
    return InputError(f"Postgres cannot answer it ({reason})")


def _write(
    connection: Connection,
    statement: str,
    query: Query,
    pipelines: Sequence[Pipeline],
    as_of: datetime,
    customers: Sequence[str] | None,
) -> Told:
    seconds = max(each.job.statement_seconds for each in pipelines)
    connection.execute("select set_config('statement_timeout', %s, true)", (f"{seconds}s",))
    values = {
        **query.parameters(as_of, customers),
        "segments": [each.segment for each in pipelines],
        "versions": [each.version for each in pipelines],
        "as_of": as_of,
    }
    return _run(connection, statement, values)


def _run(connection: Connection, statement: str, values: Mapping[str, object]) -> Told:
    rows = connection.execute((statement + _WRITTEN).encode(), values)
    return {str(segment): customers for segment, customers in rows}  # type: ignore[misc]


def _own_evidence(leaves: Sequence[Leaf]) -> str:
    """Of a rule's own query; none of those whom it has no row of."""
    found = _evidence(
        (f"(result.leaves >> {index}) & 1 = 1", index, leaf) for index, leaf in enumerate(leaves)
    )
    return f"case when result.customer_id is not null then {found} end"


def _evidence_by_number(together: Together) -> str:
    """Of the query of many rules, for the rule that a row is about."""
    cases = []
    for number, answer in enumerate(together.answers, start=1):
        found = _evidence(
            (f"result.leaf_{place}", place, together.leaves[place]) for place in answer.leaves
        )
        cases.append(f"when {number} then case when result.{answer.is_asked} then {found} end")
    return f"case different.number {' '.join(cases)} end"


def _evidence(leaves: Iterable[tuple[str, int, Leaf]]) -> str:
    """Of each leaf whether it holds, and the number that was found; constants only."""
    listed = (
        f"jsonb_build_object('holds', {holds}, 'found', result.value_{index})"
        if isinstance(leaf, spec.Aggregate)
        else f"jsonb_build_object('holds', {holds})"
        for holds, index, leaf in leaves
    )
    return f"jsonb_build_array({', '.join(listed)})"
