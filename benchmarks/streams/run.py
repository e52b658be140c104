"""The whole comparison: rounds in which all take their turn, then latency and memory."""

import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.streams import plan
from benchmarks.streams.contenders import Contender
from benchmarks.streams.ground import Ground, missing, open_ground
from benchmarks.streams.latency import Latency, measure_latency
from benchmarks.streams.measure import Run, measure, median
from benchmarks.streams.messages import Topic, fill
from benchmarks.streams.plan import Options


@dataclass(frozen=True)
class Measured:
    """One contender with its runs, in the order of the rounds."""

    contender: Contender
    runs: Sequence[Run]

    @property
    def median(self) -> Run:
        return median(self.runs)


@dataclass(frozen=True)
class Results:
    """All that one benchmark run found out."""

    options: Options
    postgres: str
    measured: Sequence[Measured]
    latency: Latency | None
    memory: Measured | None
    left_out: Sequence[Contender] = ()

    def by_name(self, name: str) -> Run | None:
        return next((each.median for each in self.measured if each.contender.name == name), None)


def run(options: Options) -> Results | None:
    """Everything the options ask for; None when there can be no real Kafka here."""
    if absent := missing():
        _say(f"streams: left out, a real Kafka needs {absent}")
        return None
    with tempfile.TemporaryDirectory(prefix="insight-bench-", dir="/tmp") as folder:
        with open_ground(Path(folder)) as ground:
            return _measure_all(ground, options)


def _measure_all(ground: Ground, options: Options) -> Results:
    planned = plan.contenders(options)
    contenders = [each for each in planned if _is_prepared(each)]
    _fill({each.topic.name: each.topic for each in contenders}, ground)
    return Results(
        options=options,
        postgres=ground.postgres_version(),
        measured=_rounds(ground, contenders, options.rounds),
        latency=_latency(ground, options),
        memory=_memory(ground, options),
        left_out=[each for each in planned if each not in contenders],
    )


def _is_prepared(contender: Contender) -> bool:
    """Fetched before anything is measured: a registry out of reach costs one row, not the run."""
    try:
        contender.prepare()
    except subprocess.CalledProcessError as error:
        _say(f"{contender.name}: left out, {error}")
        return False
    return True


def _fill(topics: dict[str, Topic], ground: Ground) -> None:
    for topic in topics.values():
        fill(ground.kafka, topic)
        _say(f"topic {topic.name}: {topic.messages:,} messages")


def _rounds(ground: Ground, contenders: Sequence[Contender], rounds: int) -> list[Measured]:
    runs: dict[str, list[Run]] = defaultdict(list)
    # The broker's Java compiles while it works: whoever comes first would pay for it.
    for each in contenders[:1]:
        measure(ground, each)
    for number in range(rounds):
        for each in contenders:
            found = measure(ground, each)
            runs[each.name].append(found)
            _say(f"round {number + 1}, {each.name}: {told(found)}")
    return [Measured(each, runs[each.name]) for each in contenders]


def _latency(ground: Ground, options: Options) -> Latency | None:
    if not options.wants("latency"):
        return None
    found = measure_latency(ground, options)
    _say(
        f"latency at {found.rate:,.0f}/s: p50 {found.median * 1e3:.0f} ms,"
        f" p99 {found.p99 * 1e3:.0f} ms, longest {found.longest * 1e3:.0f} ms"
    )
    return found


def _memory(ground: Ground, options: Options) -> Measured | None:
    if not options.wants("memory"):
        return None
    contender = plan.memory(options)
    _fill({contender.topic.name: contender.topic}, ground)
    found = measure(ground, contender)
    _say(f"memory: {told(found)}")
    return Measured(contender, [found])


def told(found: Run) -> str:
    """One run in one line."""
    return (
        f"{found.rate:,.0f} events/s over {found.seconds:.1f} s; CPU an event:"
        f" own {found.own_cpu:.2f}, Postgres {found.postgres_cpu:.2f},"
        f" broker {found.broker_cpu:.2f} us;"
        f" others {found.others:.1f} cores;"
        f" peak {found.peak_rss / 2**20:.0f} MiB, growth {found.rss_growth:.2f}"
    )


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
