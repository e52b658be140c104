"""Invented bank customers of three kinds, and the movements of their accounts.

A few customers drift from one kind to another. Around the change their movements are a mixture of
both kinds, more and more of the new one.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

import numpy as np

from streaming.simulators.arrivals import (
    END,
    MINUTE,
    SLOTS_A_DAY,
    START_SLOT,
    START_US,
    Flow,
    Rhythm,
    lateness,
    microseconds,
)
from streaming.simulators.counter_random import (
    Bits,
    Floats,
    Integers,
    choice,
    key_of,
    normal,
    places,
    uniform,
)
from streaming.simulators.shop import hex_ids

CUSTOMERS = 300
KINDS = ("High-Value", "Budget-Conscious", "At Risk / Inactive")
_AT_RISK = 2

_KIND_SHARES = np.array([0.3, 0.4, 0.3])
# Movements a day, median amount in dollars, share of movements that are money in.
_FREQUENCY = np.array([2.4, 2.0, 1.0])
_MEDIAN = np.array([3200.0, 55.0, 260.0])
_MONEY_IN = np.array([0.5, 0.25, 0.15])
_SPREAD = 0.45

# One at risk moves money on a few days of a cycle, which in the default window lie 8 to 30 days
# before its end.
_CYCLE_DAYS, _ACTIVE_DAYS = 60, 6
_LEAST_SILENT, _MOST_SILENT = 8, 24

# In each epoch so many change their kind, over as many days in all.
_EPOCH_DAYS, _DRIFT_SHARE, _DRIFT_DAYS = 30, 0.02, 10

_RHYTHM = Rhythm(
    hours=(0.3, 0.2, 0.1, 0.1, 0.15, 0.3, 0.6, 1.0, 1.4, 1.6, 1.6, 1.5,
           1.3, 1.3, 1.4, 1.4, 1.4, 1.5, 1.6, 1.5, 1.3, 1.0, 0.7, 0.5),
    weekdays=(1.1, 1.1, 1.1, 1.15, 0.7, 0.8, 1.05),
)  # fmt: skip

# Fields of a movement's place; 0 is its moment.
_CUSTOMER, _SIZE, _SIGN, _LATE, _LATE_BY, _ID_HIGH, _ID_LOW = 1, 2, 3, 4, 5, 6, 7
# Fields of a customer's place.
_KIND, _WEIGHT, _SILENT = 0, 1, 2
_DRIFTS, _TO, _DAY = 0, 1, 2


@dataclass(frozen=True)
class Movements:
    """Movements, one a row: number of the customer, cents (above 0 is money in), both times."""

    place: Bits
    customer: Integers
    cents: Integers
    moment: Integers
    booked: Integers

    def ids(self) -> list[str]:
        return hex_ids(self.place, _ID_HIGH, _ID_LOW)


def planted_kind(seed: int, customer_id: str, at: datetime) -> str:
    """The kind that a customer (A00001 to A00300) has at a time."""
    return planted_kinds(seed, at)[customer_id]


def planted_kinds(seed: int, at: datetime) -> dict[str, str]:
    """The kind of every customer at a time."""
    day = microseconds(at) // MINUTE // SLOTS_A_DAY
    before, after, change = _drift(seed, _epoch(day))
    kinds = np.where(day >= change, after, before)
    return {account_id(number + 1): KINDS[kind] for number, kind in enumerate(kinds.tolist())}


def account_id(number: int) -> str:
    """The customer's id: number 1 is A00001."""
    return f"A{number:05d}"


