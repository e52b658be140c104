"""Laws that every rule obeys, asked of the database."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st
from random_rules import (
    START,
    STEP,
    conditions,
    durations,
    histories,
    moments,
    rule_of,
    sequences,
    worlds,
)
from rule_worlds import CATALOGUE_WITH_OTHERS, World, asked, fill, members_in_python, members_in_sql

from insight.database import Connection
from segmentation.queries.preview import preview_rule

anew = settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
_POPULATION = ["banking", "ecommerce", "retail"]


def not_(condition: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": "not", "condition": condition}


def members(connection: Connection, condition: Mapping[str, Any], as_of: datetime) -> set[str]:
    return members_in_sql(connection, rule_of(condition, population=_POPULATION), as_of)


def everybody(connection: Connection, as_of: datetime) -> set[str]:
    return members(connection, {"kind": "bucket", "salt": "a", "percent": 100}, as_of)


@given(conditions, worlds, moments)
@anew
def test_not_is_everybody_else_and_twice_not_is_nothing(
    warehouse: Connection, condition: dict[str, Any], world: World, as_of: datetime
) -> None:
    fill(warehouse, world)
    found = members(warehouse, condition, as_of)
    assert members(warehouse, not_(condition), as_of) == everybody(warehouse, as_of) - found
    deep = not_(not_(condition))
    assume(_levels(deep) <= 8)
    assert members(warehouse, deep, as_of) == found


@given(st.lists(conditions, min_size=2, max_size=3), worlds, moments)
@anew
def test_de_morgan(
    warehouse: Connection, parts: list[dict[str, Any]], world: World, as_of: datetime
) -> None:
    negated = [not_(each) for each in parts]
    assume(max(map(_levels, negated)) <= 6)
    fill(warehouse, world)
    for kind, other in (("all", "any"), ("any", "all")):
        one = not_({"kind": kind, "conditions": parts})
        assert members(warehouse, one, as_of) == members(
            warehouse, {"kind": other, "conditions": negated}, as_of
        )


@given(worlds, moments, durations, durations, st.sampled_from([0, 1, 2, 3]))
@anew
def test_at_least_so_many_events_grow_with_the_window(
    warehouse: Connection, world: World, as_of: datetime, one: str, other: str, least: int
) -> None:
    fill(warehouse, world)
    shorter, longer = sorted(
        (rule_of(_count(f"last {each}", "gte", least)) for each in (one, other)),
        key=lambda rule: rule.rule.window.last,  # type: ignore[union-attr]
    )
    assert members_in_sql(warehouse, shorter, as_of) <= members_in_sql(warehouse, longer, as_of)


@given(conditions, worlds, moments, st.randoms(use_true_random=False))
@anew
def test_order_of_rows_and_later_duplicates_change_nothing(
    warehouse: Connection, condition: dict[str, Any], world: World, as_of: datetime, random: Any
) -> None:
    rule = rule_of(condition, population=_POPULATION)
    fill(warehouse, world)
    before = asked(warehouse, rule, as_of)
    again = {
        name: [
            *rows,
            *(
                {**row, "_offset": row["_offset"] + 1000, "_load_id": row["_load_id"] + 1000}
                for row in rows
                if random.random() < 0.7
            ),
        ]
        for name, rows in world.items()
    }
    for rows in again.values():
        random.shuffle(rows)
    fill(warehouse, again)
    assert _sorted(asked(warehouse, rule, as_of)) == _sorted(before)


# Of one customer mostly, and of a whole past: else hardly any sequence would ever be there.
_dense = histories("transactions", 10).flatmap(
    lambda sales: histories("refunds", 8).map(
        lambda refunds: {
            "transactions": [{**row, "customer_id": "C1", "transaction_id": f"t{n}"}
                             for n, row in enumerate(sales)],
            "refunds": [{**row, "customer_id": "C1" if n else "C2", "refund_id": f"r{n}"}
                        for n, row in enumerate(refunds)],
        }
    )
)  # fmt: skip


@given(sequences, _dense, st.sampled_from(["lifetime", "last 15d", "qtd"]))
@settings(anew, max_examples=80)
def test_sequences_are_found_as_trying_all_of_them_finds_them(
    warehouse: Connection, sequence: dict[str, Any], world: World, window: str
) -> None:
    fill(warehouse, world)
    rule = rule_of({**sequence, "window": window})
    as_of = START + 70 * STEP
    found = members_in_python(rule, world, as_of)
    event(f"somebody did it: {bool(found)}")
    assert members_in_sql(warehouse, rule, as_of) == found


def test_zero_counts_match_everybody_without_events(warehouse: Connection) -> None:
    fill(warehouse, {"transactions": [_sale("C1", START), _sale("C2", START - timedelta(days=9))]})
    as_of = START + timedelta(days=1)
    assert members(warehouse, _count("last 3d", "eq", 0), as_of) == {"C2", "W1", "A1"}
    assert members(warehouse, _count("last 3d", "lt", 1), as_of) == {"C2", "W1", "A1"}
    assert members(warehouse, _count("last 3d", "gte", 0), as_of) == {"C1", "C2", "W1", "A1"}
    of_retail = rule_of(_count("last 3d", "eq", 0))
    assert members_in_sql(warehouse, of_retail, as_of) == {"C2"}


@pytest.mark.parametrize("op", ["eq", "ne", "lt", "lte", "gt", "gte"])
@pytest.mark.parametrize("function", ["avg", "min", "max"])
def test_unknown_aggregates_are_false_whatever_the_comparison(
    warehouse: Connection, function: str, op: str
) -> None:
    fill(warehouse, {"transactions": [_sale("C1", START)]})
    leaf = {**_count("last 1d", op, 5), "function": function, "field": "amount"}
    long_after = START + timedelta(days=20)
    assert members(warehouse, leaf, long_after) == set()
    assert members(warehouse, not_(leaf), long_after) == everybody(warehouse, long_after)


def test_a_window_holds_its_start_and_not_its_end(warehouse: Connection) -> None:
    fill(warehouse, {"transactions": [_sale("C1", START)]})
    once = rule_of(_count("last 3d", "eq", 1))
    instant = timedelta(microseconds=1)
    assert members_in_sql(warehouse, once, START) == set()
    assert members_in_sql(warehouse, once, START + instant) == {"C1"}
    assert members_in_sql(warehouse, once, START + timedelta(days=3)) == {"C1"}
    assert members_in_sql(warehouse, once, START + timedelta(days=3) + instant) == set()


def test_an_average_is_compared_without_rounding(warehouse: Connection) -> None:
    sales = [
        {**_sale("C1", START + timedelta(minutes=n)), "transaction_id": f"t{n}", "_offset": n,
         "amount": amount}
        for n, amount in enumerate(("0.01", "0.01", "0.02"))
    ]  # fmt: skip
    fill(warehouse, {"transactions": sales})
    leaf = {**_count("last 3d", "gt", 0.013333), "function": "avg", "field": "amount"}
    later = START + timedelta(days=1)
    assert members_in_sql(warehouse, rule_of(leaf), later) == {"C1"}
    assert members_in_sql(warehouse, rule_of({**leaf, "value": 0.013334}), later) == set()


def test_the_first_row_of_an_event_counts_even_when_a_later_one_contradicts_it(
    warehouse: Connection,
) -> None:
    first = _sale("C1", START - timedelta(days=40))
    again = {**_sale("C2", START), "transaction_id": "of C1", "_load_id": 9}
    fill(warehouse, {"transactions": [again, first]})
    later = START + timedelta(days=1)
    assert members_in_sql(warehouse, rule_of(_count("last 30d", "gte", 1)), later) == set()
    assert members_in_sql(warehouse, rule_of(_count("lifetime", "gte", 1)), later) == {"C1"}


@pytest.mark.parametrize(
    "hostile",
    ["'; drop table streaming.transactions_raw; --", "%(p0)s", "%s", '"', "\\", "{}", "é"],
)
def test_hostile_texts_are_values_and_nothing_else(warehouse: Connection, hostile: str) -> None:
    sale = {**_sale(hostile, START), "store_id": hostile}
    fill(warehouse, {"transactions": [sale, {**_sale("C1", START), "transaction_id": "t2",
                                             "_offset": 1}]})  # fmt: skip
    as_of = START + timedelta(days=1)
    for op in ("eq", "contains", "starts_with"):
        where = [{"field": "store_id", "op": op, "value": hostile}]
        rule = rule_of({**_count("last 3d", "gte", 1), "where": where})
        assert members_in_sql(warehouse, rule, as_of) == {hostile}
    listed = rule_of({"kind": "list", "customers": [hostile]}, population=["retail"])
    assert members_in_sql(warehouse, listed, as_of) == {hostile}
    salted = rule_of({"kind": "bucket", "salt": hostile, "percent": 100}, population=["retail"])
    assert members_in_sql(warehouse, salted, as_of) == {hostile, "C1"}


def test_a_rule_of_64_leaves_and_a_list_of_10000_are_answered(warehouse: Connection) -> None:
    fill(warehouse, {"transactions": [_sale("C1", START)]})
    as_of = START + timedelta(days=1)
    many = [_count(f"last {n + 1}d", "eq", 1) for n in range(63)]
    listed = {"kind": "list", "customers": [f"X{n}" for n in range(9_999)] + ["C1"]}
    rule = rule_of({"kind": "all", "conditions": [*many, listed]})
    (row,) = asked(warehouse, rule, as_of)
    assert row["customer_id"] == "C1"
    assert row["leaves"] % 2**64 == 2**64 - 1
    assert [
        each.customers
        for each in preview_rule(warehouse, rule, CATALOGUE_WITH_OTHERS, as_of).leaves
    ] == [1] * 64


def _count(window: str, op: str, value: float) -> dict[str, Any]:
    return {
        "kind": "aggregate",
        "stream": "transactions",
        "function": "count",
        "window": window,
        "op": op,
        "value": value,
    }


def _sale(customer: str, at: datetime) -> dict[str, Any]:
    return {
        "transaction_id": f"of {customer}",
        "product_id": "P1",
        "store_id": "S1",
        "amount": 10,
        "customer_id": customer,
        "timestamp": at,
        "_partition_id": 1,
        "_offset": 0 if customer == "C1" else 5,
        "_load_id": 1,
    }


def _levels(condition: Mapping[str, Any]) -> int:
    below = [*condition.get("conditions", ()), *filter(None, [condition.get("condition")])]
    return 1 + max(map(_levels, below), default=0)


def _sorted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: row["customer_id"])
