"""The role `insight segment-rules`: keeps the members of all active segments by rule up to date."""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

import psycopg

from insight.database import Connection, DatabaseEndpoint, connect
from insight.errors import InputError, ServiceError
from insight.services import KafkaEndpoint, RedisEndpoint
from segmentation.queries.run import open_catalogue
from segmentation.rules.catalogue import Catalogue, Stream
from segmentation.rules.spec import Rule
from segmentation.runtime import arrivals, rounds, tables, workers
from segmentation.runtime.changes import read_places
from segmentation.runtime.clock import Clock
from segmentation.runtime.meter import RulesMeter
from segmentation.runtime.pipelines import (
    Pipeline,
    Refusal,
    Stored,
    in_order,
    make_pipeline,
    read_active,
    read_running,
    readers_of,
    rule_of,
)
from segmentation.runtime.publisher import Published, PublishOptions, publish_until
from segmentation.runtime.sharing import Sharing
from segmentation.store import tables as store_tables
from segmentation.store.tables import CHANNEL
from segmentation.store.versions import configuration_sequence
from streaming.contract import Contract
from streaming.outages import DATABASE_OUTAGES
from streaming.registry import open_registry, registry_revision

_logger = logging.getLogger(__name__)

# Any number that no other part locks: whoever holds it is the one that writes.
_WRITER_LOCK = 7_207_022
_RECONNECT_SECONDS = 1.0
_REST_SECONDS = 10.0


class Step(StrEnum):
    """Moments at which a test can kill the role."""

    CONFIGURED = "configured"
    NOTED = "noted"
    ASKED_ALL = "asked_all"
    ASKED_ALL_COMMITTED = "asked_all_committed"
    ASKED = "asked"
    COMMITTED = "committed"


@dataclass(frozen=True)
class RuntimeOptions:
    """It looks for new rows each `look_seconds`, and for configurations each `poll_seconds` too.

    A notification of Postgres ends the wait at once; the poll finds what a lost one told.
    """

    clock: Clock = Clock.events
    look_seconds: float = 0.25
    poll_seconds: float = 2.0
    share_from: int = rounds.SHARE_FROM
    meter: RulesMeter = field(default_factory=RulesMeter)
    publish: PublishOptions = field(default_factory=PublishOptions)
    on_step: Callable[[Step], None] = lambda _step: None


@dataclass
class RuntimeReport:
    """What a run has done; `refused` are versions that it could not run, with the reason."""

    rows: int = 0
    asked: int = 0
    changes: int = 0
    published: Published = field(default_factory=Published)
    refused: dict[str, str] = field(default_factory=dict)


def run_segment_rules(
    database: DatabaseEndpoint,
    kafka: KafkaEndpoint,
    redis: RedisEndpoint,
    contracts: Sequence[Contract],
    *,
    stop: threading.Event,
    until_caught_up: bool = False,
    options: RuntimeOptions | None = None,
    on_progress: Callable[[str], None] = lambda _text: None,
) -> RuntimeReport:
    """Keep segments up to date until `stop`, or until all that is loaded is asked and published.

    While another one is at work, or a service is away, it waits; with `until_caught_up` it raises
    ServiceError instead.
    """
    options = options or RuntimeOptions()
    prepare(database, contracts)
    role = _Role(database, kafka, redis, options, on_progress, stop)
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


def prepare(database: DatabaseEndpoint, contracts: Sequence[Contract]) -> None:
    """Make all tables that the runtime and those who ask about it need."""
    open_registry(database, list(contracts))
    store_tables.create_tables(database)
    with connect(database) as connection:
        arrivals.create_tables(connection)
        tables.create_tables(connection)


