"""The producer's loop: poll, deliver, save the cursor, wait for the next tick of the grid."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from insight.database import Connection, DatabaseEndpoint, connect
from insight.errors import ServiceError
from insight.services import KafkaEndpoint
from streaming.contract import Contract
from streaming.metrics.producer import ProducerMeter
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
from streaming.producing.grid import Grid
from streaming.producing.pace import LoaderPace
from streaming.producing.status import ProducerReport, write_status
from streaming.producing.steps import OnStep, Step, ignore_step
from streaming.producing.turn import PRODUCED_ELSEWHERE, ProducedElsewhere, Turn, take_turn
from streaming.sources import Cursor, Poll, Source, SourcePaused, SourceStopped, TransientFailure

_logger = logging.getLogger(__name__)

_PRUNE_EVERY = 200
_STATUS_SECONDS = 2.0
_BOUNDED_ATTEMPTS = 2


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
    turn: Turn | None = None,
    meter: ProducerMeter | None = None,
    on_step: OnStep = ignore_step,
) -> ProducerReport:
    """Move events from a source to the contract's topic until `stop` or the schedule's end.

    The cursor moves only after every event of its poll was delivered; a crash at any moment
    makes the next start poll the same events again, under the same ids. Only one producer of a
    stream is at work at a time; `turn` says whether to wait for another one, else the state is
    produced_elsewhere. Raises ServiceError when Kafka is away in a bounded run.
    """
    session = _session_in_turn(database, contract.stream, stop)
    meter = meter or ProducerMeter(contract.stream)
    meter.report = report = ProducerReport(contract.stream, source.name)

    def delivered(events: int) -> None:
        meter.delivered(events)
        on_delivered(events)

    loop = _Loop(
        session, kafka, contract, source, schedule, spill_dir, stop, delivered, on_step, report
    )
    try:
        _run_in_turn(loop, session, turn or Turn(), stop)
    except ServiceError as error:
        _end(session, report, "failed", str(error))
        raise
    except (Stopped, Undelivered) as ended:
        _end(session, report, "stopped", str(ended) or None)
    except ProducedElsewhere as other:
        report.state, report.reason = PRODUCED_ELSEWHERE, str(other)
    finally:
        session.close()
    _logger.info(
        "producer of %s is %s, %d events delivered in %d polls",
        contract.stream, report.state, report.delivered, report.polled,
    )  # fmt: skip
    return report


def tell_end(database: DatabaseEndpoint, report: ProducerReport) -> None:
    """Show the end of a producer that never polled, unless another one of the stream is at work.

    Raises ServiceError when the database is away.
    """
    with (
        connect(database, autocommit=True) as connection,
        suppress(ProducedElsewhere),
    ):
        take_turn(connection, report.stream)
        write_status(connection, report)


def _session_in_turn(
    database: DatabaseEndpoint, stream: str, stop: threading.Event
) -> DatabaseSession:
    """A session that holds the stream's lock as long as its connection lives."""
    return DatabaseSession(database, stop, lambda connection: take_turn(connection, stream))


def _run_in_turn(
    loop: "_Loop", session: DatabaseSession, turn: Turn, stop: threading.Event
) -> None:
    """Run the loop; from its start again when another producer came in after a lost connection."""
    while True:
        turn.wait(session, stop)
        try:
            return loop.run()
        except ProducedElsewhere:
            if stop.is_set():
                raise


def _end(session: DatabaseSession, report: ProducerReport, state: str, reason: str | None) -> None:
    report.state, report.reason = state, reason
    with suppress(Stopped, ProducedElsewhere):
        session.do(lambda connection: write_status(connection, report))


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
        on_step: OnStep,
        report: ProducerReport,
    ):
        self.report = report
        self._session = session
        self._source = source
        self._schedule = schedule
        self._stop = stop
        self._on_delivered = on_delivered
        self._on_step = on_step
        attempts = _BOUNDED_ATTEMPTS if schedule.is_bounded else None
        self._producer = EventProducer(kafka, contract, spill_dir, attempts=attempts)
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
        self._cursor = saved.cursor if saved else None
        self._delivered = dict(saved.offsets) if saved else {}
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
        self.report.reason = poll.note
        if not poll.events:
            self.report.unchanged_polls += 1
        # A quiet half hour has no events either, but the source has moved on.
        self._moved = bool(poll.events) or poll.cursor != self._cursor
        self._on_step(Step.POLLED)
        if self._moved:
            self._deliver(poll)
        return poll

    def _deliver(self, poll: Poll) -> None:
        if self._pace is not None:
            self._pace.wait(self._delivered, self._producer.message_bytes, self._stop)
        try:
            self._delivered.update(self._producer.send(poll.events, self._stop))
        finally:
            self.report.spilled = self._producer.spilled
        self._on_step(Step.DELIVERED)
        saved = SavedCursor(poll.cursor, self._delivered)
        self._session.do(lambda connection: self._save(connection, saved))
        self._cursor = poll.cursor
        self._on_step(Step.SAVED)
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
        self.report.state = "paused"
        if self._schedule.is_bounded:
            return
        self._tell_status(now=True)
        self._stop.wait(pause.seconds)
        self.report.state = "running"

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
        seconds = grid.seconds_to_next()
        self.report.missed_ticks = grid.missed
        if seconds > 0:
            self._tell_status()
            self._stop.wait(seconds)

    def _tell_status(self, *, now: bool = False) -> None:
        """Show in the database what we do: now, or when it was not told for a while."""
        if not now and time.monotonic() - self._status_at < _STATUS_SECONDS:
            return
        self._status_at = time.monotonic()
        self._session.do(lambda connection: write_status(connection, self.report))
