"""The invented shops: what is planted in them can be found, and any piece can be told alone."""

import json
from collections import Counter, defaultdict
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.simulators.anomalies import planted_anomalies
from streaming.simulators.arrivals import END, MINUTE, SECOND, START, microseconds
from streaming.simulators.refunds import REASONS, refunds_between
from streaming.simulators.shop import PRODUCTS, Sales, sales_between
from streaming.simulators.shoppers import LAPSED, LOYAL, ONE_TIME, shopper_kind
from streaming.sources.pos_simulator import SIMULATION

FIRST, LAST = microseconds(START), microseconds(END)
SALES_A_DAY, REFUNDS_A_DAY = 1500.0, 150.0
DAY = 86_400 * SECOND

moments = st.integers(FIRST, LAST)
seeds = st.integers(0, 2**31)
quick = settings(max_examples=25, deadline=None)


@pytest.fixture(scope="module")
def month() -> Sales:
    return sales_between(2019, SALES_A_DAY, FIRST, LAST)


def _told(stream: str, seed: int, a_day: float, first: int, last: int) -> list[tuple]:
    return SIMULATION.streams[stream].between(seed, a_day, first, last)


@pytest.mark.parametrize(("stream", "a_day"), [("transactions", 1500.0), ("refunds", 150.0)])
@quick
@given(seed=seeds, first=moments, lengths=st.tuples(*[st.integers(0, 6 * 3600 * SECOND)] * 2))
def test_pieces_of_time_join_without_gap_or_overlap(stream, a_day, seed, first, lengths) -> None:
    middle, last = first + lengths[0], first + sum(lengths)
    pieces = _told(stream, seed, a_day, first, middle) + _told(stream, seed, a_day, middle, last)
    assert pieces == _told(stream, seed, a_day, first, last)


@pytest.mark.parametrize(("stream", "a_day"), [("transactions", 1500.0), ("refunds", 150.0)])
@quick
@given(seed=seeds, first=moments, more=st.floats(1, 30))
def test_larger_volume_holds_every_event_of_a_smaller_one(stream, a_day, seed, first, more) -> None:
    last = first + 6 * 3600 * SECOND
    few = _told(stream, seed, a_day, first, last)
    assert set(few) <= set(_told(stream, seed, a_day * more, first, last))


@settings(max_examples=5, deadline=None)
@given(seed=seeds, sales_a_day=st.floats(200, 4000))
def test_refunds_are_of_real_earlier_sales_and_never_exceed_them(seed, sales_a_day) -> None:
    last = FIRST + 10 * DAY
    sales = _by_id(_told("transactions", seed, sales_a_day, FIRST, last), "transaction_id")
    refunds = _by_id(_told("refunds", seed, sales_a_day / 10, FIRST, last), "refund_id")
    given_back: Counter[str] = Counter()
    for refund in refunds.values():
        sale = sales[refund["original_transaction_id"]]
        assert all(refund[each] == sale[each] for each in ("product_id", "store_id", "customer_id"))
        assert refund["timestamp"] > sale["timestamp"]
        assert refund["refund_amount"] > 0
        given_back[sale["transaction_id"]] += round(refund["refund_amount"] * 100)
    for sale, cents in given_back.items():
        assert cents <= round(sales[sale]["amount"] * 100)


def _by_id(events: list, key: str) -> dict[str, dict]:
    found = [json.loads(event.value) for event in events]
    assert len({each[key] for each in found}) == len(found)
    return {each[key]: each for each in found}


def test_volume_of_the_default_window_is_as_declared(month) -> None:
    refunds = refunds_between(2019, SALES_A_DAY, FIRST, LAST)
    assert 42_000 <= len(month) <= 48_000
    assert 0.09 <= len(refunds.turn) / len(month) <= 0.11
    assert (refunds.turn == 1).sum() >= 50
    assert (refunds.cents < refunds.sale.cents).mean() > 0.1


def test_reasons_depend_on_the_product() -> None:
    refunds = refunds_between(2019, SALES_A_DAY, FIRST, LAST)
    assert np.bincount(refunds.reason, minlength=len(REASONS)).min() >= 200
    shares = {
        product: np.bincount(refunds.reason[refunds.sale.product == product]).argmax()
        for product in range(len(PRODUCTS))
    }
    assert REASONS[shares[0]] == "defective"
    assert REASONS[shares[4]] == "wrong_item"


def _baskets(sales: Sales) -> list[set[int]]:
    """What a customer buys at one store on one day of the city."""
    found: dict[tuple[int, int, int], set[int]] = defaultdict(set)
    days = (sales.sold + 180 * MINUTE) // DAY
    rows = zip(sales.customer, sales.store, days, sales.product, strict=True)
    for customer, store, day, product in rows:
        found[customer, store, day].add(int(product))
    return list(found.values())