class _Role:
    def __init__(
        self,
        database: DatabaseEndpoint,
        kafka: KafkaEndpoint,
        redis: RedisEndpoint,
        options: RuntimeOptions,
        on_progress: Callable[[str], None],
        stop: threading.Event,
    ):
        self.report = RuntimeReport(published=options.meter.published)
        self._database = database
        self._kafka = kafka
        self._redis = redis
        self._options = options
        self._on_progress = on_progress
        self._stop = stop
        self._worker = workers.worker_name()

    def run(self, *, until_caught_up: bool) -> None:
        """One session of Postgres. Raises psycopg errors of outages."""
        with connect(self._database, autocommit=True) as connection:
            # A commit that a server crash takes back is done again: the place goes with it. But
            # what was published must not be taken back.
            connection.execute("set synchronous_commit = on")
            # Rules are short questions, for which compiling costs more than it saves.
            connection.execute("set jit = off")
            if not self._is_writer(connection, waits=not until_caught_up):
                return
            keeper = Keeper(connection, self._database, self._worker, self._options, self.report)
            with self._publisher() as finish:
                connection.execute(f"listen {CHANNEL}".encode())
                self._keep(keeper, connection, until_caught_up=until_caught_up)
                finish()
            workers.leave(connection, self._worker)

    def _keep(self, keeper: "Keeper", connection: Connection, *, until_caught_up: bool) -> None:
        looked_at = -math.inf
        while not self._stop.is_set():
            if time.monotonic() - looked_at >= self._options.poll_seconds:
                keeper.look_for_configurations()
                looked_at = time.monotonic()
            moved = keeper.look()
            self._on_progress(f"{self.report.changes:,} customers entered or left")
            if until_caught_up and not moved:
                return
            self._refuse_dead_publisher()
            if not moved and list(
                connection.notifies(timeout=self._options.look_seconds, stop_after=1)
            ):
                looked_at = -math.inf

    def _is_writer(self, connection: Connection, *, waits: bool) -> bool:
        """Whether we are the one that writes; the lock ends with the session, however it ends."""
        while not self._stop.is_set():
            row = connection.execute("select pg_try_advisory_lock(%s)", [_WRITER_LOCK]).fetchone()
            if row == (True,):
                workers.announce(connection, self._worker, "at work")
                return True
            if not waits:
                raise ServiceError(
                    "another `insight segment-rules` is at work",
                    where=str(self._database),
                    next_step="It catches up by itself",
                )
            workers.announce(connection, self._worker, "waiting")
            self._on_progress("waits while another one is at work")
            self._stop.wait(_RECONNECT_SECONDS)
        workers.leave(connection, self._worker)
        return False

    @contextmanager
    def _publisher(self) -> Iterator[Callable[[], None]]:
        """Publishes in a thread; calling what it gives waits until nothing is left to publish."""
        ending, finishing = threading.Event(), threading.Event()
        with ThreadPoolExecutor(1, "publisher") as pool:
            self._publishing = pool.submit(
                publish_until,
                self._database, self._kafka, self._redis, self.report.published,
                stop=ending, finish=finishing, options=self._options.publish,
            )  # fmt: skip

            def finish() -> None:
                finishing.set()
                if self._stop.is_set():
                    ending.set()
                self._publishing.result()

            try:
                yield finish
            finally:
                ending.set()

    def _refuse_dead_publisher(self) -> None:
        """Raises what ended it."""
        if self._publishing.done():
            self._publishing.result()


