"""The metrics of a producer."""

import time
from collections.abc import Callable, Iterator

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from streaming.metrics.series import counter, gauge
from streaming.producing.status import ProducerReport


class ProducerMeter(Collector):
    """What the producer of one stream does: the numbers of its report, and the rate.

    `report` is the one that the producer at work keeps.
    """

    _RATE_SECONDS = 10

    def __init__(self, stream: str, now: Callable[[], float] = time.monotonic):
        self.report = ProducerReport(stream, source="")
        self._now = now
        self._recent: dict[int, int] = {}

    def delivered(self, events: int) -> None:
        """Count events that Kafka has just taken, for the rate."""
        second = int(self._now())
        self._recent[second] = self._recent.get(second, 0) + events
        if len(self._recent) > 2 * self._RATE_SECONDS:
            for old in [each for each in self._recent if each < second - self._RATE_SECONDS]:
                del self._recent[old]

    def rate(self) -> float:
        """Events a second over the last ten whole seconds."""
        last = int(self._now()) - 1
        window = range(last - self._RATE_SECONDS + 1, last + 1)
        return sum(self._recent.get(second, 0) for second in window) / self._RATE_SECONDS

    def collect(self) -> Iterator[Metric]:
        report = self.report
        labels = (report.stream,)
        for name, meaning, value in (
            (
                "polled",
                "Polls of the source. Flat: it is paused or stopped.",
                report.polled,
            ),
            ("failed_polls", "Polls that failed. Rising: the source is away.", report.failed_polls),
            (
                "missed_ticks",
                "Polls not made in time. Rising: the source is slow.",
                report.missed_ticks,
            ),
            ("delivered", "Events Kafka took. Flat while polls rise: no news.", report.delivered),
            ("spilled", "Events left on disk at a stop. Rising: Kafka is away.", report.spilled),
        ):
            yield counter(f"producer_{name}", meaning, ("stream",), [(labels, value)])
        yield gauge(
            "producer_rate",
            "Events a second over ten seconds. Falling: see failed polls, then the loader's lag.",
            ("stream",),
            [(labels, self.rate())],
        )
