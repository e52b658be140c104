"""The runtime beside the plain evaluator: who entered and left, one landing after another."""

import random as random_module
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from databases import create_database, drop_database
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from random_rules import OTHER_SEGMENT, START, conditions, moments, rule_of, rules, worlds
from rule_worlds import World
from segment_keeping import (
    activate,
    catch_up,
    expected_members,
    keeper_of,
    land,
    lay_out,
    members,
    members_by_changes,
    places,
    wipe,
)

from insight.database import Connection, DatabaseEndpoint, connect
from insight.services import Services
from segmentation.queries import together
from segmentation.rules.spec import Rule, segments_of
from segmentation.runtime import rounds
from segmentation.runtime.arrivals import note_arrivals
from segmentation.runtime.clock import Clock
from segmentation.runtime.run import RuntimeOptions
from segmentation.runtime.sharing import Sharing
from segmentation.store import versions as store

ADA = store.Author("cli:ada")
DAY = timedelta(days=1)

anew = settings(
    max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
first_rules = rules.filter(lambda each: not segments_of(each.rule)).map(
    lambda each: each.model_copy(update={"name": OTHER_SEGMENT})
)
_reads_other = {"kind": "member", "segment": OTHER_SEGMENT}
second_rules = rules | st.builds(
    lambda kind, condition: rule_of({"kind": kind, "conditions": [_reads_other, condition]}),
    st.sampled_from(["all", "any"]),
    conditions,
)


@pytest.fixture(scope="module")
def place(services: Services, _database_names: Iterator[str]) -> Iterator[DatabaseEndpoint]:
    name = next(_database_names)
    database = create_database(services, name)
    with connect(database, autocommit=True) as connection:
        lay_out(database, connection)
    yield database
    drop_database(services, name)


@pytest.fixture(scope="module")
def opened(place: DatabaseEndpoint) -> Iterator[Connection]:
    with connect(place, autocommit=True) as connection:
        connection.execute("set synchronous_commit = off")
        yield connection


@pytest.fixture
def warehouse(opened: Connection) -> Connection:
    wipe(opened)
    return opened


def _pieces(world: World, random: random_module.Random) -> Iterator[World]:
    """A world in pieces: in a partition in its order, between partitions in any."""
    partitions: dict[tuple[str, int], list[Any]] = {}
    for name, rows in world.items():
        for row in rows:
            partitions.setdefault((name, row["_partition_id"]), []).append(row)
    while partitions:
        piece: dict[str, list[Any]] = {name: [] for name in world}
        for key in list(partitions):
            # Rows of one load land together.
            loads = sorted({row["_load_id"] for row in partitions[key]})
            last = random.choice([-1, *loads])
            piece[key[0]] += [row for row in partitions[key] if row["_load_id"] <= last]
            partitions[key] = [row for row in partitions[key] if row["_load_id"] > last]
            if not partitions[key]:
                del partitions[key]
        yield piece


@given(first_rules, second_rules, worlds, moments, st.randoms(use_true_random=False))
@anew
def test_members_are_those_of_a_full_recompute_at_any_moment(
    opened: Connection,
    place: DatabaseEndpoint,
    first: Rule,
    second: Rule,
    world: World,
    later: datetime,
    random: random_module.Random,
) -> None:
    """However rows are cut and mixed, with a restart between any two looks."""
    wipe(opened)
    activate(opened, first)
    activate(opened, second)
    landed: dict[str, list[Any]] = {name: [] for name in world}
    steps = [*_pieces(world, random), {name: [] for name in world}]
    for number, piece in enumerate(steps):
        is_last = number == len(steps) - 1
        # Time goes on although nothing arrives.
        land(opened, piece, later + 20 * DAY if is_last else None)
        # What rules measure is reckoned for both at once, or for each.
        options = RuntimeOptions(share_from=random.choice([1, 99]))
        catch_up(keeper_of(opened, place, options))
        for name, rows in piece.items():
            landed[name] += rows
        found = members(opened)
        assert found == expected_members([first, second], landed, places(opened))
        assert members_by_changes(opened) == found
    event(f"members: {bool(found)}")
    row = opened.execute("select count(*) from segmentation.membership_outbox").fetchone()
    assert row == opened.execute("select count(*) from segmentation.membership_changes").fetchone()


@given(st.lists(first_rules, min_size=2, max_size=6), worlds, st.integers(1, 3), st.integers(1, 9))
@anew
def test_rules_that_are_asked_together_tell_the_same_with_the_same_evidence(
    opened: Connection,
    place: DatabaseEndpoint,
    found: list[Rule],
    world: World,
    cut: int,
    most: int,
) -> None:
    """Whether each is asked by itself, all in one query, or some in each of several."""
    named = [each.model_copy(update={"name": f"rule_{n}"}) for n, each in enumerate(found)]
    told = []
    for share_from in (99, 1):
        wipe(opened)
        for each in named:
            activate(opened, each)
        # A first look asks everybody, whatever is shared.
        catch_up(keeper_of(opened, place))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(together, "_MOST_LEAVES", most)
            for piece in _cut(world, cut):
                land(opened, piece)
                catch_up(keeper_of(opened, place, RuntimeOptions(share_from=share_from)))
        told.append(sorted(_changes(opened), key=repr))
    event(f"changes: {bool(told[0])}")
    assert told[0] == told[1]


def _cut(world: World, pieces: int) -> Iterator[World]:
    """Loads in their order, so many pieces at most."""
    loads = sorted({row["_load_id"] for rows in world.values() for row in rows})
    for number in range(pieces):
        some = set(loads[number * len(loads) // pieces : (number + 1) * len(loads) // pieces])
        yield {
            name: [row for row in rows if row["_load_id"] in some] for name, rows in world.items()
        }


@given(first_rules, first_rules, worlds)
@anew
def test_a_new_version_tells_the_difference_only(
    opened: Connection, place: DatabaseEndpoint, before: Rule, after: Rule, world: World
) -> None:
    wipe(opened)
    land(opened, world)
    keeper = keeper_of(opened, place)
    activate(opened, before)
    catch_up(keeper)
    old = members(opened).get(OTHER_SEGMENT, set())
    told = opened.execute("select count(*) from segmentation.membership_changes").fetchone()
    assert told == (len(old),)
    activate(opened, after)
    catch_up(keeper)
    new = members(opened).get(OTHER_SEGMENT, set())
    assert new == expected_members([after], world, places(opened)).get(OTHER_SEGMENT, set())
    changes = opened.execute(
        "select customer_id, change from segmentation.membership_changes where version = 2"
    ).fetchall()
    assert sorted(changes) == sorted(
        [(each, "entered") for each in new - old] + [(each, "left") for each in old - new]
    )
    store.retire(opened, OTHER_SEGMENT, ADA)
    catch_up(keeper)
    assert members(opened) == {}
    assert places(opened) == {}
    assert members_by_changes(opened) == {}


def spenders(limit: int, name: str = "spenders", window: str = "last 30d") -> Rule:
    return rule_of(
        {"kind": "aggregate", "stream": "transactions", "function": "sum", "field": "amount",
         "window": window, "op": "gt", "value": limit},
        name=name,
    )  # fmt: skip


def sale(number: int, customer: str, at: datetime, amount: int = 5) -> dict[str, Any]:
    return {"transaction_id": f"t{number}", "product_id": "P1", "store_id": "S1",
            "customer_id": customer, "amount": amount, "timestamp": at,
            "_partition_id": 1, "_offset": number, "_load_id": number}  # fmt: skip


def _changes(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute(
        """select segment, customer_id, change, evidence
           from segmentation.membership_changes order by change_id"""
    ).fetchall()


def test_who_spent_long_ago_leaves_when_others_go_on(
    warehouse: Connection, place: DatabaseEndpoint
) -> None:
    keeper = keeper_of(warehouse, place)
    activate(warehouse, spenders(9))
    land(warehouse, {"transactions": [sale(1, "C1", START, 10), sale(2, "C2", START + DAY, 4)]})
    catch_up(keeper)
    assert members(warehouse) == {"spenders": {"C1"}}
    land(warehouse, {"transactions": [sale(3, "C2", START + 30 * DAY - timedelta(seconds=1))]})
    catch_up(keeper)
    assert members(warehouse) == {"spenders": {"C1"}}
    land(warehouse, {"transactions": [sale(4, "C3", START + 30 * DAY)]})
    catch_up(keeper)
    assert members(warehouse) == {}
    assert _changes(warehouse) == [
        ("spenders", "C1", "entered", [{"holds": True, "found": 10}]),
        ("spenders", "C1", "left", None),
    ]


def test_evidence_is_that_of_the_rule_alone_when_many_are_asked_together(
    warehouse: Connection, place: DatabaseEndpoint
) -> None:
    """Who has no event in what a rule reads has none for it, whatever others read."""
    keeper = keeper_of(warehouse, place, RuntimeOptions(share_from=1))
    activate(warehouse, spenders(9))
    activate(warehouse, spenders(9, "ever", "lifetime"))
    land(warehouse, {"transactions": [sale(1, "C1", START, 4)]})
    catch_up(keeper)
    land(warehouse, {"transactions": [sale(2, "C1", START, 6)]})
    catch_up(keeper)
    land(warehouse, {"transactions": [sale(3, "C2", START + 30 * DAY)]})
    catch_up(keeper)
    assert sorted(_changes(warehouse), key=repr) == [
        ("ever", "C1", "entered", [{"holds": True, "found": 10}]),
        ("spenders", "C1", "entered", [{"holds": True, "found": 10}]),
        ("spenders", "C1", "left", None),
    ]


def test_only_those_are_asked_whose_answer_can_have_changed(
    warehouse: Connection, place: DatabaseEndpoint
) -> None:
    activate(warehouse, spenders(9))
    sales = [sale(n, f"C{n}", START + n * timedelta(hours=1)) for n in range(50)]
    land(warehouse, {"transactions": sales})
    catch_up(keeper_of(warehouse, place))
    land(warehouse, {"transactions": [sale(60, "C7", START + 3 * DAY)]})
    options = RuntimeOptions()
    catch_up(keeper_of(warehouse, place, options))
    asked = {each.name: each for each in options.meter.collect()}["insight_rules_customers_asked"]
    assert asked.samples[0].value == 1
    assert members(warehouse) == {"spenders": {"C7"}}


def test_the_wall_clock_lets_a_history_expire(
    warehouse: Connection, place: DatabaseEndpoint
) -> None:
    activate(warehouse, spenders(1, window="lifetime"))
    activate(warehouse, spenders(1, "recent"))
    land(warehouse, {"transactions": [sale(1, "C1", START)]})
    catch_up(keeper_of(warehouse, place))
    assert members(warehouse) == {"spenders": {"C1"}, "recent": {"C1"}}
    keeper = keeper_of(warehouse, place, RuntimeOptions(clock=Clock.wall))
    keeper.look_for_configurations()
    keeper.look()
    assert members(warehouse) == {"spenders": {"C1"}}
    assert places(warehouse)["recent"] > datetime(2026, 1, 1, tzinfo=UTC)


def test_traits_that_change_are_seen(warehouse: Connection, place: DatabaseEndpoint) -> None:
    activate(warehouse, rule_of({"kind": "trait", "field": "location", "op": "eq",
                                 "value": "Chicago"}, name="chicago"))  # fmt: skip
    catch_up(keeper_of(warehouse, place))
    assert members(warehouse) == {"chicago": {"C1"}}
    with warehouse.transaction():
        warehouse.execute("alter table marts.dim_customer rename to old_customers")
        warehouse.execute("create table marts.dim_customer as table marts.old_customers")
        warehouse.execute(
            "update marts.dim_customer set location = 'Rome' where customer_id = 'C1'"
        )
    catch_up(keeper_of(warehouse, place))
    assert members(warehouse) == {}
    with warehouse.transaction():
        warehouse.execute("drop table marts.dim_customer")
        warehouse.execute("alter table marts.old_customers rename to dim_customer")
    catch_up(keeper_of(warehouse, place))
    assert members(warehouse) == {"chicago": {"C1"}}


def _versions_of_worker(connection: Connection) -> dict[str, tuple[Any, ...]]:
    rows = connection.execute(
        "select segment, version, refused_version, reason from segmentation.rule_worker_versions"
    )
    return {str(segment): tuple(rest) for segment, *rest in rows}


def _smuggle(connection: Connection, spec: str, configuration: str) -> None:
    """A version that the store would refuse, active."""
    connection.execute(
        """update segmentation.segment_versions set status = 'retired', retired_at = now()
           where segment = 'spenders' and status = 'active'"""
    )
    connection.execute(
        """insert into segmentation.segment_versions
               (segment, version, status, spec, spec_sha, configuration, author, activated_at)
           values ('spenders', 2, 'active', %s, 'x', %s, 'eve', now())""",
        (spec, configuration),
    )
    connection.execute(
        """update segmentation.segments
           set configuration_sequence = nextval('segmentation.configuration_sequence')"""
    )


@pytest.mark.parametrize(
    ("spec", "configuration", "reason"),
    [
        ("{}", '{"format": 99}', "has format 99, this worker knows 1"),
        ("{}", '{"format": 1}', "its row holds no rule"),
        ("[]", "[]", "has format None"),
        (spenders(5).model_dump_json(), '{"format": 1, "spec_sha": "x"}', "made of another rule"),
    ],
)
def test_a_bad_configuration_is_refused_and_the_old_one_goes_on(
    warehouse: Connection, place: DatabaseEndpoint, spec: str, configuration: str, reason: str
) -> None:
    keeper = keeper_of(warehouse, place)
    activate(warehouse, spenders(9))
    land(warehouse, {"transactions": [sale(1, "C1", START, 10)]})
    catch_up(keeper)
    assert _versions_of_worker(warehouse) == {"spenders": (1, None, None)}
    _smuggle(warehouse, spec, configuration)
    land(warehouse, {"transactions": [sale(2, "C2", START, 10)]})
    for each in (keeper, keeper_of(warehouse, place)):
        catch_up(each)
        assert members(warehouse) == {"spenders": {"C1", "C2"}}
        version, refused, told = _versions_of_worker(warehouse)["spenders"]
        assert (version, refused) == (1, 2)
        assert reason in told


def test_a_rule_that_cannot_be_answered_does_not_stop_the_others(
    warehouse: Connection, place: DatabaseEndpoint
) -> None:
    activate(warehouse, rule_of({"kind": "trait", "field": "location", "op": "is_set"}, name="a"))
    activate(warehouse, spenders(9))
    land(warehouse, {"transactions": [sale(1, "C1", START, 10)]})
    warehouse.execute("alter table marts.dim_customer rename to away")
    keeper = keeper_of(warehouse, place)
    try:
        catch_up(keeper)
        assert members(warehouse) == {"spenders": {"C1"}}
        version, refused, told = _versions_of_worker(warehouse)["a"]
        assert (version, refused) == (1, 1)
        assert "dim_customer" in told
    finally:
        warehouse.execute("alter table marts.away rename to dim_customer")
    catch_up(keeper_of(warehouse, place))
    assert members(warehouse)["a"] == {"C1", "W1"}
    assert _versions_of_worker(warehouse)["a"] == (1, None, None)


def test_rules_that_share_measures_are_asked_as_if_alone(
    warehouse: Connection, place: DatabaseEndpoint
) -> None:
    names = [f"s{number}" for number in range(4)]
    keeper = keeper_of(warehouse, place)
    for number, name in enumerate(names):
        activate(warehouse, spenders(4 + 5 * number, name))
    land(warehouse, {"transactions": [sale(0, "C1", START)]})
    catch_up(keeper)
    sales = [sale(n, "C2", START + n * timedelta(hours=1)) for n in range(1, 4)]
    land(warehouse, {"transactions": [*sales, sale(9, "C1", START + DAY)]})
    catch_up(keeper)
    assert members(warehouse) == {"s0": {"C1", "C2"}, "s1": {"C1", "C2"}, "s2": {"C2"}}
    assert _changes(warehouse)[-1] == ("s2", "C2", "entered", [{"holds": True, "found": 15}])


def test_who_entered_at_a_new_version_is_asked_about_by_readers_whatever_else_arrived(
    warehouse: Connection, place: DatabaseEndpoint
) -> None:
    keeper = keeper_of(warehouse, place)
    activate(warehouse, spenders(9))
    activate(warehouse, rule_of({"kind": "member", "segment": "spenders"}, name="readers",
                                population=["retail"]))  # fmt: skip
    land(warehouse, {"transactions": [sale(1, "C1", START, 10), sale(2, "C2", START, 5)]})
    catch_up(keeper)
    assert members(warehouse) == {"spenders": {"C1"}, "readers": {"C1"}}
    activate(warehouse, spenders(4))
    land(warehouse, {"transactions": [sale(3, "C3", START, 1)]})
    catch_up(keeper)
    assert members(warehouse) == {"spenders": {"C1", "C2"}, "readers": {"C1", "C2"}}


def test_many_customers_at_once_are_asked_together(
    warehouse: Connection, place: DatabaseEndpoint
) -> None:
    keeper = keeper_of(warehouse, place)
    activate(warehouse, spenders(3))
    catch_up(keeper)
    pipeline = keeper.pipelines[0]
    few = replace(pipeline, job=replace(pipeline.job, most_customers=2))
    land(warehouse, {"transactions": [sale(1, "C0", START)]})
    catch_up(keeper)
    sales = [sale(n, f"C{n}", START + n * timedelta(hours=1)) for n in range(2, 6)]
    land(warehouse, {"transactions": sales})
    assert keeper._catalogue is not None
    for stream in few.noted:
        with warehouse.transaction():
            note_arrivals(warehouse, stream)
    rounds.ask_changed(warehouse, [few], keeper._catalogue, Sharing(keeper._catalogue))
    assert members(warehouse) == {"spenders": {"C0"}}
    catch_up(keeper)
    assert members(warehouse) == {"spenders": {"C0", "C2", "C3", "C4", "C5"}}
