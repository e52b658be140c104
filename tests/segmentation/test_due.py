"""The next moment at which a customer's result changes by itself, beside trying every moment."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from hypothesis import assume, event, given, settings
from hypothesis import strategies as st
from random_rules import START, STEP, STEPS, moments, rule_of, rules, worlds
from rule_worlds import CATALOGUE_WITH_OTHERS, World, customers_of

from segmentation.queries.due import next_due
from segmentation.queries.evaluator import Customer, evaluate
from segmentation.queries.plan import Plan, make_plan
from segmentation.rules.spec import Rule
from segmentation.rules.windows import TICK

# Every window but those of a quarter or a year is over by then.
_TRIED = STEPS + 70


def _every_moment(after: datetime) -> Iterator[datetime]:
    """All moments at which something can happen here: events and windows lie on whole steps."""
    for number in range(_TRIED):
        moment = START + number * STEP
        yield from (each for each in (moment, moment + TICK) if each > after)


def _first_change(plan: Plan, customer: Customer, as_of: datetime) -> datetime | None:
    now = evaluate(plan, CATALOGUE_WITH_OTHERS, customer, as_of).matches
    for moment in _every_moment(as_of):
        if evaluate(plan, CATALOGUE_WITH_OTHERS, customer, moment).matches is not now:
            return moment
    return None


@given(rules, worlds, moments, st.booleans())
@settings(max_examples=40)
def test_the_next_change_is_the_one_that_trying_all_moments_finds(
    rule: Rule, world: World, as_of: datetime, just_after: bool
) -> None:
    as_of = as_of + TICK if just_after else as_of
    plan = make_plan(rule, CATALOGUE_WITH_OTHERS)
    customers = customers_of(rule, world)
    assume(customers)
    customer = customers[min(customers)]
    expected = _first_change(plan, customer, as_of)
    event(f"changes: {expected is not None}")
    found = next_due(plan, CATALOGUE_WITH_OTHERS, customer, as_of, most_looks=10_000)
    if expected is None:
        assert found is None or found >= START + _TRIED * STEP
    else:
        assert found == expected


@given(rules, worlds, moments, st.integers(0, 3))
@settings(max_examples=40)
def test_few_looks_wake_up_too_early_and_never_too_late(
    rule: Rule, world: World, as_of: datetime, looks: int
) -> None:
    plan = make_plan(rule, CATALOGUE_WITH_OTHERS)
    for customer in list(customers_of(rule, world).values())[:2]:
        exact = next_due(plan, CATALOGUE_WITH_OTHERS, customer, as_of, most_looks=10_000)
        hasty = next_due(plan, CATALOGUE_WITH_OTHERS, customer, as_of, most_looks=looks)
        if exact is not None:
            assert hasty is not None
            assert as_of < hasty <= exact


def test_a_customer_leaves_a_thirty_day_window_on_time() -> None:
    rule = rule_of(
        {"kind": "aggregate", "stream": "transactions", "function": "count",
         "window": "last 30d", "op": "gte", "value": 1}
    )  # fmt: skip
    plan = make_plan(rule, CATALOGUE_WITH_OTHERS)
    sale = {"transaction_id": "t", "timestamp": START, "amount": 1, "store_id": "S"}
    customer = Customer("C1", {"transactions": [sale]})
    due = next_due(plan, CATALOGUE_WITH_OTHERS, customer, START + timedelta(days=2))
    assert due == START + timedelta(days=30) + TICK
