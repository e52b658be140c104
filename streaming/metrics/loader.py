"""The loader's metrics, and what they say it waits for."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from streaming.metrics.series import Histogram, Series, counter, gauge, histogram

_BATCH_ROWS = (1, 10, 100, 1_000, 5_000, 10_000, 20_000, 50_000, 100_000)
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Phase(StrEnum):
    """Where a loader's time goes."""

    consume = "consume"
    decode = "decode"
    copy = "copy"
    commit = "commit"
    idle = "idle"


Bottleneck = Literal["idle", "broker-bound", "cpu-bound", "db-bound"]


def bottleneck(shares: Mapping[str, float]) -> Bottleneck:
    """What a loader waits for, from the share of time in each phase.

    `consume` is fetching that brought messages (broker), `decode` is our own computing (cpu),
    `copy` and `commit` are the database. Phases may overlap, so shares need not make 1. Idle is a
    loader that spends most of its time with nothing to fetch, and one of which nothing is known.
    """
    by_cause: dict[Bottleneck, float] = {
        "broker-bound": shares.get(Phase.consume, 0.0),
        "cpu-bound": shares.get(Phase.decode, 0.0),
        "db-bound": shares.get(Phase.copy, 0.0) + shares.get(Phase.commit, 0.0),
    }
    worst = max(by_cause, key=lambda cause: by_cause[cause])
    return worst if by_cause[worst] > shares.get(Phase.idle, 0.0) else "idle"


@dataclass(frozen=True)
class Totals:
    """Committed batches, their messages, and the seconds of their transactions."""

    batches: int = 0
    messages: int = 0
    seconds: float = 0.0


class LoaderMeter(Collector):
    """What one loader does. Called by its own threads, a few times a batch."""

    def __init__(self, now: Callable[[], float] = time.time):
        self._now = now
        self._consumed, self._loaded, self._quarantined = Series(), Series(), Series()
        self._characters, self._lag, self._newest = Series(), Series(), Series()
        self._seconds = dict.fromkeys(Phase, 0.0)
        self._totals = Totals()
        self._batch_rows = Histogram(_BATCH_ROWS)
        self._commit_seconds = Histogram(_SECONDS)

    @contextmanager
    def phase(self, name: Phase) -> Iterator[None]:
        """Count the time of the block."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[name] += time.perf_counter() - started

    def add_seconds(self, name: Phase, seconds: float) -> None:
        self._seconds[name] += seconds

    def seconds(self) -> dict[str, float]:
        """Seconds spent in each phase since the start."""
        return {str(name): value for name, value in self._seconds.items()}

    def batch(
        self,
        stream: str,
        partition: int,
        *,
        rows: int,
        quarantined: Mapping[str, int],
        characters: int,
        commit_seconds: float,
        newest_event_at: datetime | None = None,
    ) -> None:
        """Count a committed batch; `quarantined` is the number of messages by error code."""
        place = (stream, str(partition))
        bad = sum(quarantined.values())
        self._consumed.add(place, rows + bad)
        self._loaded.add(place, rows)
        self._characters.add((stream,), characters)
        for code, count in quarantined.items():
            self._quarantined.add((stream, code), count)
        self._batch_rows.observe(rows + bad)
        self._totals = Totals(
            self._totals.batches + 1,
            self._totals.messages + rows + bad,
            self._totals.seconds + commit_seconds,
        )
        self._commit_seconds.observe(commit_seconds)
        if newest_event_at is not None:
            known = dict(self._newest.items()).get((stream,), 0.0)
            self._newest.set((stream,), max(known, newest_event_at.timestamp()))

    def totals(self) -> Totals:
        """What was committed since the start."""
        return self._totals

    def lags(self, messages: Mapping[tuple[str, int], int]) -> None:
        """How many messages of each partition that we hold are not loaded yet.

        A partition that is not named went to another loader: its lag is not ours to tell.
        """
        lags = Series()
        for (stream, partition), lag in messages.items():
            lags.set((stream, str(partition)), lag)
        self._lag = lags

    def collect(self) -> Iterator[Metric]:
        place = ("stream", "partition")
        yield counter(
            "loader_consumed",
            "Messages read and committed. Flat while the lag rises: the loader hangs, see its log.",
            place,
            self._consumed.items(),
        )
        yield counter(
            "loader_loaded",
            "Messages that became rows. Flat while consumed rises: all messages are bad.",
            place,
            self._loaded.items(),
        )
        yield counter(
            "loader_quarantined",
            "Messages set aside, by reason. Rising: insight quarantine list, mend the producer.",
            ("stream", "code"),
            self._quarantined.items(),
        )
        yield counter(
            "loader_row_characters",
            "Text of the loaded rows. Rising faster than rows: messages grow.",
            ("stream",),
            self._characters.items(),
        )
        yield gauge(
            "loader_lag",
            "Messages produced and not loaded. Rising for minutes: start another load-streams.",
            place,
            self._lag.items(),
        )
        yield gauge(
            "loader_freshness_seconds",
            "Age of the newest loaded event. Above the contract's freshness: look at the producer"
            " first, then at the lag.",
            ("stream",),
            [(labels, self._now() - at) for labels, at in self._newest.items()],
        )
        yield counter(
            "loader_phase_seconds",
            "Where time goes: consume (broker), decode (cpu), copy and commit (database), idle."
            " The largest rate names what to make faster.",
            ("phase",),
            [((str(name),), value) for name, value in self._seconds.items()],
        )
        yield histogram(
            "loader_batch_rows",
            "Messages in a batch. Small ones while the lag rises: partitions are fetched slowly.",
            self._batch_rows,
        )
        yield histogram(
            "loader_commit_seconds",
            "Time of a batch's transaction. Rising: the database's disk or locks.",
            self._commit_seconds,
        )
