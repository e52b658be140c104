"""When to poll: at fixed moments, however long a poll takes."""

import time
from collections.abc import Callable


class Grid:
    """Moments `interval` seconds apart; those that passed during a long poll are skipped.

    `missed` counts them.
    """

    def __init__(self, interval: float, now: Callable[[], float] = time.monotonic):
        self._interval = interval
        self._now = now
        self._next = now() + interval
        self.missed = 0

    def seconds_to_next(self) -> float:
        if self._interval <= 0:
            return 0.0
        late = self._now() - self._next
        missed = int(late // self._interval) + 1 if late > 0 else 0
        wait = self._next + missed * self._interval - self._now()
        self._next += (missed + 1) * self._interval
        self.missed += missed
        return max(wait, 0.0)
