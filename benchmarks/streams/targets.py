"""The measured ratios against what the design asks for: all within one run."""

from collections.abc import Iterator

from benchmarks.streams.run import Results
from benchmarks.target import Target

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
