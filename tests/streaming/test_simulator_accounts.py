"""The invented bank: three kinds of customers that can be told apart."""

import json
from collections import Counter, defaultdict
from datetime import datetime, timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import StandardScaler

from streaming.simulators.accounts import (
    CUSTOMERS,
    KINDS,
    movements_between,
    planted_kind,
    planted_kinds,
)
from streaming.simulators.arrivals import END, SECOND, START, microseconds
from streaming.sources.account_simulator import SIMULATION

FIRST, LAST = microseconds(START), microseconds(END)
_between = SIMULATION.streams["account-transactions"].between

moments = st.integers(FIRST, LAST)
seeds = st.integers(0, 2**31)
quick = settings(max_examples=25, deadline=None)


@quick
@given(seed=seeds, first=moments, lengths=st.tuples(*[st.integers(0, 12 * 3600 * SECOND)] * 2))
def test_pieces_of_time_join_without_gap_or_overlap(seed, first, lengths) -> None:
    middle, last = first + lengths[0], first + sum(lengths)
    pieces = _between(seed, 500.0, first, middle) + _between(seed, 500.0, middle, last)
    assert pieces == _between(seed, 500.0, first, last)


@quick
@given(seed=seeds, first=moments, more=st.floats(1, 30))
def test_larger_volume_holds_every_event_of_a_smaller_one(seed, first, more) -> None:
    last = first + 6 * 3600 * SECOND
    few = _between(seed, 500.0, first, last)
    assert set(few) <= set(_between(seed, 500.0 * more, first, last))


def _features(seed: int) -> dict[str, tuple[float, float, float]]:
    """(movements, mean size, days since the last one) of each customer at the end of the window."""
    own = defaultdict(list)
    for event in _between(seed, 500.0, FIRST, LAST):
        movement = json.loads(event.value)
        own[movement["customer_id"]].append(movement)
    return {
        customer: (
            len(moves),
            float(np.mean([abs(each["transaction_amt"]) for each in moves])),
            (END - max(datetime.fromisoformat(each["transaction_time"]) for each in moves)).days,
        )
        for customer, moves in own.items()
    }


def test_planted_kinds_can_be_found_again() -> None:
    for seed in (2019, 5, 1234):
        features = _features(seed)
        planted = planted_kinds(seed, END)
        assert len(features) >= CUSTOMERS - 3
        table = np.array(list(features.values()))
        scaled = StandardScaler().fit_transform(np.c_[np.log1p(table[:, :2]), table[:, 2]])
        found = KMeans(3, n_init=10, random_state=0).fit_predict(scaled)
        assert adjusted_rand_score([planted[each] for each in features], found) >= 0.95


def test_kinds_differ_in_amount_frequency_and_recency() -> None:
    features, planted = _features(2019), planted_kinds(2019, END)
    by_kind = {
        kind: np.median([features[each] for each in features if planted[each] == kind], axis=0)
        for kind in KINDS
    }
    high, budget, risk = (by_kind[kind] for kind in KINDS)
    assert high[1] > 20 * budget[1]
    assert min(high[0], budget[0]) > 6 * risk[0]
    assert risk[2] > 7 > max(high[2], budget[2]) + 5


def test_volume_is_about_500_a_day_and_no_amount_is_nothing() -> None:
    moves = movements_between(2019, 500.0, FIRST, LAST)
    assert 14_000 <= len(moves.cents) <= 16_000
    assert (moves.cents != 0).all()
    assert 0.2 < (moves.cents > 0).mean() < 0.6


def test_few_customers_drift_and_all_kinds_stay_populated() -> None:
    month = timedelta(days=30)
    changed = []
    for number in range(24):
        before = planted_kinds(2019, START + number * month)
        after = planted_kinds(2019, START + (number + 1) * month)
        changed.append(sum(before[each] != after[each] for each in before))
        assert min(Counter(after.values()).values()) >= 40
    assert 1 <= np.mean(changed) <= 12
    assert max(changed) <= 20
    assert planted_kind(2019, "A00001", START) in KINDS
