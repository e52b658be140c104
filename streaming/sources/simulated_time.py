"""How far simulated time has come: by the real clock, or so that events come evenly.

All times are microseconds since 1970. A weighted second is one in which the mean number of events
happens: an hour of the night has few of them.
"""

import time
from collections.abc import Callable

import numpy as np

from streaming.simulators.arrivals import MINUTE, SECOND
from streaming.simulators.counter_random import Floats, Integers

# How busy each minute is, as a multiple of the mean.
Intensity = Callable[[Integers], Floats]

# What could not be told for a while is made up for, up to so many real seconds of it.
_CATCH_UP_SECONDS = 60.0


class SimulatedTime:
    """Simulated time that starts a tick of real time before its first reading.

    `speed` is simulated seconds in a real one. With an `intensity` that is the mean: time passes
    slowly when much happens, so that real seconds have the same number of events.
    """

    def __init__(
        self,
        speed: float,
        tick_seconds: float,
        intensity: Intensity | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._speed = speed
        self._tick_seconds = tick_seconds
        self._intensity = intensity
        self._clock = clock
        self._started_at = 0.0
        # Weighted seconds since the start, at the moments that were told last.
        self._passed: dict[int, float] = {}

    def target(self, position: int, longest: int, most: float) -> int:
        """How far to tell what happened after `position`.

        At most `longest` microseconds and `most` weighted seconds after it.
        """
        due = min(self._due(position), most)
        until, passed = self._advanced(position, due, longest)
        before = self._passed[position]
        self._passed = {position: before, until: before + passed}
        return until

    def _due(self, position: int) -> float:
        """Weighted seconds that have passed and were not told."""
        now = self._clock()
        if position in self._passed:
            due = (now - self._started_at) * self._speed - self._passed[position]
            if due <= _CATCH_UP_SECONDS * self._speed:
                return max(due, 0.0)
        self._started_at = now - self._tick_seconds
        self._passed = {position: 0.0}
        return self._tick_seconds * self._speed

    def _advanced(self, position: int, due: float, longest: int) -> tuple[int, float]:
        """(where `due` weighted seconds lead, how many of them fit in `longest`)."""
        if self._intensity is None:
            step = min(int(due * SECOND), longest)
            return position + step, due if step < longest else step / SECOND
        slots = np.arange(position // MINUTE, (position + longest) // MINUTE + 1)
        begins = np.maximum(slots * MINUTE, position)
        ends = np.minimum((slots + 1) * MINUTE, position + longest)
        weights = self._intensity(slots) * (ends - begins) / SECOND
        passed = np.cumsum(weights)
        if due >= passed[-1]:
            return position + longest, float(passed[-1])
        at = int(np.searchsorted(passed, due, side="right"))
        share = 1 - (passed[at] - due) / weights[at]
        return int(begins[at] + share * (ends[at] - begins[at])), due
