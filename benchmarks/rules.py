"""The standing example over ten million events, beside queries written by hand."""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from psycopg import sql

from benchmarks import machine, year_of_sales
from benchmarks.readme import table
from benchmarks.target import Target, verdicts
from insight.database import Connection, DatabaseEndpoint, connect
from insight.services import open_services
from insight.settings import load_settings
from segmentation.queries.compile import compile_rule
from segmentation.queries.preview import preview_rule
from segmentation.queries.query import Dedupe
from segmentation.rules import yaml_form
from segmentation.rules.catalogue import Stream, build_catalogue
from segmentation.rules.spec import Rule
from segmentation.rules.yaml_form import read_rule
from segmentation.runtime.arrivals import create_indexes, create_tables, note_arrivals
from streaming.contract import Contract, load_contracts
from streaming.registry import open_registry
from streaming.tables import copy_statement

EVENTS = 10_000_000
FEWEST_EVENTS = 10_000
_ROUNDS = 3
_FULL_SECONDS, _PREVIEW_SECONDS = 2.0, 1.0
_START, _AS_OF = datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
_LOADED = 200_000
_EXAMPLE = Path(yaml_form.__file__).parent / "examples" / "big_recent_spenders.yaml"

_ONCE = """
select customer_id from (
    select distinct on (transaction_id) customer_id, amount, timestamp
    from streaming.transactions_raw
    order by transaction_id, _load_id, _partition_id, _offset
) as sales
where timestamp >= %(start)s and timestamp < %(end)s
group by customer_id having sum(amount) > 1000 and count(*) > 5
"""
_TWICE = """
select customer_id from streaming.transactions_raw
where timestamp >= %(start)s and timestamp < %(end)s
group by customer_id having sum(amount) > 1000 and count(*) > 5
"""


@dataclass(frozen=True)
class Results:
    """Medians in seconds, and what the indexes cost."""

    events: int
    members: int
    full: float
    preview: float
    change: float
    restricted: float
    once: float
    twice: float
    indexes: float
    noted: float
    microseconds_a_row: tuple[float, float]
    sizes: tuple[tuple[str, str], ...]


