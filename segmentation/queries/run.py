"""What is asked of the warehouse about a rule: as of when, by what SQL, and about one customer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg
from psycopg import sql

from insight.database import Connection
from insight.errors import InputError
from segmentation.queries.compile import compile_rule
from segmentation.queries.evaluator import Customer
from segmentation.queries.plan import Plan, make_plan, population_of
from segmentation.queries.query import Dedupe, Query
from segmentation.queries.rows import MEMBERS, SCHEMA
from segmentation.queries.syntax import Dialect
from segmentation.rules import spec
from segmentation.rules.canonical import spec_sha
from segmentation.rules.catalogue import (
    CUSTOMER_DIMENSION,
    Catalogue,
    Stream,
    build_catalogue,
)
from segmentation.rules.sentences import condition_sentence, rule_sentence
from segmentation.rules.spec import Rule
from segmentation.runtime.arrivals import note_arrivals
from streaming.contract import load_contracts
from streaming.registry import active_contracts


@dataclass(frozen=True)
class Explanation:
    """A rule as a sentence, as SQL of each database, and as Postgres would run it."""

    sentence: str
    leaves: tuple[str, ...]
    population: tuple[str, ...]
    spec_sha: str
    queries: Mapping[Dialect, Query]
    parameters: Mapping[str, object]
    plan: tuple[str, ...]


def open_catalogue(connection: Connection, segments: Mapping[str, Rule] | None = None) -> Catalogue:
    """The catalogue of the streams in use, and of the active segments that are given."""
    return build_catalogue(active_contracts(connection, load_contracts()), segments)


def default_as_of(connection: Connection, rule: Rule, catalogue: Catalogue) -> datetime:
    """The second after the newest event of the streams that a rule reads, or of all with customers.

    Not today: the same data gives the same customers on any day. Raises InputError when nothing
    has arrived.
    """
    known = [each for each in spec.streams_of(rule.rule) if each in catalogue.streams]
    names = known or sorted(catalogue.streams)
    found = connection.execute("select to_regclass('streaming.stream_progress')").fetchone()
    row = None
    if found != (None,):
        row = connection.execute(
            "select max(last_event_at) from streaming.stream_progress where stream = any(%s)",
            (names,),
        ).fetchone()
    if row is None or not isinstance(row[0], datetime):
        raise InputError(
            f"no event of {', '.join(names)} has arrived",
            next_step="Run: insight run, or name a time with --as-of",
        )
    return row[0].replace(microsecond=0) + timedelta(seconds=1)


def notes_in_use(connection: Connection, catalogue: Catalogue, *rules: Rule) -> Dedupe:
    """How repeated events are found without writing: by notes, where a runtime keeps them for all.

    Then rows that it has not judged yet are not seen: those of the last moments, while it runs.
    """
    if connection.execute("select to_regclass('segmentation.stream_reads')").fetchone() == (None,):
        return Dedupe.searched
    for stream in _noted_streams(rules, catalogue):
        index = f"{stream.schema}.{stream.table}_by_event"
        if connection.execute("select to_regclass(%s)", (index,)).fetchone() == (None,):
            return Dedupe.searched
    return Dedupe.noted


def bring_notes_up_to_date(connection: Connection, catalogue: Catalogue, *rules: Rule) -> Dedupe:
    """How repeated events are found: by notes, brought up to date, where a runtime keeps them."""
    dedupe = notes_in_use(connection, catalogue, *rules)
    if dedupe is Dedupe.noted:
        for stream in _noted_streams(rules, catalogue):
            note_arrivals(connection, stream)
    return dedupe


def _noted_streams(rules: Sequence[Rule], catalogue: Catalogue) -> list[Stream]:
    """All streams of the domains that rules read or ask: they tell who their customers are."""
    domains = {
        catalogue.streams[name].domain for rule in rules for name in spec.streams_of(rule.rule)
    }
    domains.update(name for rule in rules for name in population_of(rule, catalogue))
    return [each for name in sorted(domains) for each in catalogue.streams_of(name)]


def explain(
    connection: Connection,
    rule: Rule,
    catalogue: Catalogue,
    as_of: datetime,
    dedupe: Dedupe = Dedupe.searched,
) -> Explanation:
    """The sentence, the SQL of both databases, its parameters and the plan of Postgres.

    Nothing is counted: the query is planned, not run.
    """
    plan = make_plan(rule, catalogue)
    queries = {
        dialect: compile_rule(rule, catalogue, dialect=dialect, dedupe=dedupe)
        for dialect in Dialect
    }
    query = queries[Dialect.postgres]
    planned = ask(connection, query, as_of, prefix="explain ")
    return Explanation(
        sentence=rule_sentence(rule),
        leaves=tuple(map(condition_sentence, plan.leaves)),
        population=plan.population,
        spec_sha=spec_sha(rule),
        queries=queries,
        parameters=query.parameters(as_of),
        plan=tuple(str(line) for (line,) in planned),
    )


def read_customer(connection: Connection, plan: Plan, catalogue: Catalogue, name: str) -> Customer:
    """What the plain evaluator wants to know of one customer: events, traits and segments.

    Somebody who is not known has none of them.
    """
    return Customer(
        name,
        {each: _events(connection, catalogue, each, name)
         for each in spec.streams_of(plan.rule.rule)},
        _traits(connection, plan, catalogue, name),
        _segments(connection, plan, name),
    )  # fmt: skip


def _events(
    connection: Connection, catalogue: Catalogue, stream_name: str, customer: str
) -> list[dict[str, object]]:
    stream = catalogue.streams[stream_name]
    names = [*stream.fields, stream.customer, "_load_id", "_partition_id", "_offset"]
    table = sql.Identifier(stream.schema, stream.table)
    key = sql.Identifier(stream.key)
    rows = connection.execute(
        sql.SQL(
            """select {columns} from {table} as r
               where {customer} = %s and not exists (
                   select from {table} as earlier
                   where earlier.{key} = r.{key}
                       and (earlier._load_id, earlier._partition_id, earlier._offset)
                           < (r._load_id, r._partition_id, r._offset)
               )"""
        ).format(
            columns=sql.SQL(", ").join(map(sql.Identifier, names)),
            table=table,
            customer=sql.Identifier(stream.customer),
            key=key,
        ),
        (customer,),
    )
    return [dict(zip(names, row, strict=True)) for row in rows]


def _traits(
    connection: Connection, plan: Plan, catalogue: Catalogue, customer: str
) -> dict[str, object]:
    if not any(isinstance(leaf, spec.Trait) for leaf in plan.leaves):
        return {}
    names = list(catalogue.traits)
    row = connection.execute(
        sql.SQL("select {} from {} where customer_id = %s").format(
            sql.SQL(", ").join(map(sql.Identifier, names)), sql.Identifier(*CUSTOMER_DIMENSION)
        ),
        (customer,),
    ).fetchone()
    return {} if row is None else dict(zip(names, row, strict=True))


def _segments(connection: Connection, plan: Plan, customer: str) -> frozenset[str]:
    names = spec.segments_of(plan.rule.rule)
    if not names:
        return frozenset()
    rows = connection.execute(
        sql.SQL("select segment from {} where customer_id = %s and segment = any(%s)").format(
            sql.Identifier(SCHEMA, MEMBERS)
        ),
        (customer, list(names)),
    )
    return frozenset(str(name) for (name,) in rows)


def ask(
    connection: Connection, query: Query, as_of: datetime, *, prefix: str = ""
) -> Sequence[tuple[object, ...]]:
    """The rows of a query. Raises InputError when the warehouse lacks a table that it reads."""
    try:
        return connection.execute(
            f"{prefix}{query.sql}".encode(), query.parameters(as_of)
        ).fetchall()
    except psycopg.errors.UndefinedTable as error:
        raise InputError(
            f"the warehouse has not all that the rule reads ({error.diag.message_primary})",
            next_step="Run: insight run",
        ) from error
