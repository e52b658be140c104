"""Who comes to the shop: loyal, occasional and lapsed customers, and people who come once."""

from functools import lru_cache

import numpy as np

from streaming.simulators.arrivals import SLOTS_A_DAY, START_SLOT
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

LOYAL, OCCASIONAL, LAPSED, ONE_TIME = "loyal", "occasional", "lapsed", "one_time"

# Customers C0001 to C0600 are loyal, the next ones occasional, the last ones lapse.
_KINDS = ((LOYAL, 600, 9.0), (OCCASIONAL, 2400, 1.5), (LAPSED, 900, 6.0))
_KNOWN = sum(count for _, count, _ in _KINDS)
_ONE_TIME_SHARE = 0.1
_FIRST_ONE_TIME, _ONE_TIMES = 10_000, 5_000_000

# A lapsing customer comes for so many days and stays away for the rest of the cycle.
_CYCLE_DAYS, _ACTIVE_DAYS, _LATEST_START = 90, 8, 6

_WEIGHT_FIELD, _TASTE_FIELD, _HOME_FIELD, _START_FIELD = 0, 1, 2, 3

# Cities by size.
_STORE_SHARES = np.array([0.45, 0.33, 0.22])


def shopper_kind(number: int) -> str:
    """The planted kind of the customer with this number: C0042 has number 42."""
    last = 0
    for kind, count, _ in _KINDS:
        last += count
        if number <= last:
            return kind
    return ONE_TIME


def shoppers(seed: int, slot: Integers, place: Bits, field: int) -> Integers:
    """The number of the customer of each basket, drawn from `field` and the two after it."""
    chosen = np.empty(len(slot), dtype=np.int64)
    days = slot // SLOTS_A_DAY
    draw = uniform(place, field)
    for day in np.unique(days):
        today = days == day
        chosen[today] = np.searchsorted(_edges(seed, int(day)), draw[today], side="right") + 1
    once = uniform(place, field + 1) < _ONE_TIME_SHARE
    stranger = _FIRST_ONE_TIME + (uniform(place, field + 2) * _ONE_TIMES).astype(np.int64)
    return np.where(once, stranger, np.minimum(chosen, _KNOWN))


def tastes(seed: int, customers: Integers) -> Floats:
    """Above 1 for customers who like expensive things, below 1 for thrifty ones."""
    draw = uniform(_customer_places(seed, customers), _TASTE_FIELD)
    return np.select([draw < 0.3, draw > 0.8], [0.6, 1.6], 1.0)


def home_stores(seed: int, customers: Integers) -> Integers:
    """The index of the store that each customer goes to as a rule."""
    return choice(uniform(_customer_places(seed, customers), _HOME_FIELD), _STORE_SHARES)


def _customer_places(seed: int, customers: Integers) -> Bits:
    return places(key_of(seed, "shoppers"), customers)


@lru_cache(maxsize=64)
def _edges(seed: int, day: int) -> Floats:
    """Where in 0 to 1 the share of each known customer ends on a day."""
    edges: Floats = np.cumsum(_weights(seed, day))
    edges /= edges[-1]
    return edges


def _weights(seed: int, day: int) -> Floats:
    place = _customer_places(seed, np.arange(1, _KNOWN + 1))
    usual = np.concatenate([np.full(count, weight) for _, count, weight in _KINDS])
    weights: Floats = usual * np.exp(0.4 * normal(place, _WEIGHT_FIELD))
    begins = (uniform(place, _START_FIELD) * _LATEST_START).astype(np.int64)
    since = (day - START_SLOT // SLOTS_A_DAY - begins) % _CYCLE_DAYS
    lapses = np.arange(_KNOWN) >= _KNOWN - _KINDS[-1][1]
    weights[lapses & (since >= _ACTIVE_DAYS)] = 0.0
    return weights
