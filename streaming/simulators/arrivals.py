"""When simulated things arrive: so many a minute, by hour and weekday, each at its own moment.

All times are whole microseconds since 1970 (UTC); a slot is one minute.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from streaming.simulators.counter_random import Bits, Floats, Integers, key_of, places, uniform

Rows = npt.NDArray[np.bool_] | Integers

START = datetime(2019, 12, 2, tzinfo=UTC)
END = datetime(2020, 1, 1, tzinfo=UTC)

SECOND = 1_000_000
MINUTE = 60 * SECOND
SLOTS_A_DAY = 1440

# Riyadh, Jeddah and Dammam have no summer time.
_CITY_MINUTES = 180

_OFFSET_FIELD = 0


def microseconds(moment: datetime) -> int:
    """The moment as whole microseconds since 1970."""
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * SECOND + since.microseconds


START_US = microseconds(START)
START_SLOT = START_US // MINUTE


@dataclass(frozen=True)
class Rhythm:
    """How busy each hour of a city's day and each weekday (from Monday) is; means are made 1."""

    hours: tuple[float, ...]
    weekdays: tuple[float, ...]

    def at(self, slots: Integers) -> Floats:
        """How many times the mean a slot has."""
        city = slots + _CITY_MINUTES
        hours = np.array(self.hours) / np.mean(self.hours)
        weekdays = np.array(self.weekdays) / np.mean(self.weekdays)
        # 1 January 1970 was a Thursday.
        weekday = (city // SLOTS_A_DAY + 3) % 7
        busy: Floats = hours[(city % SLOTS_A_DAY) // 60] * weekdays[weekday]
        return busy


@dataclass(frozen=True)
class Arrivals:
    """Things that arrive, one a row: its slot, its number in the slot, its place and its moment."""

    slot: Integers
    number: Integers
    place: Bits
    moment: Integers

    def only(self, wanted: Rows) -> "Arrivals":
        """The rows that a mask or a list of indexes chooses, in its order."""
        return Arrivals(
            self.slot[wanted], self.number[wanted], self.place[wanted], self.moment[wanted]
        )


@dataclass(frozen=True)
class Flow:
    """A stream of arrivals: `intensity(slots)` says how many times the mean a slot has."""

    seed: int
    purpose: str
    a_day: float
    intensity: Callable[[Integers], Floats]

    def counts(self, slots: Integers) -> Integers:
        """How many arrive in each slot; a larger mean never gives fewer."""
        rest = uniform(places(key_of(self.seed, f"{self.purpose} counts"), slots), 0)
        mean = self.a_day / SLOTS_A_DAY * self.intensity(slots)
        return np.where(slots >= START_SLOT, np.floor(mean + rest), 0).astype(np.int64)

    def numbered(self, slot: Integers, number: Integers) -> Arrivals:
        """The arrivals of given slots and numbers."""
        place = places(key_of(self.seed, self.purpose), slot, number)
        offset = (uniform(place, _OFFSET_FIELD) * MINUTE).astype(np.int64)
        return Arrivals(slot, number, place, slot * MINUTE + offset)

    def between(self, first: int, last: int) -> Arrivals:
        """All that arrive at or after `first` and before `last`, oldest first."""
        slots = slots_between(first, last)
        counts = self.counts(slots)
        found = self.numbered(np.repeat(slots, counts), numbers_within(counts))
        found = found.only((found.moment >= first) & (found.moment < last))
        order = np.argsort(found.moment, kind="stable")
        return found.only(order)


def slots_between(first: int, last: int) -> Integers:
    """The slots that the time from `first` to `last` touches."""
    return np.arange(first // MINUTE, -(-last // MINUTE), dtype=np.int64)


def numbers_within(counts: Integers) -> Integers:
    """0, 1, 2 … for each count: the number of each thing among those of its group."""
    starts = np.cumsum(counts) - counts
    return np.arange(counts.sum(), dtype=np.int64) - np.repeat(starts, counts)


# Shares of what arrives: at once, minutes late, hours late.
_LATE_SHARE, _VERY_LATE_SHARE = 0.03, 0.005


def lateness(draw: Floats, amount: Floats) -> Integers:
    """Microseconds from the event to its arrival: up to 3 s, 1 to 20 minutes, or 1 to 6 hours."""
    at_once = amount * 3 * SECOND
    late = (1 + amount * 19) * MINUTE
    very_late = (60 + amount * 300) * MINUTE
    is_very_late, is_late = draw < _VERY_LATE_SHARE, draw < _VERY_LATE_SHARE + _LATE_SHARE
    chosen = np.where(is_very_late, very_late, np.where(is_late, late, at_once))
    return chosen.astype(np.int64)
