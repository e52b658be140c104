"""The measured ratios against what the design asks for: all within one run."""

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.streams.run import Results


@dataclass(frozen=True)
class Target:
    """One line of the design's table of numbers, with what came out."""

    what: str
    limit: float
    value: float
    at_most: bool = False
    unit: str = " x"

    @property
    def is_met(self) -> bool:
        return self.value <= self.limit if self.at_most else self.value >= self.limit

    @property
    def wanted(self) -> str:
        return f"{'at most' if self.at_most else 'at least'} {self.limit:g}{self.unit}"

    @property
    def measured(self) -> str:
        return f"{self.value:.2f}{self.unit}"

    @property
    def verdict(self) -> str:
        return "met" if self.is_met else "missed"


_RATES = {"loop": 1.0, "copy": 0.35, "quix": 10.0, "quix-lean": 10.0, "debezium": 3.0}
_CPU = 1.3
_FLAT = 1.05
_LATENCY_SECONDS = 1.0
_TITLES = {
    "loop": "the bare loop",
    "copy": "bare COPY",
    "quix": "the Quix Streams PostgreSQL sink",
    "quix-lean": "the same without metadata columns",
    "debezium": "the Debezium JDBC sink, warm",
}


def targets(results: Results) -> list[Target]:
    """Those for which there are numbers; one loader process, 4 partitions."""
    return [*_ratios(results), *_others(results)]


def _ratios(results: Results) -> Iterator[Target]:
    ours, loop = results.by_name("ours"), results.by_name("loop")
    if ours is None:
        return
    for name, limit in _RATES.items():
        if other := results.by_name(name):
            yield Target(f"events/s against {_TITLES[name]}", limit, ours.rate / other.rate)
    if loop:
        ratio = ours.own_cpu / loop.own_cpu
        yield Target("loader CPU an event against the bare loop's", _CPU, ratio, at_most=True)


def _others(results: Results) -> Iterator[Target]:
    if results.memory:
        growth = results.memory.median.rss_growth
        yield Target("memory at the end against earlier (flat)", _FLAT, growth, at_most=True)
    if results.latency:
        yield Target(
            "produced to committed, p99", _LATENCY_SECONDS, results.latency.p99, at_most=True,
            unit=" s",
        )  # fmt: skip
