"""The role `insight segment-live`: reads what was loaded, writes customers, model and place."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import psycopg

from insight.database import Connection, DatabaseEndpoint, connect
from insight.errors import InputError, ServiceError
from segmentation.live import saved as store
from segmentation.live import tables
from segmentation.live.learning import Choices, LiveSegments, started
from segmentation.live.meter import LiveMeter
from segmentation.live.order import (
    Place,
    Span,
    first_movements,
    horizon,
    next_spans,
    save_offsets,
)
from segmentation.live.sample_customers import write_sample
from segmentation.live.start_file import read_start_file
from streaming.contract import Contract
from streaming.outages import DATABASE_OUTAGES
from streaming.registry import open_registry

_logger = logging.getLogger(__name__)

STREAM = "account-transactions"

# Any number that no other part locks: whoever holds it is the one that writes.
_WRITER_LOCK = 7_207_002
_RECONNECT_SECONDS = 1.0


class Step(StrEnum):
    """Moments at which a test can kill the role."""

    STARTING = "starting"
    STARTED = "started"
    READ = "read"
    WRITTEN = "written"
    BEFORE_COMMIT = "before_commit"
    COMMITTED = "committed"


@dataclass(frozen=True)
class Start:
    """What to start from when nothing is saved: a file, or one that is generated at `sample`.

    With `over` what is saved is forgotten, and everything that was loaded is read again. `seed` is
    that of the simulator's movements.
    """

    sample: Path
    file: Path | None = None
    as_of: datetime | None = None
    over: bool = False
    seed: int = 2019
    choices: Choices = field(default_factory=Choices)


@dataclass(frozen=True)
class LiveOptions:
    """At most `rows` are read in one transaction; without new ones it looks each `look_seconds`."""

    rows: int = 10_000
    look_seconds: float = 0.25
    meter: LiveMeter = field(default_factory=LiveMeter)
    on_step: Callable[[Step], None] = lambda _step: None


@dataclass
class LiveReport:
    """What a run has done."""

    movements: int = 0
    duplicates: int = 0
    customers: int = 0


def run_live_segments(
    database: DatabaseEndpoint,
    contracts: list[Contract],
    start: Start,
    *,
    stop: threading.Event,
    until_caught_up: bool = False,
    options: LiveOptions | None = None,
    on_progress: Callable[[str], None] = lambda _text: None,
) -> LiveReport:
    """Keep live segments until `stop`, or until everything that is loaded is counted.

    While another one is at work, or Postgres is away, it waits; with `until_caught_up` it raises
    ServiceError instead. Raises InputError when the start file cannot be used, or is another one
    than the saved segments began with; IntegrityError when what is saved contradicts itself.
    """
    options = options or LiveOptions()
    contract = _contract(open_registry(database, contracts))
    tables.create_tables(database)
    role = _Role(database, contract, start, options, on_progress, stop)
    while not stop.is_set():
        try:
            role.run(until_caught_up=until_caught_up)
            break
        except (ServiceError, *DATABASE_OUTAGES, psycopg.InterfaceError) as error:
            if until_caught_up:
                raise
            _logger.warning("%s; it tries again", " ".join(str(error).split()))
            stop.wait(_RECONNECT_SECONDS)
    return role.report


def _contract(contracts: list[Contract]) -> Contract:
    for each in contracts:
        if each.stream == STREAM:
            return each
    raise InputError("has no contract any more", where=f"stream {STREAM}")


class _Role:
    def __init__(
        self,
        database: DatabaseEndpoint,
        contract: Contract,
        start: Start,
        options: LiveOptions,
        on_progress: Callable[[str], None],
        stop: threading.Event,
    ):
        self.report = LiveReport()
        self._database = database
        self._contract = contract
        self._start = start
        self._options = options
        self._on_progress = on_progress
        self._stop = stop
        self._is_started_over = not start.over

    def run(self, *, until_caught_up: bool) -> None:
        """One session of Postgres, from the saved state on. Raises psycopg errors of outages."""
        with connect(self._database, autocommit=True) as connection:
            # A commit that a server crash takes back is done again: the place goes with it.
            connection.execute("set synchronous_commit = off")
            if not self._is_writer(connection, waits=not until_caught_up):
                return
            saved = self._opened(connection)
            place = saved.place
            while not self._stop.is_set():
                until = horizon(connection, STREAM)
                spans = next_spans(connection, STREAM, place, until.load_id, self._options.rows)
                if spans:
                    place = spans[-1].end
                    self._count(connection, saved, spans)
                elif until_caught_up and until.is_all:
                    return
                else:
                    # Nothing up to there can come any more: the next look begins behind it.
                    place = max(place, Place(until.load_id + 1))
                    self._stop.wait(self._options.look_seconds)

    def _is_writer(self, connection: Connection, *, waits: bool) -> bool:
        """Whether we are the one that writes; the lock ends with the session, however it ends."""
        while not self._stop.is_set():
            row = connection.execute("select pg_try_advisory_lock(%s)", [_WRITER_LOCK]).fetchone()
            if row == (True,):
                return True
            if not waits:
                raise ServiceError(
                    "another `insight segment-live` is at work",
                    where=str(self._database),
                    next_step="It catches up by itself",
                )
            self._on_progress("waits while another one is at work")
            self._stop.wait(_RECONNECT_SECONDS)
        return False

    def _opened(self, connection: Connection) -> store.Saved:
        """The saved state; at the first start, or to start over, that of the start file."""
        if self._is_started_over:
            saved = store.load(connection)
            if saved is not None:
                self._refuse_other_file(saved)
                return saved
        with connection.transaction():
            saved = self._from_file(connection)
            self._options.on_step(Step.STARTING)
        self._is_started_over = True
        self._options.on_step(Step.STARTED)
        return saved

    def _from_file(self, connection: Connection) -> store.Saved:
        path = self._start.file or self._start.sample
        if self._start.file is None and not path.exists():
            write_sample(path, self._start.seed)
        file = read_start_file(path, self._start.as_of)
        live = started(
            file.customers, file.accounts, file.as_of, self._start.choices, where=str(path)
        )
        tables.clear(connection)
        store.write_customers(connection, live)
        store.write_profiles(connection, file)
        saved = store.Saved(live, 0, Place(), 0, file.name, file.sha256)
        store.write_state(connection, saved)
        return saved

    def _refuse_other_file(self, saved: store.Saved) -> None:
        if self._start.file is None:
            return
        file = read_start_file(self._start.file, self._start.as_of)
        if file.sha256 != saved.start_sha256:
            raise InputError(
                f"is not the file that the live segments began with ({saved.start_file})",
                where=str(self._start.file),
                next_step="Leave --start out to go on, or add --start-over to begin anew with it",
            )

    def _count(self, connection: Connection, saved: store.Saved, spans: list[Span]) -> None:
        """Count the movements of some spans.

        1. Lock the state, on condition that it is as we left it: else nothing is written.
        2. Note the ids of the movements; those that were noted before are passed over.
        3. Add the others to the customers and the model, in memory.
        4. Write the customers that changed, the model, the place and the offsets.
        5. Commit. A crash before this line leaves no trace, and the raw rows are still there.
        """
        began, live = time.monotonic(), saved.segments
        with connection.transaction():
            if store.locked_revision(connection) != saved.revision:
                raise ServiceError("the live segments were changed by another process")
            movements, duplicates = first_movements(connection, self._contract, spans)
            self._options.on_step(Step.READ)
            live.take(movements)
            customers = store.write_customers(connection, live)
            self._options.on_step(Step.WRITTEN)
            saved.revision += 1
            store.note_changes(connection, saved.revision)
            saved.duplicates += duplicates
            saved.place = spans[-1].end
            store.write_state(connection, saved)
            save_offsets(connection, spans)
            self._options.on_step(Step.BEFORE_COMMIT)
        self._options.on_step(Step.COMMITTED)
        self._tell(len(movements), duplicates, customers, time.monotonic() - began, live)

    def _tell(
        self, movements: int, duplicates: int, customers: int, seconds: float, live: LiveSegments
    ) -> None:
        self.report.movements += movements
        self.report.duplicates += duplicates
        self.report.customers += customers
        self._options.meter.committed(movements, duplicates, customers, seconds)
        self._options.meter.fitted(live.model.refits, live.model.refused_refits)
        self._on_progress(f"{self.report.movements:,} movements counted")