class Keeper:
    """Keeps members up to date with one connection that nobody else uses; `look` is a turn."""

    def __init__(
        self,
        connection: Connection,
        database: DatabaseEndpoint,
        worker: str,
        options: RuntimeOptions,
        report: RuntimeReport,
    ):
        self._connection = connection
        self._database = database
        self._worker = worker
        self._options = options
        self._report = report
        self._seen: tuple[int, int] | None = None
        self._pipelines: dict[str, Pipeline] = {}
        self._order: list[Pipeline] = []
        self._refused: dict[str, Refusal] = {}
        self._catalogue: Catalogue | None = None
        self._indexed: set[str] = set()
        self._resting: dict[str, float] = {}
        self._sharing: Sharing | None = None

    @property
    def pipelines(self) -> list[Pipeline]:
        """What is run now, in the order of what segments read."""
        return list(self._order)

    def look_for_configurations(self) -> None:
        """Take what is active now into use, if it or the streams have changed since."""
        connection = self._connection
        workers.announce(connection, self._worker, "at work")
        seen = (configuration_sequence(connection), registry_revision(connection))
        if seen == self._seen:
            return
        is_known = self._seen is not None and self._seen[1] == seen[1]
        self._load(self._pipelines if is_known else {})
        self._prepare_streams()
        self._tell()
        self._seen = seen
        self._options.on_step(Step.CONFIGURED)

    def look(self) -> bool:
        """Ask whose answer can have changed; whether there was anything new.

        1. Judge what the loader has loaded, and note whose it is: a transaction a stream.
        2. Ask everybody about segments that are new, or whose customers changed unseen, a few
           seconds long; and empty those that were retired: a transaction a segment.
        3. Ask the others about those customers only: one transaction.
        A crash between any two leaves notes, or a place, from which the next look goes on.
        """
        rows = sum(self._note(each) for each in self._streams())
        changed = self._leave_retired()
        changed += self._ask_all()
        changed += self._ask_changed()
        return rows > 0 or changed > 0

    def _wall(self) -> datetime | None:
        return datetime.now(UTC) if self._options.clock is Clock.wall else None

    # Configurations

    def _load(self, known: Mapping[str, Pipeline]) -> None:
        """The active versions; for one that is refused the version whose members are there.

        Versions never change: one that is `known`, made for the same streams, is not made again.
        """
        active, running = read_active(self._connection), read_running(self._connection)
        rules = {**_rules(running), **_rules(active)}
        self._catalogue = open_catalogue(
            self._connection, {name: rules[name] for name in active if name in rules}
        )
        loaded: dict[str, Pipeline] = {}
        refused: dict[str, Refusal] = {}
        for name, stored in active.items():
            before = known.get(name)
            if before is not None and before.version == stored.version:
                loaded[name] = before
                continue
            pipeline = self._made(stored, refused)
            if pipeline is None and name in running and running[name] != stored:
                pipeline = self._made(running[name], {})
            if pipeline is not None:
                loaded[name] = pipeline
        self._order = in_order(loaded)
        self._pipelines, self._refused = loaded, refused
        self._resting.clear()
        self._sharing = Sharing(self._catalogue)

    def _made(self, stored: Stored, refused: dict[str, Refusal]) -> Pipeline | None:
        assert self._catalogue is not None
        try:
            return make_pipeline(stored, self._catalogue)
        except InputError as error:
            _logger.warning("version %d of segment %s is refused: %s",
                            stored.version, stored.segment, error)  # fmt: skip
            refused[stored.segment] = Refusal(stored.segment, stored.version, str(error))
            return None

    def _prepare_streams(self) -> None:
        for stream in self._streams():
            if stream.name not in self._indexed:
                _logger.info("indexes of stream %s are made, if they are missing", stream.name)
                arrivals.create_indexes(self._database, stream)
                self._indexed.add(stream.name)

    def _tell(self) -> None:
        sequence = configuration_sequence(self._connection)
        workers.tell_versions(
            self._connection, self._worker, sequence, self._order, self._refused.values()
        )
        self._report.refused = {e.segment: e.reason for e in self._refused.values()}
        self._options.meter.configured(len(self._order), len(self._refused))

    def _streams(self) -> list[Stream]:
        return list({each.name: each for one in self._order for each in one.noted}.values())

    # Members

    def _note(self, stream: Stream) -> int:
        with self._connection.transaction():
            rows = arrivals.note_arrivals(self._connection, stream)
        if rows:
            self._report.rows += rows
            self._options.meter.noted(rows)
            self._options.on_step(Step.NOTED)
        return rows

    def _leave_retired(self) -> int:
        used = {*self._pipelines, *self._refused}
        read = readers_of(self._order)
        gone = [each for each in read_places(self._connection) if each not in used]
        return sum(
            self._timed(lambda name=each: rounds.leave_all(  # type: ignore[misc]
                self._connection, name, is_read=name in read))
            for each in gone
        )  # fmt: skip

    def _ask_all(self) -> int:
        rounds.ask_all_if_all_changed(self._connection, self._order)
        places = read_places(self._connection)
        traits = rounds.traits_state(self._connection)
        read = readers_of(self._order)
        changed, began = 0, time.monotonic()
        for each in self._order:
            # The others have their turn, and configurations theirs, while many are asked at first.
            if changed and time.monotonic() - began >= self._options.poll_seconds:
                break
            if rounds.wants_all(each, places.get(each.segment), traits) and self._rested(each):
                changed += 1 + self._ask_all_of(each, is_read=each.segment in read)
        return changed

    def _ask_all_of(self, pipeline: Pipeline, *, is_read: bool) -> int:
        try:
            changed = self._timed(
                lambda: rounds.ask_all(
                    self._connection, pipeline, is_read=is_read, wall=self._wall(),
                    before_commit=lambda: self._options.on_step(Step.ASKED_ALL),
                )
            )  # fmt: skip
        except InputError as error:
            self._rest(pipeline, error)
            return 0
        if self._refused.get(pipeline.segment) and self._pipelines[pipeline.segment] is pipeline:
            self._forget_refusal(pipeline)
        self._options.on_step(Step.ASKED_ALL_COMMITTED)
        return changed

    def _ask_changed(self) -> int:
        assert self._catalogue is not None
        assert self._sharing is not None
        catalogue, sharing = self._catalogue, self._sharing
        return self._timed(
            lambda: rounds.ask_changed(
                self._connection, self._order, catalogue, sharing,
                wall=self._wall(), share_from=self._options.share_from,
                before_commit=lambda: self._options.on_step(Step.ASKED),
            ),
            Step.COMMITTED,
        )  # fmt: skip

    def _timed(self, action: Callable[[], rounds.Round], step: Step | None = None) -> int:
        began = time.monotonic()
        done = action()
        changes = sum(done.changes.values())
        if done.changes or done.failures:
            self._options.meter.done(done, time.monotonic() - began)
            self._report.asked += done.asked
            self._report.changes += changes
            if step is not None:
                self._options.on_step(step)
        return changes

    def _rested(self, pipeline: Pipeline) -> bool:
        return time.monotonic() >= self._resting.get(pipeline.segment, 0.0)

    def _rest(self, pipeline: Pipeline, error: InputError) -> None:
        """Not at every look: what cannot be answered now is asked again in a while."""
        _logger.warning("segment %s: %s; it tries again", pipeline.segment, error)
        self._resting[pipeline.segment] = time.monotonic() + _REST_SECONDS
        refusal = Refusal(pipeline.segment, pipeline.version, str(error))
        if self._refused.get(pipeline.segment) != refusal:
            self._refused[pipeline.segment] = refusal
            self._tell()

    def _forget_refusal(self, pipeline: Pipeline) -> None:
        if self._refused[pipeline.segment].version == pipeline.version:
            del self._refused[pipeline.segment]
            self._tell()


def _rules(stored: Mapping[str, Stored]) -> dict[str, Rule]:
    found = {}
    for name, each in stored.items():
        try:
            found[name] = rule_of(each)
        except InputError:
            continue
    return found
