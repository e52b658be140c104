"""Refunds of the invented shops: each gives back a sale of `shop`, in whole or in part.

The baskets of a minute are refunded in groups of up to 16, each group after its own wait and at
one moment. So the refunds of a moment are found by looking back as many times as there are waits,
however many sales lie in between.
"""

from dataclasses import dataclass

import numpy as np

from streaming.simulators.arrivals import (
    MINUTE,
    START_SLOT,
    lateness,
    numbers_within,
    slots_between,
)
from streaming.simulators.counter_random import Bits, Floats, Integers, key_of, places
from streaming.simulators.counter_random import uniform as drawn
from streaming.simulators.shop import Sales, hex_ids, sales_flow, sales_intensity, sales_of

REASONS = ("defective", "wrong_item", "not_as_described", "changed_mind", "damaged_shipping")

# Refunds for each sale, in the long run.
REFUNDS_A_SALE = 0.1

# Minutes from a sale to its refund.
_WAITS = np.array([45, 120, 240, 1260, 1440, 1680, 2880, 3030, 4320, 5640, 7200, 10_080])
_GROUP = 16

_REFUNDED_SHARES = np.array([0.08, 0.095, 0.095, 0.12, 0.105, 0.09])
_REASON_SHARES = np.array(
    [
        [0.38, 0.05, 0.17, 0.25, 0.15],
        [0.34, 0.06, 0.15, 0.31, 0.14],
        [0.28, 0.07, 0.18, 0.32, 0.15],
        [0.30, 0.06, 0.26, 0.30, 0.08],
        [0.08, 0.38, 0.22, 0.27, 0.05],
        [0.36, 0.30, 0.12, 0.17, 0.05],
    ]
)
# Most get all of it back, some a part, and a few a part and later more of it.
_WHOLE_SHARE, _TWICE_SHARE = 0.80, 0.05

# Fields of a sale's place, after those that the sale takes.
_IS_REFUNDED, _REASON, _HOW_MUCH, _PART, _LATE, _LATE_BY = 10, 11, 12, 13, 15, 16
_ID_HIGH, _ID_LOW = 17, 18


@dataclass(frozen=True)
class Refunds:
    """Refunds, one a row: the sale, the reason's index, cents given back, both times as in Sales.

    `turn` is 0 for the first refund of a sale and 1 for the second.
    """

    sale: Sales
    turn: Integers
    reason: Integers
    cents: Integers
    moment: Integers
    refunded: Integers

    def ids(self) -> list[str]:
        return hex_ids(_of_turn(self.sale.place, self.turn), _ID_HIGH, _ID_LOW)


def refunds_between(seed: int, sales_a_day: float, first: int, last: int) -> Refunds:
    """Refunds that arrive at or after `first` and before `last` (microseconds), oldest first."""
    sales = _refundable(seed, sales_a_day, first, last)
    sales = sales.only(drawn(sales.place, _IS_REFUNDED) < _REFUNDED_SHARES[sales.product])
    twice = drawn(sales.place, _HOW_MUCH) >= 1 - _TWICE_SHARE
    turns = np.where(twice, 2, 1)
    sales, turn = sales.only(np.repeat(np.arange(len(sales)), turns)), numbers_within(turns)
    group = _group_places(seed, sales.slot, sales.number // _GROUP)
    moment = _moments(sales.slot, group, turn)
    wanted = np.flatnonzero((moment >= first) & (moment < last))
    wanted = wanted[np.argsort(moment[wanted], kind="stable")]
    sales, turn, group, moment = sales.only(wanted), turn[wanted], group[wanted], moment[wanted]
    place = _of_turn(sales.place, turn)
    late = lateness(drawn(place, _LATE), drawn(place, _LATE_BY))
    # However late it is told, it was given back after the sale.
    refunded = moment - np.minimum(late, _waits(group) * MINUTE // 2)
    return Refunds(sales, turn, _reasons(sales), _cents(sales, turn), moment, refunded)


def refunds_intensity(seed: int, slots: Integers) -> Floats:
    """How many times the mean number of refunds each minute has."""
    sold = slots[:, None] - _WAITS
    of_sales = sales_intensity(seed, sold.ravel()).reshape(sold.shape)
    intensity: Floats = np.where(sold >= START_SLOT, of_sales, 0.0).mean(axis=1)
    return intensity


def _refundable(seed: int, sales_a_day: float, first: int, last: int) -> Sales:
    """The sales of all groups of baskets whose refunds arrive from `first` to `last`."""
    flow = sales_flow(seed, sales_a_day)
    now = slots_between(first, last)
    slots = (now[:, None] - _WAITS).ravel()
    waits = np.tile(_WAITS, len(now))
    counts = flow.counts(slots)
    groups = -(-counts // _GROUP)
    row, number = np.repeat(np.arange(len(slots)), groups), numbers_within(groups)
    group = _group_places(seed, slots[row], number)
    due = _waits(group) == waits[row]
    row, number, group = row[due], number[due], group[due]
    moments = np.stack([_moments(slots[row], group, np.full(len(row), turn)) for turn in (0, 1)])
    due = ((moments >= first) & (moments < last)).any(axis=0)
    row, number = row[due], number[due]
    sizes = np.minimum(counts[row] - number * _GROUP, _GROUP)
    baskets = np.repeat(number * _GROUP, sizes) + numbers_within(sizes)
    return sales_of(seed, flow.numbered(np.repeat(slots[row], sizes), baskets))


def _group_places(seed: int, slot: Integers, number: Integers) -> Bits:
    return places(key_of(seed, "waits for refunds"), slot, number)


def _waits(group: Bits) -> Integers:
    """Minutes until the refunds of each group of baskets."""
    return _WAITS[(group % np.uint64(len(_WAITS))).astype(np.int64)]


def _moments(slot: Integers, group: Bits, turn: Integers) -> Integers:
    """When the refunds of a group arrive: all first ones together, and so all second ones."""
    offset = np.where(turn == 0, drawn(group, 0), drawn(group, 1)) * MINUTE
    return (slot + _waits(group)) * MINUTE + offset.astype(np.int64)


def _of_turn(sale: Bits, turn: Integers) -> Bits:
    return places(key_of(0, "refunds"), sale.view(np.int64), turn)


def _reasons(sales: Sales) -> Integers:
    edges = np.cumsum(_REASON_SHARES, axis=1)[:, :-1]
    draw = drawn(sales.place, _REASON)[:, None]
    chosen: Integers = (draw >= edges[sales.product]).sum(axis=1)
    return chosen


def _cents(sales: Sales, turn: Integers) -> Integers:
    """The whole amount, 20 to 70 % of it, or what such a part left."""
    how_much = drawn(sales.place, _HOW_MUCH)
    part = 0.2 + 0.5 * drawn(sales.place, _PART)
    first = np.rint(sales.cents * np.where(how_much < _WHOLE_SHARE, 1.0, part)).astype(np.int64)
    return np.where(turn == 0, first, sales.cents - first)
