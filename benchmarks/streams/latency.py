"""From produced to committed, at a steady rate, event by event.

A sale's own time is the moment at which the producer was handed it; the end is the commit time
that Postgres kept for the transaction of its row. Both are clocks of one machine. What the
producer waits to fill a batch is inside; that a commit is visible to others follows at once,
because with `synchronous_commit = off` nothing waits for the disk between the two.
"""

import time
from dataclasses import dataclass
from typing import Any, cast

from benchmarks.streams.contenders import Ours, Running, start_workers, worker
from benchmarks.streams.ground import Ground
from benchmarks.streams.messages import create_topic
from benchmarks.streams.plan import Options, latency_topic
from benchmarks.streams.processes import Samples, watched
from insight.database import DatabaseEndpoint, connect

_SETTLED_SECONDS = 3
_DRAIN_SECONDS = 30

_LATENCY = """
with commits as (
    select xmin, extract(epoch from pg_xact_commit_timestamp(xmin)) as committed,
        array_agg(extract(epoch from "timestamp")) as produced
    from streaming.transactions_raw group by xmin
), events as (
    select committed, unnest(produced) as produced from commits
), measured as (
    select * from events where produced >= (select min(produced) from events) + %s
)
select
    count(*), max(produced) - min(produced),
    percentile_disc(array[0.5, 0.99, 1.0]) within group (order by committed - produced),
    count(distinct committed)
from measured
"""


@dataclass(frozen=True)
class Latency:
    """Seconds from produced to committed; `rate` is what the producer really kept up."""

    events: int
    commits: int
    seconds: float
    median: float
    p99: float
    longest: float
    loader_cpu: float
    peak_rss: int

    @property
    def rate(self) -> float:
        return self.events / self.seconds


def measure_latency(ground: Ground, options: Options) -> Latency:
    """Run producer and loader, each in its process; the first seconds are left out."""
    topic = latency_topic()
    create_topic(ground.kafka, topic)
    messages = options.rate * (options.latency_seconds + _SETTLED_SECONDS)
    loader = Ours("latency", "the loader", topic, messages)
    with ground.fresh_database() as database:
        loader.create(database)
        running = loader.start(ground, database)
        try:
            with watched(running.pids) as samples:
                running.go()
                _produce(ground, loader, database, options)
                _drain(loader, running, database)
        finally:
            running.stop()
        return _result(database, samples)


def _produce(ground: Ground, loader: Ours, database: DatabaseEndpoint, options: Options) -> None:
    request = {**loader.request(ground, database), "rate": options.rate}
    producer = start_workers(worker("paced"), [request], ground.folder / "paced.log")
    try:
        producer.go()
        while not producer.ended():
            time.sleep(0.1)
    finally:
        producer.stop()


def _drain(loader: Ours, running: Running, database: DatabaseEndpoint) -> None:
    deadline = time.monotonic() + _DRAIN_SECONDS
    with connect(database, autocommit=True) as connection:
        while loader.rows(connection) < loader.messages:
            if running.ended() or time.monotonic() > deadline:
                raise running.failure("did not keep up with the producer")
            time.sleep(0.5)


def _result(database: DatabaseEndpoint, samples: Samples) -> Latency:
    with connect(database) as connection:
        row = connection.execute(_LATENCY, [_SETTLED_SECONDS]).fetchone()
    assert row is not None
    events, seconds, (median, p99, longest), commits = cast(tuple[Any, ...], row)
    start, end = samples[0].at + _SETTLED_SECONDS, samples[-1].at
    cpu = samples.cpu_between(["worker 0"], start, end) / (end - start)
    return Latency(
        int(events), int(commits), float(seconds), float(median), float(p99), float(longest),
        cpu, samples.peak_rss(["worker 0"]),
    )  # fmt: skip
