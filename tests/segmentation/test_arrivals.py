"""What is noted of arrivals that come out of order or through the quarantine."""

from datetime import timedelta
from typing import Any

from random_rules import CATALOGUE, START, rule_of
from rule_worlds import add, asked, customers_of, fill

from insight.database import Connection
from segmentation.queries.evaluator import evaluate
from segmentation.queries.plan import make_plan
from segmentation.queries.query import Dedupe
from segmentation.queries.run import read_customer
from segmentation.runtime.arrivals import note_arrivals, take_changed

SALES = CATALOGUE.streams["transactions"]
ONE = rule_of(
    {"kind": "aggregate", "stream": "transactions", "function": "count", "window": "lifetime",
     "op": "gte", "value": 1}
)  # fmt: skip
LATER = START + timedelta(days=1)


def _row(offset: int, load: int, partition: int = 1, **changes: Any) -> dict[str, Any]:
    return {"transaction_id": "same", "product_id": "P1", "store_id": "S1", "customer_id": "C1",
            "amount": 5, "timestamp": START, "_partition_id": partition, "_offset": offset,
            "_load_id": load, **changes}  # fmt: skip


def _counts(warehouse: Connection) -> dict[str, int]:
    rows = asked(warehouse, ONE, LATER, dedupe=Dedupe.noted)
    return {row["customer_id"]: row["value_0"] for row in rows}


def _told(warehouse: Connection) -> set[str] | None:
    """Whose rows changed, after noting what is new."""
    note_arrivals(warehouse, SALES)
    return take_changed(warehouse).get("transactions", set())


def test_rows_that_nobody_has_judged_are_not_seen(warehouse: Connection) -> None:
    fill(warehouse, {"transactions": [_row(0, 1)]})
    assert _counts(warehouse) == {}
    assert _told(warehouse) is None
    assert _counts(warehouse) == {"C1": 1}
    assert note_arrivals(warehouse, SALES) == 0
    add(warehouse, {"transactions": [_row(1, 2, transaction_id="more", customer_id="C2")]})
    assert _told(warehouse) == {"C2"}
    assert _told(warehouse) == set()


def test_a_load_that_commits_late_takes_the_place_of_one_that_was_judged(
    warehouse: Connection,
) -> None:
    fill(warehouse, {"transactions": [_row(0, 7, partition=2, customer_id="C2")]})
    note_arrivals(warehouse, SALES)
    assert _counts(warehouse) == {"C2": 1}
    add(warehouse, {"transactions": [_row(0, 5)]})
    assert take_changed(warehouse) == {"transactions": None}
    assert _told(warehouse) == {"C1", "C2"}
    assert _counts(warehouse) == {"C1": 1}


def test_a_message_mended_in_quarantine_counts_when_it_is_noted(warehouse: Connection) -> None:
    other = {"transaction_id": "other"}
    fill(warehouse, {"transactions": [_row(0, 1), _row(2, 1, transaction_id="third")]})
    note_arrivals(warehouse, SALES)
    add(warehouse, {"transactions": [_row(1, 9, customer_id="C3", **other)]})
    assert note_arrivals(warehouse, SALES) == 0
    take_changed(warehouse)
    warehouse.execute("insert into streaming.quarantine values ('transactions', 1, 1, 9)")
    try:
        assert _told(warehouse) == {"C3"}
        assert note_arrivals(warehouse, SALES) == 0
    finally:
        warehouse.execute("delete from streaming.quarantine")
    assert _counts(warehouse) == {"C1": 2, "C3": 1}


def test_one_customer_is_read_as_the_evaluator_wants_it(warehouse: Connection) -> None:
    world = {"transactions": [_row(0, 1), _row(1, 1), _row(2, 1, customer_id="C2")]}
    fill(warehouse, world)
    plan = make_plan(ONE, CATALOGUE)
    read = read_customer(warehouse, plan, CATALOGUE, "C1")
    expected = customers_of(ONE, world)["C1"]
    assert evaluate(plan, CATALOGUE, read, LATER) == evaluate(plan, CATALOGUE, expected, LATER)
    assert evaluate(plan, CATALOGUE, read, LATER).leaves[0].found == 1
    assert read_customer(warehouse, plan, CATALOGUE, "nobody").events == {"transactions": []}