def run(events: int = EVENTS) -> Results:
    """Measure on a Postgres that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="insight-bench-", dir="/tmp") as name:
        folder = Path(name)
        # As root the server runs as another account, which must be able to enter its home.
        folder.chmod(0o755)
        settings = load_settings().model_copy(update={"home": folder / "home"})
        with open_services(settings) as services:
            return _measure(services.database, events)


def _measure(database: DatabaseEndpoint, events: int) -> Results:
    contract = next(each for each in load_contracts() if each.stream == "transactions")
    stream = build_catalogue([contract]).streams["transactions"]
    open_registry(database, load_contracts())
    with connect(database, autocommit=True) as connection:
        year_of_sales.fill(connection, contract, events, _START)
        _say(f"{events:,} events are there")
        bare = _copy(connection, contract, events, 1)
        indexes = _timed(lambda: create_indexes(database, stream))
        indexed = _copy(connection, contract, events, 2)
        noted = _note(database, connection)
        sizes = _sizes(connection, stream)
        return _rounds(connection, events, indexes, noted, (bare, indexed), sizes)


def _copy(connection: Connection, contract: Contract, events: int, turn: int) -> float:
    """Microseconds that a row of a COPY takes; the rows are gone afterwards."""
    first = events + turn * 10 * _LOADED
    with connection.cursor() as cursor:
        rows = sql.SQL("copy ({}) to stdout").format(
            year_of_sales.rows(events, first, first + _LOADED, turn * 10 * _LOADED, _START)
        )
        with cursor.copy(rows) as source:
            data = [bytes(each) for each in source]

        def load() -> None:
            with connection.transaction(force_rollback=True):
                with cursor.copy(copy_statement(contract)) as target:
                    for each in data:
                        target.write(each)

        return statistics.median(_timed(load) for _ in range(_ROUNDS)) / _LOADED * 1e6


def _note(database: DatabaseEndpoint, connection: Connection) -> float:
    catalogue = build_catalogue(load_contracts())
    with connect(database) as other:
        create_tables(other)

    def note() -> None:
        with connect(database) as other:
            for each in catalogue.streams_of("retail"):
                note_arrivals(other, each)

    seconds = _timed(note)
    for name in ("stream_reads", "repeated_rows", "known_customers"):
        connection.execute(
            sql.SQL("vacuum analyze {}").format(sql.Identifier("segmentation", name))
        )
    connection.execute("vacuum analyze streaming.transactions_raw")
    _say(f"indexed and noted ({seconds:.1f} s of noting)")
    return seconds


def _sizes(connection: Connection, stream: Stream) -> tuple[tuple[str, str], ...]:
    rows = connection.execute(
        """select indexrelid::regclass::text, pg_size_pretty(pg_relation_size(indexrelid))
           from pg_index where indrelid = to_regclass(%s) order by 1""",
        (f"{stream.schema}.{stream.table}",),
    )
    return tuple((str(name).rpartition(".")[2], str(size)) for name, size in rows)


def _rounds(
    connection: Connection,
    events: int,
    indexes: float,
    noted: float,
    copied: tuple[float, float],
    sizes: tuple[tuple[str, str], ...],
) -> Results:
    rule = read_rule(_EXAMPLE).rule
    edited = _edited(rule)
    catalogue = build_catalogue(load_contracts())
    query = compile_rule(rule, catalogue, dedupe=Dedupe.noted)
    some = compile_rule(rule, catalogue, dedupe=Dedupe.noted, restricted=True)
    span = {"start": query.parameters(_AS_OF)["w0_start"], "end": _AS_OF}
    dirty = [f"C{number * 7:07d}" for number in range(1000)]
    seconds: dict[str, list[float]] = {}
    found: dict[str, set[object]] = {}

    def ask(name: str, text: str, parameters: dict[str, object]) -> None:
        started = time.perf_counter()
        found[name] = {row[0] for row in connection.execute(text.encode(), parameters)}
        seconds.setdefault(name, []).append(time.perf_counter() - started)

    for number in range(_ROUNDS):
        ask("full", query.sql, query.parameters(_AS_OF))
        for name, active in (("preview", None), ("change", rule)):
            previewed = partial(preview_rule, connection, edited, catalogue, _AS_OF, Dedupe.noted)
            took = _timed(partial(previewed, active=active))
            seconds.setdefault(name, []).append(took)
        ask("restricted", some.sql, some.parameters(_AS_OF, dirty))
        ask("once", _ONCE, span)
        ask("twice", _TWICE, span)
        told = ", ".join(f"{name} {each[-1]:.2f} s" for name, each in seconds.items())
        _say(f"round {number + 1}: {told}")
    if found["full"] != found["once"]:
        raise AssertionError("the rule and the query by hand found different customers")
    median = {name: statistics.median(each) for name, each in seconds.items()}
    return Results(
        events, len(found["full"]), median["full"], median["preview"], median["change"],
        median["restricted"], median["once"], median["twice"], indexes, noted, copied, sizes,
    )  # fmt: skip


def _edited(rule: Rule) -> Rule:
    """The standing example with a higher sum, as an analyst tries it."""
    document = rule.model_dump(mode="json", exclude_none=True)
    document["rule"]["conditions"][0]["value"] = 1_200
    return Rule.model_validate(document)


def report(results: Results) -> str:
    """The results as Markdown."""
    customers = results.events // year_of_sales.EVENTS_A_CUSTOMER
    size = f"{customers:,} customers, {results.events:,} events"
    targets = [
        Target(f"standing example, full: {size}", _FULL_SECONDS, results.full, True, " s"),
        Target(f"standing example, preview: {size}", _PREVIEW_SECONDS, results.preview, True, " s"),
        Target("the same with the change against the active version", _PREVIEW_SECONDS,
               results.change, True, " s"),
    ]  # fmt: skip
    bare, indexed = results.microseconds_a_row
    rows = [
        ("full: members with their leaves", f"{results.full:.2f} s"),
        ("preview: count, samples, count of each condition", f"{results.preview:.2f} s"),
        ("the same, and who would enter and leave the active version", f"{results.change:.2f} s"),
        ("only 1,000 customers, as after new events", f"{results.restricted:.3f} s"),
        ("by hand, an event counted once", f"{results.once:.2f} s"),
        ("by hand, an event that arrived twice counted twice", f"{results.twice:.2f} s"),
        ("making the indexes, once", f"{results.indexes:.1f} s"),
        ("noting repeated rows, the first time", f"{results.noted:.1f} s"),
        ("a row of COPY before the indexes were there", f"{bare:.2f} us"),
        ("a row of COPY with them", f"{indexed:.2f} us"),
    ]
    indexes = ", ".join(f"`{name}` {size}" for name, size in results.sizes)
    return "\n\n".join(
        [
            verdicts(targets),
            table(("what", "took"), rows),
            f"{results.members:,} members. Indexes: {indexes}.",
            f"{machine.told()} Medians of {_ROUNDS} rounds in turn.",
        ]
    )


def _timed(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def _say(text: str) -> None:
    sys.stdout.write(f"rules, {text}\n")
    sys.stdout.flush()
