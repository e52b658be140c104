"""The results of the streams as Markdown: nothing in it is written by hand."""

import platform
import subprocess
from collections.abc import Sequence

import confluent_kafka
import psycopg

from benchmarks import machine
from benchmarks.readme import table
from benchmarks.streams.peers import debezium, quix
from benchmarks.streams.run import Measured, Results
from benchmarks.streams.targets import targets
from benchmarks.target import verdicts
from insight.settings import PROJECT_ROOT

_MIB = 2**20


def report(results: Results) -> str:
    """All that was measured."""
    parts = [verdicts(found)] if (found := targets(results)) else []
    if results.measured:
        parts.append(_throughput(results.measured))
    if results.memory:
        parts.append(_memory(results.memory))
    if results.latency:
        parts.append(_latency(results))
    parts += [
        f"{each.title}: left out, its packages could not be fetched." for each in results.left_out
    ]
    return "\n\n".join([*parts, _conditions(results)])


def _throughput(measured: Sequence[Measured]) -> str:
    head = ("loaded by", "partitions", "processes", "events", "events/s (lowest to highest)",
            "own CPU, µs an event", "events per own CPU-second", "Postgres CPU, µs an event",
            "broker CPU, µs an event", "peak MiB a process")  # fmt: skip
    return table(head, [_throughput_row(each) for each in measured])


def _throughput_row(each: Measured) -> tuple[str, ...]:
    found, contender = each.median, each.contender
    rates = sorted(run.rate for run in each.runs)
    return (
        contender.title,
        str(contender.topic.partitions),
        str(contender.processes),
        f"{found.events:,}",
        f"{found.rate:,.0f} ({rates[0]:,.0f} to {rates[-1]:,.0f})",
        f"{found.own_cpu:.2f}",
        f"{1e6 / found.own_cpu:,.0f}" if found.own_cpu else "",
        f"{found.postgres_cpu:.2f}",
        f"{found.broker_cpu:.2f}",
        f"{found.peak_rss / _MIB:.0f}",
    )


def _memory(measured: Measured) -> str:
    found = measured.median
    sizes = ", ".join(f"{each / _MIB:.0f}" for each in found.rss_over_time)
    return (
        f"Memory of one loader process over {measured.contender.messages:,} events"
        f" ({found.seconds:.0f} s), MiB at each tenth of the time: {sizes};"
        f" at most {found.peak_rss / _MIB:.0f}."
    )


def _latency(results: Results) -> str:
    found = results.latency
    assert found is not None
    return (
        f"Latency, produced to committed, at {found.rate:,.0f} events/s for {found.seconds:.0f} s"
        f" ({found.events:,} events in {found.commits:,} commits): p50 {found.median * 1e3:.0f} ms,"
        f" p99 {found.p99 * 1e3:.0f} ms, longest {found.longest * 1e3:.0f} ms;"
        f" the loader used {found.loader_cpu:.0%} of a core and at most"
        f" {found.peak_rss / _MIB:.0f} MiB."
    )


def _conditions(results: Results) -> str:
    rounds = results.options.rounds
    turns = f"{rounds} rounds in which all took their turn, medians" if rounds > 1 else "one round"
    others = max((run.others for each in results.measured for run in each.runs), default=0.0)
    return (
        f"{machine.told()} {turns.capitalize()}. Other programs took at most {others:.1f} cores"
        f" during a run. {_versions(results)}."
    )


def _versions(results: Results) -> str:
    found = [
        f"Python {platform.python_version()}",
        f"Postgres {results.postgres}",
        f"Apache Kafka {_kafka_version()}",
        f"librdkafka {confluent_kafka.libversion()[0]}",
        f"psycopg {psycopg.__version__}",
    ]
    names = [each.contender.name for each in results.measured]
    if "quix" in names:
        found.append(f"Quix Streams {quix.VERSION}")
    if "debezium" in names:
        found.append(f"Debezium JDBC sink {debezium.version()}, {_java()}")
    return ", ".join(found)


def _kafka_version() -> str:
    jars = PROJECT_ROOT / "tests" / "kafka" / "jars"
    return next(jars.glob("kafka_2.13-*.jar")).stem.removeprefix("kafka_2.13-")


def _java() -> str:
    told = subprocess.run(["java", "-version"], capture_output=True, text=True, check=True)  # noqa: S607
    return "Java " + told.stderr.split('"')[1]
