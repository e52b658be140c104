"""One run of one contender, and what it used."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.streams.commits import Window, commits, window
from benchmarks.streams.contenders import Contender, Running
from benchmarks.streams.ground import Ground
from benchmarks.streams.processes import MACHINE, Samples, watched
from insight.database import DatabaseEndpoint, connect

_LONGEST_SECONDS = 600
_LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Run:
    """Rates in events a second, CPU in microseconds an event, memory in bytes.

    All between the first commit (or the first one when warm) and the last. `rss_over_time` is
    that of one process at each tenth of the time; `others` is how many cores were at work for
    anybody else.
    """

    rate: float
    own_cpu: float
    postgres_cpu: float
    broker_cpu: float
    peak_rss: int
    rss_growth: float
    rss_over_time: tuple[int, ...]
    events: int
    seconds: float
    others: float


def measure(ground: Ground, contender: Contender) -> Run:
    """Load the topic once into a fresh database.

    Raises RuntimeError when it fails, takes too long or leaves rows out.
    """
    with ground.fresh_database() as database:
        contender.create(database)
        running = contender.start(ground, database)
        servers = {"postgres": ground.postgres_pid, "broker": ground.broker_pid}
        try:
            with watched({**running.pids, **servers}) as samples:
                running.go()
                _wait_until_loaded(contender, running, database)
        finally:
            running.stop()
        return _result(samples, list(running.pids), _window(contender, database))


def _wait_until_loaded(contender: Contender, running: Running, database: DatabaseEndpoint) -> None:
    """Looks seldom, by one connection: commits have their own times, and looking costs CPU."""
    deadline = time.monotonic() + _LONGEST_SECONDS
    with connect(database, autocommit=True) as connection:
        while not running.ended() and contender.rows(connection) < contender.messages:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{contender.name} did not end in {_LONGEST_SECONDS} seconds")
            time.sleep(_LOOK_SECONDS)


def _window(contender: Contender, database: DatabaseEndpoint) -> Window:
    with connect(database) as connection:
        found = commits(connection, contender.table)
        loaded = sum(each.rows for each in found)
        if loaded < contender.messages:
            raise RuntimeError(f"{contender.name} left {contender.messages - loaded:,} rows out")
        not_before = contender.not_before(connection)
    return window(found, warm_rows=contender.warm_rows, not_before=not_before)


def _result(samples: Samples, workers: Sequence[str], measured: Window) -> Run:
    start, end = measured.start, measured.end
    taking_part = [*workers, "postgres", "broker"]
    cores = samples.cpu_between([MACHINE], start, end) - samples.cpu_between(
        taking_part, start, end
    )

    def cpu(*names: str) -> float:
        return samples.cpu_between(names, start, end) / measured.rows * 1e6

    return Run(
        rate=measured.rate,
        own_cpu=cpu(*workers),
        postgres_cpu=cpu("postgres"),
        broker_cpu=cpu("broker"),
        peak_rss=samples.peak_rss(workers),
        rss_growth=max(samples.rss_growth(each, start, end) for each in workers),
        rss_over_time=samples.rss_over_time(workers[0], start, end),
        events=measured.rows,
        seconds=end - start,
        others=max(0.0, cores / (end - start)),
    )


def median(runs: Sequence[Run]) -> Run:
    """The median of each number by itself; the largest peak and growth."""

    def middle(name: str) -> float:
        return float(statistics.median(getattr(each, name) for each in runs))

    return Run(
        rate=middle("rate"),
        own_cpu=middle("own_cpu"),
        postgres_cpu=middle("postgres_cpu"),
        broker_cpu=middle("broker_cpu"),
        peak_rss=max(each.peak_rss for each in runs),
        rss_growth=max(each.rss_growth for each in runs),
        rss_over_time=runs[-1].rss_over_time,
        events=int(middle("events")),
        seconds=middle("seconds"),
        others=middle("others"),
    )