@pytest.mark.parametrize("seed", [2019, 1, 77])
def test_products_bought_together_have_lift(seed) -> None:
    baskets = _baskets(sales_between(seed, SALES_A_DAY, FIRST, LAST))
    alone = Counter(product for basket in baskets for product in basket)
    for lead, also in (("P002", "P005"), ("P002", "P006"), ("P001", "P004"), ("P001", "P006")):
        one, other = PRODUCTS.index(lead), PRODUCTS.index(also)
        both = sum(one in basket and other in basket for basket in baskets)
        assert both * len(baskets) / (alone[one] * alone[other]) > 1.5, (lead, also)


def test_basket_is_sold_within_half_a_minute_at_one_till(month) -> None:
    order = np.lexsort((month.product, month.number, month.slot))
    same = (np.diff(month.slot[order]) == 0) & (np.diff(month.number[order]) == 0)
    assert same.sum() > 10_000
    assert (np.diff(month.store[order])[same] == 0).all()
    assert (np.diff(month.customer[order])[same] == 0).all()
    assert (np.abs(np.diff(month.sold[order]))[same] <= 30 * SECOND).all()


def test_shops_are_busy_by_day_and_before_the_weekend(month) -> None:
    city = (month.sold + 180 * MINUTE) // MINUTE
    hours = np.bincount(city % 1440 // 60, minlength=24)
    assert hours[2:6].sum() < 0.02 * len(month)
    assert hours[18:22].sum() > 0.3 * len(month)
    days = np.bincount(city // 1440 - FIRST // DAY, minlength=31)[:28].reshape(4, 7).sum(axis=0)
    assert days[3:6].min() > days[[0, 1, 2, 6]].max()


def test_most_arrive_at_once_some_late_and_a_few_very_late(month) -> None:
    late = (month.moment - month.sold) / SECOND
    assert 0.02 < (late > 60).mean() < 0.05
    assert 0.003 < (late > 3600).mean() < 0.008
    assert late.max() <= 6.5 * 3600
    assert (np.diff(month.moment) >= 0).all()
    assert (np.diff(month.sold) < 0).mean() > 0.02


def test_customers_differ_in_loyalty(month) -> None:
    newest: dict[str, list[int]] = defaultdict(list)
    counts: dict[str, list[int]] = defaultdict(list)
    for customer in np.unique(month.customer):
        own = month.sold[month.customer == customer]
        kind = shopper_kind(int(customer))
        newest[kind].append((LAST - own.max()) // DAY)
        counts[kind].append(len(own))
    assert np.median(counts[LOYAL]) > 5 * np.median(counts["occasional"])
    assert np.median(counts[ONE_TIME]) <= 2
    assert min(newest[LAPSED]) >= 14
    assert np.median(newest[LOYAL]) <= 2


def test_planted_spikes_and_drops_are_where_they_are_said_to_be(month) -> None:
    planted = planted_anomalies(2019, START, END)
    minutes = np.bincount(month.sold // MINUTE - FIRST // MINUTE, minlength=30 * 1440)
    for each in planted:
        begin = (microseconds(each.first) - FIRST) // MINUTE
        length = (each.last - each.first) // timedelta(minutes=1)
        around = np.r_[minutes[begin - 120 : begin], minutes[begin + length :][:120]].mean()
        inside = minutes[begin : begin + length].mean()
        if each.kind == "spike":
            assert inside > 8 * around
        else:
            assert inside < 0.2 * around
    assert {each.kind for each in planted} == {"spike", "drop"}
    assert 10 <= len(planted) <= 30
    quiet = np.ones(len(minutes), bool)
    for each in planted:
        begin = (microseconds(each.first) - FIRST) // MINUTE
        quiet[begin - 1 : begin + (each.last - each.first) // timedelta(minutes=1) + 1] = False
    assert minutes[quiet].max() < 25


@quick
@given(seed=seeds, hours=st.floats(0, 50_000))
def test_any_piece_of_the_anomalies_is_as_in_the_whole(seed, hours) -> None:
    first = START + timedelta(hours=hours)
    last = first + timedelta(days=3)
    whole = planted_anomalies(seed, first - timedelta(days=2), last + timedelta(days=2))
    piece = [each for each in whole if first <= each.first < last]
    assert planted_anomalies(seed, first, last) == piece


def test_nothing_happens_before_the_start(month) -> None:
    assert len(sales_between(2019, SALES_A_DAY, FIRST - 3 * DAY, FIRST)) == 0
    assert month.sold.min() >= FIRST
