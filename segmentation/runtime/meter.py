"""The metrics of segments by rule."""

from collections.abc import Iterator

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from segmentation.runtime.publisher import Published
from segmentation.runtime.rounds import Round
from streaming.metrics.series import Histogram, Series, counter, gauge, histogram

_ROUND_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)


class RulesMeter(Collector):
    """What the role does. Called by its own thread, a few times a transaction."""

    def __init__(self) -> None:
        self._rows = self._asked = 0
        self._running = self._refused = 0
        self._changes = Series()
        self._seconds = Histogram(_ROUND_SECONDS)
        self.published = Published()

    def noted(self, rows: int) -> None:
        """Count raw rows that were judged."""
        self._rows += rows

    def done(self, round_: Round, seconds: float) -> None:
        """Count one transaction and its time."""
        self._asked += round_.asked
        for segment, count in round_.changes.items():
            self._changes.add((segment,), count)
        self._seconds.observe(seconds)

    def configured(self, running: int, refused: int) -> None:
        """How many segments run, and how many versions are refused."""
        self._running, self._refused = running, refused

    def collect(self) -> Iterator[Metric]:
        yield gauge("rules_running", "Segments by rule that are kept up to date.", (),
                    [((), self._running)])  # fmt: skip
        yield gauge(
            "rules_refused",
            "Versions that are active and cannot be run: see insight segments list.",
            (),
            [((), self._refused)],
        )
        yield counter(
            "rules_rows",
            "Raw rows judged. Flat while rows are loaded: see its log.",
            (),
            [((), self._rows)],
        )
        yield counter(
            "rules_customers_asked",
            "Customers asked, once for each segment. Far above the rows: look at rules_changes.",
            (),
            [((), self._asked)],
        )
        yield counter(
            "rules_changes",
            "Customers who entered or left. Rising fast: a rule or its data turned over.",
            ("segment",),
            self._changes.items(),
        )
        yield counter(
            "rules_published",
            "Changes in Kafka. Flat while rules_changes rises: Kafka is away, see its log.",
            (),
            [((), self.published.changes)],
        )
        yield counter(
            "rules_cached_customers",
            "Customers written to Redis. Flat while rules_published rises: Redis is away.",
            (),
            [((), self.published.customers)],
        )
        yield histogram(
            "rules_transaction_seconds",
            "Time of a transaction. Rising: Postgres is busy, or far behind.",
            self._seconds,
        )
