"""The metrics of the scheduler."""

from collections.abc import Iterator

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from streaming.metrics.series import Histogram, counter, gauge, histogram

_REFRESH_SECONDS = (0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class SchedulerMeter(Collector):
    """What the scheduler does. Called by its own thread, a few times a refresh."""

    def __init__(self) -> None:
        self._refreshes = self._failures = self._failing_tests = 0
        self._seconds = Histogram(_REFRESH_SECONDS)

    def refreshed(self, seconds: float) -> None:
        """Count a refresh of models and how long it took."""
        self._refreshes += 1
        self._seconds.observe(seconds)

    def failed(self) -> None:
        """Count a refresh or a test run that did not finish."""
        self._failures += 1

    def tested(self, failing: int) -> None:
        """How many tests failed when they last ran."""
        self._failing_tests = failing

    def collect(self) -> Iterator[Metric]:
        yield counter(
            "scheduler_refreshes",
            "Refreshes of the streaming models. Flat while rows are loaded: see its log.",
            (),
            [((), self._refreshes)],
        )
        yield counter(
            "scheduler_failures",
            "Refreshes that failed. Rising: insight status names the model.",
            (),
            [((), self._failures)],
        )
        yield gauge(
            "scheduler_failing_tests",
            "Tests that failed when they last ran. Above zero: insight status names them.",
            (),
            [((), self._failing_tests)],
        )
        yield histogram(
            "scheduler_refresh_seconds",
            "Time of a refresh. Rising: a model reads its whole history; look at dbt's log.",
            self._seconds,
        )
