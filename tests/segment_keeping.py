"""The runtime of segments by rule over a database of its own, with rows that a test lands."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from random_rules import CATALOGUE, TRAITS
from rule_worlds import SURROUNDINGS, World, add, customers_of

from insight.database import Connection, DatabaseEndpoint
from segmentation.queries.evaluator import evaluate
from segmentation.queries.plan import make_plan
from segmentation.rules.catalogue import build_catalogue
from segmentation.rules.spec import Rule
from segmentation.runtime import run
from segmentation.runtime.run import Keeper, RuntimeOptions, RuntimeReport
from segmentation.store import versions as store
from segmentation.store.versions import Author
from streaming.contract import load_contracts

CONTRACTS = load_contracts()
ADA = Author("cli:ada")
_WIPED = (
    "changed_customers", "current_members", "membership_changes", "membership_outbox", "pipelines",
    "rule_workers", "repeated_rows", "stream_reads", "known_customers", "segment_versions",
    "segments",
)  # fmt: skip


def lay_out(database: DatabaseEndpoint, connection: Connection) -> None:
    """All tables of the runtime, and the traits of some customers."""
    run.prepare(database, CONTRACTS)
    connection.execute(SURROUNDINGS)
    for customer, traits in TRAITS.items():
        connection.execute(
            """insert into marts.dim_customer (customer_id, location, customer_tenure_months)
               values (%s, %s, %s)""",
            (customer, traits["location"], traits["customer_tenure_months"]),
        )


def wipe(connection: Connection) -> None:
    """As it was laid out: no segments, no rows, no notes."""
    connection.execute("alter table segmentation.segment_versions disable trigger user")
    for name in _WIPED:
        connection.execute(f"delete from segmentation.{name}".encode())
    connection.execute("delete from streaming.stream_progress")
    for stream in CATALOGUE.streams.values():
        connection.execute(f"delete from {stream.schema}.{stream.table}".encode())
    connection.execute("alter table segmentation.segment_versions enable trigger user")


def land(connection: Connection, world: World, clock: datetime | None = None) -> None:
    """Land rows as a loader does: with their times in the progress, in one transaction.

    `clock` is the time of a row besides, of a customer nobody asks for.
    """
    with connection.transaction():
        add(connection, world)
        for name, rows in world.items():
            at = CATALOGUE.streams[name].event_time
            times = [row[at] for row in rows] + ([clock] if clock else [])
            if times:
                connection.execute(
                    """insert into streaming.stream_progress as known (stream, cluster_id, topic,
                           partition, first_offset, next_offset, epoch, owner, high_watermark,
                           last_event_at)
                       values (%(name)s, 'c', %(name)s, 0, 0, 0, 1, 'me', 0, %(at)s)
                       on conflict (cluster_id, topic, partition) do update
                       set last_event_at = greatest(known.last_event_at, excluded.last_event_at)""",
                    {"name": name, "at": max(times)},
                )


def activate(connection: Connection, rule: Rule) -> None:
    """A new version of a segment that counts from now on."""
    base = store.newest_version(connection, rule.name)
    store.create_version(connection, rule, ADA, base_version=base)
    store.activate(connection, rule.name, ADA)


def keeper_of(
    connection: Connection, database: DatabaseEndpoint, options: RuntimeOptions | None = None
) -> Keeper:
    """A keeper as after a start: it knows what the tables hold."""
    return Keeper(connection, database, "test", options or RuntimeOptions(), RuntimeReport())


def catch_up(keeper: Keeper) -> None:
    """Look until there is nothing new."""
    keeper.look_for_configurations()
    for _ in range(20):
        if not keeper.look():
            return
    raise AssertionError("it never comes to rest")


def members(connection: Connection) -> dict[str, set[str]]:
    """Who is in each segment."""
    found: dict[str, set[str]] = {}
    for segment, customer in connection.execute(
        "select segment, customer_id from segmentation.current_members"
    ):
        found.setdefault(str(segment), set()).add(str(customer))
    return found


def members_by_changes(connection: Connection) -> dict[str, set[str]]:
    """Who is in each segment, by what was told; who enters is out before, who leaves is in."""
    found: dict[str, set[str]] = {}
    for segment, customer, change in connection.execute(
        """select segment, customer_id, change
           from segmentation.membership_changes order by change_id"""
    ):
        inside = found.setdefault(str(segment), set())
        assert (customer in inside) is (change == "left")
        inside.symmetric_difference_update({str(customer)})
    return {segment: inside for segment, inside in found.items() if inside}


def expected_members(
    rules: Sequence[Rule], world: World, as_of: Mapping[str, datetime]
) -> dict[str, set[str]]:
    """Who is in each segment by the plain evaluator; rules stand after those that they read."""
    catalogue = build_catalogue(CONTRACTS, {each.name: each for each in rules})
    found: dict[str, set[str]] = {}
    for rule in rules:
        plan = make_plan(rule, catalogue)
        found[rule.name] = {
            name
            for name, customer in customers_of(rule, world, catalogue).items()
            if evaluate(
                plan,
                catalogue,
                replace(customer, segments=frozenset(s for s, who in found.items() if name in who)),
                as_of[rule.name],
            ).matches
        }
    return {segment: inside for segment, inside in found.items() if inside}


def places(connection: Connection) -> dict[str, Any]:
    """As of when each segment was asked last."""
    return dict(connection.execute("select segment, as_of from segmentation.pipelines").fetchall())
