"""The producer's loop: poll, deliver, save the cursor, wait for the next tick of the grid."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from insight.database import Connection, DatabaseEndpoint
from insight.services import KafkaEndpoint
from streaming.contract import Contract
from streaming.producing.cursor import (
    CursorKey,
    DatabaseSession,
    SavedCursor,
    Stopped,
    load_cursor,
    prune_cursors,
    save_cursor,
)
from streaming.producing.delivery import EventProducer, Offsets, Undelivered
from streaming.producing.pace import LoaderPace
from streaming.sources import Cursor, Poll, Source, SourcePaused, SourceStopped, TransientFailure

_logger = logging.getLogger(__name__)

_PRUNE_EVERY = 200
_STATUS_SECONDS = 2.0


@dataclass(frozen=True)
class Schedule:
    """When to poll and when to end.

    Ticks lie `interval_seconds` apart, 0 is without a pause. A bounded producer ends after
    `unchanged_polls` polls in a row without news, after `polls` polls, or after `failed_polls`
    failures in a row; None is never.
    """

    interval_seconds: float
    unchanged_polls: int | None = None
    polls: int | None = None
    failed_polls: int | None = None

    @property
    def is_bounded(self) -> bool:
        return self.unchanged_polls is not None or self.polls is not None


@dataclass
class ProducerReport:
    """What one producer did.

    `state` is running, finished, stopped, paused, unreachable or stopped_<why>.
    """

    stream: str
    source: str
    polled: int = 0
    delivered: int = 0
    unchanged_polls: int = 0
    failed_polls: int = 0
    missed_ticks: int = 0
    state: str = "running"
    reason: str | None = None


class Grid:
    """Moments `interval` seconds apart; those that passed during a long poll are skipped."""

    def __init__(self, interval: float, now: Callable[[], float] = time.monotonic):
        self._interval = interval
        self._now = now
        self._next = now() + interval

    def seconds_to_next(self) -> tuple[float, int]:
        """(seconds to wait, ticks that were missed since the last call)."""
        if self._interval <= 0:
            return 0.0, 0
        late = self._now() - self._next
        missed = int(late // self._interval) + 1 if late > 0 else 0
        wait = self._next + missed * self._interval - self._now()
        self._next += (missed + 1) * self._interval
        return max(wait, 0.0), missed


def produce(
    database: DatabaseEndpoint,
    kafka: KafkaEndpoint,
    contract: Contract,
    source: Source,
    schedule: Schedule,
    *,
    spill_dir: Path,
    stop: threading.Event,
    on_delivered: Callable[[int], None] = lambda _events: None,
) -> ProducerReport:
    """Move events from a source to the contract's topic until `stop` or the schedule's end.

    The cursor moves only after every event of its poll was delivered; a crash at any moment
    makes the next start poll the same events again, under the same ids.
    """
    session = DatabaseSession(database, stop)
    loop = _Loop(session, kafka, contract, source, schedule, spill_dir, stop, on_delivered)
    try:
        loop.run()
    except (Stopped, Undelivered) as ended:
        loop.report.state, loop.report.reason = "stopped", str(ended) or None
    finally:
        session.close()
    _logger.info("producer of %s: %s", contract.stream, loop.report)
    return loop.report


class _Loop:
    def __init__(
        self,
        session: DatabaseSession,
        kafka: KafkaEndpoint,
        contract: Contract,
        source: Source,
        schedule: Schedule,
        spill_dir: Path,
        stop: threading.Event,
        on_delivered: Callable[[int], None],
    ):
        self.report = ProducerReport(contract.stream, source.name)
        self._session = session
        self._source = source
        self._schedule = schedule
        self._stop = stop
        self._on_delivered = on_delivered
        self._producer = EventProducer(kafka, contract, spill_dir)
        self._key = CursorKey(contract.stream, source.name, kafka.cluster_id, contract.topic)
        self._pace = LoaderPace(session, kafka.cluster_id, contract) if kafka.embedded else None
        self._cursor: Cursor | None = None
        self._delivered: Offsets = {}
        self._moved = False
        self._status_at = 0.0

    def run(self) -> None:
        self._start()
        grid = Grid(self._schedule.interval_seconds)
        unchanged = failed = 0
        while not self._stop.is_set():
            poll = self._poll()
            failed = failed + 1 if poll is None else 0
            unchanged = unchanged + 1 if poll is not None and not self._moved else 0
            self._end_if_done(unchanged, failed)
            self._tell_status()
            if self.report.state != "running":
                break
            self._wait(grid)
        if self.report.state == "running":
            self.report.state = "stopped"
        self._tell_status(now=True)

    def _start(self) -> None:
        saved = self._session.do(lambda connection: load_cursor(connection, self._key))
        if saved is not None:
            self._cursor, self._delivered = saved.cursor, dict(saved.offsets)
        self._session.do(lambda connection: prune_cursors(connection, self._key))
        self._delivered.update(self._producer.send_spilled(self._stop))

    def _poll(self) -> Poll | None:
        """One poll, its events delivered and its cursor saved; None when it failed."""
        self.report.polled += 1
        try:
            poll = self._source.poll(self._cursor)
        except TransientFailure as failure:
            self.report.failed_polls += 1
            self.report.reason = str(failure)
            _logger.warning("%s: %s", self._source.name, failure)
            return None
        except SourcePaused as pause:
            self._pause(pause)
            return None
        except SourceStopped as stopped:
            self.report.state, self.report.reason = stopped.state, str(stopped)
            _logger.warning("%s is stopped: %s", self._source.name, stopped)
            return None
        self.report.reason = None
        if not poll.events:
            self.report.unchanged_polls += 1
        # A quiet half hour has no events either, but the source has moved on.
        self._moved = bool(poll.events) or poll.cursor != self._cursor
        if self._moved:
            self._deliver(poll)
        return poll

    def _deliver(self, poll: Poll) -> None:
        if self._pace is not None:
            self._pace.wait(self._delivered, self._producer.message_bytes, self._stop)
        self._delivered.update(self._producer.send(poll.events, self._stop))
        saved = SavedCursor(poll.cursor, self._delivered)
        self._session.do(lambda connection: self._save(connection, saved))
        self._cursor = poll.cursor
        self.report.delivered += len(poll.events)
        self._on_delivered(len(poll.events))

    def _save(self, connection: Connection, saved: SavedCursor) -> None:
        # Lost with a server crash it is polled again; WAL keeps its order against progress.
        connection.execute("set local synchronous_commit = off")
        save_cursor(connection, self._key, saved)
        if self.report.polled % _PRUNE_EVERY == 0:
            prune_cursors(connection, self._key)

    def _pause(self, pause: SourcePaused) -> None:
        self.report.reason = str(pause)
        _logger.warning("%s is left alone for %.0f s: %s", self._source.name, pause.seconds, pause)
        if self._schedule.is_bounded:
            self.report.state = "paused"
            return
        self._tell_status(now=True, due_in=pause.seconds)
        self._stop.wait(pause.seconds)

    def _end_if_done(self, unchanged: int, failed: int) -> None:
        if self.report.state != "running":
            return
        limits, report = self._schedule, self.report
        succeeded = report.polled - report.failed_polls
        if limits.failed_polls is not None and failed >= limits.failed_polls:
            report.state = "unreachable"
        elif (limits.unchanged_polls is not None and unchanged >= limits.unchanged_polls) or (
            limits.polls is not None and succeeded >= limits.polls
        ):
            report.state = "finished"

    def _wait(self, grid: Grid) -> None:
        seconds, missed = grid.seconds_to_next()
        self.report.missed_ticks += missed
        if seconds > 0:
            self._tell_status(due_in=seconds)
            self._stop.wait(seconds)

    def _tell_status(self, *, now: bool = False, due_in: float | None = None) -> None:
        """Show in the database what we do: now, or when it was not told for a while."""
        if not now and time.monotonic() - self._status_at < _STATUS_SECONDS:
            return
        self._status_at = time.monotonic()
        due = None if due_in is None else datetime.now(UTC) + timedelta(seconds=due_in)
        self._session.do(lambda connection: _write_status(connection, self.report, due))


def _write_status(connection: Connection, report: ProducerReport, due: datetime | None) -> None:
    connection.execute(
        """insert into streaming.producer_status
               (stream, source, state, state_reason, polled, delivered, unchanged_polls,
                failed_polls, missed_ticks, next_due_at)
           values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
           on conflict (stream) do update set
               source = excluded.source, state = excluded.state,
               state_reason = excluded.state_reason, polled = excluded.polled,
               delivered = excluded.delivered, unchanged_polls = excluded.unchanged_polls,
               failed_polls = excluded.failed_polls, missed_ticks = excluded.missed_ticks,
               next_due_at = excluded.next_due_at, updated_at = now()""",
        (
            report.stream,
            report.source,
            report.state,
            report.reason,
            report.polled,
            report.delivered,
            report.unchanged_polls,
            report.failed_polls,
            report.missed_ticks,
            due,
        ),
    )
