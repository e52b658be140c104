"""How long to wait before a role that ended is started again."""

import random
from collections.abc import Callable
from dataclasses import dataclass

# Full jitter alone may draw zero, and a role that dies at once would then spin.
_SHORTEST_SECONDS = 0.2


@dataclass
class BackOff:
    """Exponential back-off with full jitter (Brooker, "Exponential Backoff And Jitter", 2015).

    The bound starts at `first`, doubles with each end up to `longest`, and starts anew after a
    run of `well` seconds; the pause is drawn evenly between zero and the bound. `draw` returns a
    number from 0 to 1.
    """

    first: float = 1.0
    longest: float = 60.0
    well: float = 60.0
    draw: Callable[[], float] = random.random
    _bound: float = 0.0

    def pause_after(self, ran_seconds: float) -> float:
        """Seconds to wait after a run that lasted `ran_seconds`."""
        starts_anew = self._bound == 0 or ran_seconds >= self.well
        self._bound = self.first if starts_anew else min(2 * self._bound, self.longest)
        return max(self._bound * self.draw(), _SHORTEST_SECONDS)
