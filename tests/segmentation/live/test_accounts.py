"""Running figures of accounts against a plain recomputation, in any order and any pieces."""

import itertools
import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from segmentation.live.accounts import (
    NEVER,
    RECENT,
    CustomerNumbers,
    add_movements,
    empty_accounts,
)

_CUSTOMERS = 4
_movements = st.lists(
    st.tuples(
        st.integers(0, _CUSTOMERS - 1),
        st.integers(-(10**10), 10**10),
        # Few moments, so that several movements share one.
        st.integers(0, 30).map(lambda day: day * 86_400_000_000),
    ),
    max_size=60,
)


def _added(movements, cuts=()):
    accounts = empty_accounts(_CUSTOMERS)
    edges = [0, *sorted(each % (len(movements) + 1) for each in cuts), len(movements)]
    for start, stop in itertools.pairwise(edges):
        columns = [np.array(each, np.int64) for each in zip(*movements[start:stop], strict=True)]
        if columns:
            add_movements(accounts, *columns)
    return accounts


@given(movements=_movements)
def test_figures_are_those_of_a_plain_recomputation(movements) -> None:
    accounts = _added(movements)
    for customer in range(_CUSTOMERS):
        own = [(at, abs(cents), cents) for number, cents, at in movements if number == customer]
        newest = sorted(own, reverse=True)[:RECENT]
        nothing = RECENT - len(newest)
        assert accounts.balance[customer] == sum(cents for _, _, cents in own)
        assert accounts.moved[customer] == sum(size for _, size, _ in own)
        assert accounts.value[customer] == accounts.moved[customer]
        assert accounts.movements[customer] == len(own)
        assert accounts.last[customer] == max((at for at, _, _ in own), default=NEVER)
        assert accounts.recent_at[customer].tolist() == [
            *(at for at, _, _ in newest),
            *[NEVER] * nothing,
        ]
        assert accounts.recent_cents[customer].tolist() == [
            *(size for _, size, _ in newest),
            *[0] * nothing,
        ]


@given(movements=_movements, cuts=st.lists(st.integers(0, 60), max_size=5), seed=st.integers())
def test_neither_order_nor_pieces_change_the_figures(movements, cuts, seed) -> None:
    shuffled = random.Random(seed).sample(movements, len(movements))
    once, pieces = _added(movements), _added(shuffled, cuts)
    for name, column in vars(once).items():
        assert (getattr(pieces, name) == column).all(), name


def test_the_rows_that_changed_are_told_once_and_ascending() -> None:
    accounts = empty_accounts(9)
    row = np.array([7, 2, 7, 2, 5])
    assert add_movements(accounts, row, row, row).tolist() == [2, 5, 7]


def test_a_customer_never_seen_gets_the_next_number() -> None:
    numbers = CustomerNumbers(["a", "b"])
    assert numbers.rows(["b", "x", "a", "y", "x"]).tolist() == [1, 2, 0, 3, 2]
    assert numbers.ids == ["a", "b", "x", "y"]