def movements_between(seed: int, movements_a_day: float, first: int, last: int) -> Movements:
    """Movements that arrive at or after `first` and before `last` (microseconds), oldest first."""
    flow = Flow(seed, "account movements", movements_a_day, _RHYTHM.at)
    found = flow.between(first, last)
    customer, kind = _customers(seed, found.slot // SLOTS_A_DAY, found.place)
    late = lateness(uniform(found.place, _LATE), uniform(found.place, _LATE_BY))
    booked = np.maximum(found.moment - late, START_US)
    cents = _cents(found.place, kind)
    return Movements(found.place, customer + 1, cents, found.moment, booked)


def movements_intensity(_seed: int, slots: Integers) -> Floats:
    """How many times the mean number of movements each minute has."""
    return _RHYTHM.at(slots)


def _customers(seed: int, days: Integers, place: Bits) -> tuple[Integers, Integers]:
    """(index of the customer, kind in which the movement is made) of each movement."""
    column, kind = np.empty(len(days), np.int64), np.empty(len(days), np.int64)
    draw = uniform(place, _CUSTOMER)
    for day in np.unique(days):
        today = days == day
        edges, kinds = _of_day(seed, int(day))
        column[today] = np.searchsorted(edges, draw[today], side="right")
        kind[today] = kinds[column[today]]
    return column % CUSTOMERS, kind


@lru_cache(maxsize=64)
def _of_day(seed: int, day: int) -> tuple[Floats, Integers]:
    """(where in 0 to 1 each share of a day's movements ends, the kind of each share).

    There are two shares for each customer: one in the kind before a drift, one in the kind after.
    """
    before, after, change = _drift(seed, _epoch(day))
    new = np.clip((day - change) / _DRIFT_DAYS + 0.5, 0, 1)
    shares = [(1 - new) * _activity(seed, day, before), new * _activity(seed, day, after)]
    edges = np.cumsum(np.concatenate(shares))
    return edges / edges[-1], np.concatenate([before, after])


def _activity(seed: int, day: int, kind: Integers) -> Floats:
    """Movements a day of each customer, if they were of these kinds."""
    place = _customer_places(seed)
    usual = _FREQUENCY[kind] * np.exp(0.15 * normal(place, _WEIGHT))
    days_to_end = (microseconds(END) // MINUTE // SLOTS_A_DAY - day) % _CYCLE_DAYS
    silent = _LEAST_SILENT + uniform(place, _SILENT) * (_MOST_SILENT - _LEAST_SILENT)
    is_active = (days_to_end > silent) & (days_to_end <= silent + _ACTIVE_DAYS)
    return np.where((kind == _AT_RISK) & ~is_active, 0.0, usual)


@lru_cache(maxsize=256)
def _drift(seed: int, epoch: int) -> tuple[Integers, Integers, Integers]:
    """(kind before, kind after, day of the change) of each customer in an epoch."""
    own = _customer_places(seed)
    before = choice(uniform(own, _KIND), _KIND_SHARES) if epoch == 0 else _drift(seed, epoch - 1)[1]
    place = places(key_of(seed, "drift"), own.view(np.int64), np.full(CUSTOMERS, epoch))
    other = (before + 1 + (uniform(place, _TO) * (len(KINDS) - 1)).astype(np.int64)) % len(KINDS)
    after = np.where(uniform(place, _DRIFTS) < _DRIFT_SHARE, other, before)
    # The mixture begins and ends in the epoch, so that epochs join without a jump.
    room = _EPOCH_DAYS - _DRIFT_DAYS
    day = _DRIFT_DAYS // 2 + (uniform(place, _DAY) * room).astype(np.int64)
    return before, after, START_SLOT // SLOTS_A_DAY + epoch * _EPOCH_DAYS + day


def _epoch(day: int) -> int:
    return max(0, (day - START_SLOT // SLOTS_A_DAY) // _EPOCH_DAYS)


def _customer_places(seed: int) -> Bits:
    return places(key_of(seed, "account holders"), np.arange(CUSTOMERS))


def _cents(place: Bits, kind: Integers) -> Integers:
    dollars = _MEDIAN[kind] * np.exp(_SPREAD * normal(place, _SIZE))
    sign = np.where(uniform(place, _SIGN) < _MONEY_IN[kind], 1, -1)
    cents: Integers = sign * np.maximum(np.rint(dollars * 100).astype(np.int64), 1)
    return cents
