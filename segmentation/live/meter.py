"""The metrics of live segments."""

from collections.abc import Iterator

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from streaming.metrics.series import Histogram, counter, gauge, histogram

_COMMIT_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class LiveMeter(Collector):
    """What the role does. Called by its own thread, a few times a transaction."""

    def __init__(self) -> None:
        self._movements = self._duplicates = self._customers = 0
        self._refits = self._refused = 0
        self._seconds = Histogram(_COMMIT_SECONDS)

    def committed(self, movements: int, duplicates: int, customers: int, seconds: float) -> None:
        """Count one transaction: new movements, repeated ones, customers written, its time."""
        self._movements += movements
        self._duplicates += duplicates
        self._customers += customers
        self._seconds.observe(seconds)

    def fitted(self, refits: int, refused: int) -> None:
        """How often the centroids were found anew since the start, and how often that failed."""
        self._refits, self._refused = refits, refused

    def collect(self) -> Iterator[Metric]:
        yield counter(
            "live_movements",
            "Movements counted in live segments. Flat while rows are loaded: see its log.",
            (),
            [((), self._movements)],
        )
        yield counter(
            "live_duplicates",
            "Movements that came again. Rising fast: a producer sends everything twice.",
            (),
            [((), self._duplicates)],
        )
        yield counter(
            "live_customers_written",
            "Rows of customers written. Far above the movements: all segments move, look at them.",
            (),
            [((), self._customers)],
        )
        yield gauge(
            "live_refits",
            "How often the centroids were found anew. Rising: customers change their ways.",
            (),
            [((), self._refits)],
        )
        yield gauge(
            "live_refused_refits",
            "How often names did not fit centroids found anew. Rising: consider --start-over.",
            (),
            [((), self._refused)],
        )
        yield histogram(
            "live_commit_seconds",
            "Time of a transaction. Rising: Postgres is busy, or far behind.",
            self._seconds,
        )
