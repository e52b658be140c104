"""Planted anomalies of the shop: minutes with far more sales than usual, hours with hardly any.

A day of UTC has at most one of them, while the shops are open.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np

from streaming.simulators.arrivals import MINUTE, SLOTS_A_DAY, microseconds
from streaming.simulators.counter_random import Floats, Integers, key_of, places, uniform

_SPIKE_DAYS, _DROP_DAYS = 0.4, 0.3
_SPIKE_FACTOR, _DROP_FACTOR = 20.0, 0.0
_SPIKE_MINUTES, _DROP_MINUTES = 5, 90
# From 11 to 19 o'clock in the cities, as minutes of a day of UTC.
_EARLIEST, _LATEST = 8 * 60, 16 * 60

_KIND_FIELD, _MINUTE_FIELD = 0, 1


@dataclass(frozen=True)
class PlantedAnomaly:
    """From `first` up to, not including, `last` there are `factor` times the usual sales."""

    kind: Literal["spike", "drop"]
    first: datetime
    last: datetime
    factor: float


def planted_anomalies(seed: int, first: datetime, last: datetime) -> list[PlantedAnomaly]:
    """All anomalies that begin at or after `first` and before `last`, oldest first."""
    one_day = SLOTS_A_DAY * MINUTE
    days = np.arange(microseconds(first) // one_day, microseconds(last) // one_day + 1)
    begins, minutes, factors = _of_days(seed, days)
    found = [
        _anomaly(int(day), int(begin), int(length), float(factor))
        for day, begin, length, factor in zip(days, begins, minutes, factors, strict=True)
        if length
    ]
    return [each for each in found if first <= each.first < last]


def planted_factors(seed: int, slots: Integers) -> Floats:
    """How many times the usual sales each slot has; 1 where nothing is planted."""
    begins, minutes, factors = _of_days(seed, slots // SLOTS_A_DAY)
    since = slots % SLOTS_A_DAY - begins
    return np.where((since >= 0) & (since < minutes), factors, 1.0)


def _of_days(seed: int, days: Integers) -> tuple[Integers, Integers, Floats]:
    """(first minute, number of minutes, factor) of the anomaly of each day; none lasts 0."""
    place = places(key_of(seed, "shop anomalies"), days)
    kind = uniform(place, _KIND_FIELD)
    is_spike, is_drop = kind < _SPIKE_DAYS, kind >= 1 - _DROP_DAYS
    begins = _EARLIEST + (uniform(place, _MINUTE_FIELD) * (_LATEST - _EARLIEST)).astype(np.int64)
    minutes = np.where(is_spike, _SPIKE_MINUTES, np.where(is_drop, _DROP_MINUTES, 0))
    return begins, minutes, np.where(is_spike, _SPIKE_FACTOR, _DROP_FACTOR)


def _anomaly(day: int, begin: int, length: int, factor: float) -> PlantedAnomaly:
    first = datetime.fromtimestamp(0, UTC) + timedelta(days=day, minutes=begin)
    kind: Literal["spike", "drop"] = "spike" if factor > 1 else "drop"
    return PlantedAnomaly(kind, first, first + timedelta(minutes=length), factor)
