"""Two ways to do the same thing, timed in turn."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Comparison:
    """Medians in seconds over the same number of runs of each side."""

    name: str
    size: str
    ours: float
    baseline_name: str
    baseline: float

    @property
    def ratio(self) -> float:
        """How many times longer ours takes; below 1 it is the quicker one."""
        return self.ours / self.baseline


def compare(
    name: str,
    size: str,
    ours: Callable[[], object],
    baseline_name: str,
    baseline: Callable[[], object],
    *,
    runs: int = 3,
) -> Comparison:
    """Run both in turn, A B A B ..., so that a machine that slows down slows both."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(runs):
        for side, action in zip(seconds, (ours, baseline), strict=True):
            started = time.perf_counter()
            action()
            side.append(time.perf_counter() - started)
    return Comparison(
        name, size, statistics.median(seconds[0]), baseline_name, statistics.median(seconds[1])
    )
