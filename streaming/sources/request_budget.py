"""How many requests an API gets in a day, whatever they are for: polls, pages or retries."""

import time
from collections import deque
from collections.abc import Callable

from streaming.sources.interface import SourcePaused

_DAY_SECONDS = 86_400.0


class RequestBudget:
    """At most so many requests in any 24 hours of this process."""

    def __init__(self, requests_per_day: int, now: Callable[[], float] = time.monotonic):
        self._now = now
        self._sent: deque[float] = deque(maxlen=requests_per_day)

    @classmethod
    def for_interval(cls, seconds: float) -> "RequestBudget":
        """As many as there are polls in a day, that many seconds apart."""
        return cls(max(1, int(_DAY_SECONDS // seconds)))

    def take(self) -> None:
        """Count a request that is about to be sent; raises SourcePaused when none is left."""
        now = self._now()
        if len(self._sent) == self._sent.maxlen:
            left = self._sent[0] + _DAY_SECONDS - now
            if left > 0:
                raise SourcePaused(f"the {self._sent.maxlen} requests of a day are used up", left)
        self._sent.append(now)
