"""SQL and the plain evaluator give every customer the same answer."""

from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_rules import CATALOGUE, CUSTOMERS, moments, rules, worlds
from rule_worlds import CATALOGUE_WITH_OTHERS, World, add, asked, customers_of, fill, results_of

from insight.database import Connection
from segmentation.queries.compile import SAMPLES
from segmentation.queries.plan import make_plan
from segmentation.queries.preview import preview_rule
from segmentation.queries.query import Dedupe, Output
from segmentation.rules.spec import Aggregate, Rule
from segmentation.runtime.arrivals import note_arrivals, take_changed

# The database is filled anew by each example.
anew = settings(
    max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture,
                                             HealthCheck.too_slow]
)  # fmt: skip


@given(rules, worlds, moments)
@anew
def test_every_customer_gets_the_same_answer(
    warehouse: Connection, rule: Rule, world: World, as_of: datetime
) -> None:
    fill(warehouse, world)
    expected = results_of(rule, world, as_of)
    _check(warehouse, rule, as_of, expected, Dedupe.searched)
    for stream in CATALOGUE.streams.values():
        note_arrivals(warehouse, stream)
    _check(warehouse, rule, as_of, expected, Dedupe.noted)


def _check(warehouse, rule, as_of, expected, dedupe) -> None:
    rows = {row["customer_id"]: row for row in asked(warehouse, rule, as_of, dedupe=dedupe)}
    matching = {name for name, each in expected.items() if each.matches}
    plan = make_plan(rule, CATALOGUE_WITH_OTHERS)
    if not plan.only_with_events:
        assert rows.keys() == expected.keys()
    assert {name for name, row in rows.items() if row["matches"]} == matching
    for name, row in rows.items():
        assert row["leaves"] == expected[name].mask, name
        for index, leaf in enumerate(expected[name].leaves):
            if isinstance(leaf.leaf, Aggregate) and leaf.leaf.function != "avg":
                assert row[f"value_{index}"] == leaf.found
            if isinstance(leaf.leaf, Aggregate) and leaf.leaf.function == "avg":
                assert (row[f"value_{index}"] is None) is (leaf.found is None)
                assert leaf.found is None or row[f"value_{index}"] == pytest.approx(leaf.found)
    found = asked(warehouse, rule, as_of, Output.members, dedupe)
    assert {row["customer_id"] for row in found} == matching
    assert len(found) == len(matching)
    counted = preview_rule(warehouse, rule, CATALOGUE_WITH_OTHERS, as_of, dedupe)
    assert counted.matched == len(matching)
    assert set(counted.samples) <= matching
    assert len(counted.samples) == min(SAMPLES, len(matching))
    assert list(counted.samples) == sorted(counted.samples)
    assert [each.customers for each in counted.leaves] == [
        sum(each.leaves[index].holds for each in expected.values())
        for index in range(len(plan.leaves))
    ]
    some = [name for name in (*CUSTOMERS, "nobody") if len(name) % 2 == 0]
    restricted = asked(warehouse, rule, as_of, Output.members, dedupe, some)
    assert {row["customer_id"] for row in restricted} == matching & set(some)


@given(rules, rules, worlds, moments)
@anew
def test_a_preview_counts_who_would_enter_and_leave(
    warehouse: Connection, rule: Rule, before: Rule, world: World, as_of: datetime
) -> None:
    fill(warehouse, world)
    members, were = (
        {name for name, each in results_of(one, world, as_of).items() if each.matches}
        for one in (rule, before)
    )
    found = preview_rule(warehouse, rule, CATALOGUE_WITH_OTHERS, as_of, active=before)
    assert found.matched == len(members)
    assert found.change is not None
    assert (found.change.entering, found.change.leaving) == (
        len(members - were), len(were - members),
    )  # fmt: skip
    assert set(found.change.would_enter) <= members - were
    assert set(found.change.would_leave) <= were - members
    assert len(found.change.would_enter) == min(SAMPLES, len(members - were))


@given(rules, worlds, moments, st.randoms(use_true_random=False))
@anew
def test_noting_in_any_number_of_steps_is_noting_at_once(
    warehouse: Connection, rule: Rule, world: World, as_of: datetime, random
) -> None:
    fill(warehouse, {})
    landed: dict[str, list] = {name: [] for name in world}
    last = max((row["_load_id"] for rows in world.values() for row in rows), default=0)
    cuts = sorted(random.sample(range(last + 1), k=min(2, last + 1)))
    for low, high in zip([-1, *cuts], [*cuts, last], strict=True):
        news = {
            name: [row for row in rows if low < row["_load_id"] <= high]
            for name, rows in world.items()
        }
        add(warehouse, news)
        for stream in CATALOGUE.streams.values():
            rows = news.get(stream.name, ())
            assert note_arrivals(warehouse, stream) == len(rows)
            told = take_changed(warehouse).get(stream.name, set())
            assert told is None or {row["customer_id"] for row in rows} <= told
        for name, rows in news.items():
            landed[name] += rows
        expected = results_of(rule, landed, as_of)
        _check(warehouse, rule, as_of, expected, Dedupe.noted)
    assert customers_of(rule, landed).keys() == customers_of(rule, world).keys()
