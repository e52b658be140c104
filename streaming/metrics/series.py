"""Plain numbers that become Prometheus metrics when they are asked for."""

from bisect import bisect_left
from dataclasses import dataclass, field

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)

Labels = tuple[str, ...]

# A stream with thousands of partitions must not make a scrape of thousands of lines each.
_MOST_SERIES = 500
_OTHER = "other"


@dataclass
class Histogram:
    bounds: tuple[float, ...]
    counts: list[int] = field(init=False)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulative(self) -> list[tuple[str, float]]:
        running, buckets = 0, []
        for bound, count in zip((*self.bounds, float("inf")), list(self.counts), strict=True):
            running += count
            buckets.append(("+Inf" if bound == float("inf") else str(float(bound)), float(running)))
        return buckets


class Series:
    """Numbers by labels, at most `_MOST_SERIES` of them; the rest is summed under `other`."""

    def __init__(self) -> None:
        self._values: dict[Labels, float] = {}

    def add(self, labels: Labels, amount: float) -> None:
        labels = self._bounded(labels)
        self._values[labels] = self._values.get(labels, 0.0) + amount

    def set(self, labels: Labels, value: float) -> None:
        self._values[self._bounded(labels)] = value

    def items(self) -> list[tuple[Labels, float]]:
        return list(self._values.items())

    def _bounded(self, labels: Labels) -> Labels:
        if labels in self._values or len(self._values) < _MOST_SERIES:
            return labels
        return (_OTHER,) * len(labels)


def counter(
    name: str, meaning: str, labels: Labels, values: list[tuple[Labels, float]]
) -> CounterMetricFamily:
    family = CounterMetricFamily(f"insight_{name}", meaning, labels=labels)
    for each, value in values:
        family.add_metric(each, value)
    return family


def gauge(
    name: str, meaning: str, labels: Labels, values: list[tuple[Labels, float]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"insight_{name}", meaning, labels=labels)
    for each, value in values:
        family.add_metric(each, value)
    return family


def histogram(name: str, meaning: str, histogram: Histogram) -> HistogramMetricFamily:
    return HistogramMetricFamily(
        f"insight_{name}",
        meaning,
        buckets=histogram.cumulative(),
        sum_value=histogram.total,
    )
