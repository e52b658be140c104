"""The loader: Kafka topics into Postgres, each message exactly once.

Who holds a partition and where it goes on is read from the database when the partition is taken,
never from Kafka's group offsets. While the database is away nothing is fetched, the group
membership stays alive, and everything is read anew when it is back.
"""

import logging
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

import psycopg
from confluent_kafka import Consumer, KafkaException

from insight.database import Connection, DatabaseEndpoint, connect
from insight.errors import ServiceError
from insight.services import KafkaEndpoint
from streaming import progress
from streaming.contract import Contract
from streaming.loading.assignment import Assignment, DirectAssignment, GroupAssignment, Partition
from streaming.loading.batch import Batch
from streaming.loading.garbage import Collector
from streaming.loading.options import LoaderOptions, consumer_settings, set_up_session
from streaming.loading.ownership import Held, Ownership
from streaming.loading.reader import Reader
from streaming.loading.report import LoadReport, StreamLoad
from streaming.loading.status import LoaderStatus
from streaming.loading.streams_in_use import StreamsInUse
from streaming.loading.writer import Writer, Written
from streaming.outages import DATABASE_OUTAGES
from streaming.registry import open_registry
from streaming.topics import ensure_topics, fetched_watermark, kafka_unavailable

_logger = logging.getLogger(__name__)

_RECONNECT_SECONDS = 0.5


def load_streams(
    database: DatabaseEndpoint,
    kafka: KafkaEndpoint,
    contracts: Sequence[Contract],
    *,
    stop: threading.Event | None = None,
    until_caught_up: bool = False,
    drain: threading.Event | None = None,
    options: LoaderOptions | None = None,
    on_progress: Callable[[str], None] = lambda _text: None,
) -> LoadReport:
    """Load the topics of the contracts until `stop` is set.

    With `until_caught_up` it reads all partitions without joining the consumer group and ends
    when nothing is left; with `drain` it does so once that event is set. Halted streams are
    told in the report. Raises ServiceError when Kafka is away and nobody asked to wait,
    IntegrityError when data and progress contradict each other.
    """
    options = options or LoaderOptions()
    if until_caught_up:
        drain = threading.Event()
        drain.set()
    ensure_topics(kafka, open_registry(database, contracts))
    consumer = Consumer(consumer_settings(kafka, options))
    try:
        assignment = DirectAssignment() if drain is not None else GroupAssignment(consumer)
        loader = _Loader(database, kafka, contracts, consumer, assignment, options, on_progress)
        return loader.run(stop or threading.Event(), drain)
    finally:
        consumer.close()


class _Loader:
    def __init__(
        self,
        database: DatabaseEndpoint,
        kafka: KafkaEndpoint,
        contracts: Sequence[Contract],
        consumer: Consumer,
        assignment: Assignment,
        options: LoaderOptions,
        on_progress: Callable[[str], None],
    ):
        self._database = database
        self._kafka = kafka
        self._consumer = consumer
        self._assignment = assignment
        self._options = options
        self._on_progress = on_progress
        self._streams = StreamsInUse(contracts)
        self._loads = {each.stream: StreamLoad() for each in contracts}
        self._collector = Collector()
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{threading.get_ident()}"
        self._ownership = Ownership(consumer, kafka, self._owner, options.stall_seconds)
        self._reader = Reader(consumer, self._ownership, options)
        self._status = LoaderStatus(self._owner, options.meter)
        # Whether contracts and partitions have to be read anew.
        self._is_stale = True

    def run(self, stop: threading.Event, drain: threading.Event | None) -> LoadReport:
        started = time.monotonic()
        finished = False
        while not finished and not stop.is_set():
            try:
                with connect(self._database, autocommit=True) as connection:
                    set_up_session(connection, self._options)
                    progress.name_session(connection, self._owner)
                    self._load(connection, stop, drain)
                    finished = True
            except (*DATABASE_OUTAGES, ServiceError) as error:
                if isinstance(error, ServiceError) and not _is_about_database(error):
                    raise
                self._wait_for_database(error)
        for stream, (state, reason) in self._ownership.halted.items():
            self._loads[stream].state, self._loads[stream].reason = state, reason
        return LoadReport(self._loads, time.monotonic() - started)

    def _load(
        self, connection: Connection, stop: threading.Event, drain: threading.Event | None
    ) -> None:
        """Load until `stop`, or until nothing is left after `drain`."""
        self._is_stale = True
        with Writer(connection, self._options) as writer:
            while not stop.is_set():
                # Asked before looking: what is produced after the answer need not be loaded.
                draining = drain is not None and drain.is_set()
                try:
                    is_idle = not self._turn(connection, writer)
                    if draining and is_idle and self._is_caught_up(connection):
                        return
                except KafkaException as error:
                    outage = kafka_unavailable(self._kafka, error)
                except ServiceError as error:
                    if _is_about_database(error):
                        raise
                    outage = error
                else:
                    continue
                if drain is not None:
                    raise outage
                _logger.warning("%s", outage)
                self._settle(connection, writer)
                self._is_stale = True
                stop.wait(_RECONNECT_SECONDS)
            self._settle(connection, writer)

    def _use(self, connection: Connection) -> None:
        """Read which contracts are in use, and take every partition anew."""
        contracts = self._streams.read(connection)
        self._reader.use(contracts)
        for each in contracts:
            self._loads.setdefault(each.stream, StreamLoad())
        self._ownership.use(contracts)
        self._assignment.follow(ensure_topics(self._kafka, contracts))
        self._assignment.changed = True

    def _turn(self, connection: Connection, writer: Writer) -> bool:
        """Read a round while the one before is written; False when there was neither."""
        if self._is_stale:
            self._follow(connection)
        self._collector.collect_if_due()
        read = self._reader.read()
        wrote = self._settle(connection, writer)
        if self._streams.have_changed(connection, now=read.has_newer_version):
            self._is_stale = True
        self._follow(connection)
        self._status.tell(connection, self._ownership.all_held(), self._consumer)
        writer.write(self._claimed(connection, read.batches))
        if read.lost:
            self._settle(connection, writer)
            for partition in read.lost:
                self._ownership.check_fetch_position(connection, partition)
        return wrote or bool(read.batches)

    def _follow(self, connection: Connection) -> None:
        """Hold what we should hold now."""
        if self._is_stale:
            self._use(connection)
            self._is_stale = False
        self._ownership.follow(connection, self._wanted(), changed=self._assignment.changed)
        self._assignment.changed = False

    def _wanted(self) -> set[Partition]:
        """Our share of the partitions, without those of paused streams."""
        paused = self._streams.paused_topics
        return {each for each in self._assignment.wanted() if each[0] not in paused}

    def _is_caught_up(self, connection: Connection) -> bool:
        return self._ownership.is_caught_up(connection, self._wanted())

    def _claimed(
        self, connection: Connection, batches: list[tuple[Held, Batch]]
    ) -> list[tuple[Held, Batch]]:
        """The batches of partitions that we still hold, each with a claim and the newest end."""
        claimed = []
        for held, batch in batches:
            if self._ownership.held(held.partition) is not held:
                continue
            if held.claim is None:
                self._ownership.claim_first(connection, held, batch.lo)
            if held.next_offset != batch.lo:
                continue
            end = fetched_watermark(self._consumer, *held.partition)
            held.high_watermark = max(held.high_watermark, end, batch.hi + 1)
            claimed.append((held, batch))
        return claimed

    def _settle(self, connection: Connection, writer: Writer) -> bool:
        """Wait for the round at work and count it; False when there was none."""
        done = writer.settle()
        for each in done.written:
            if each.stored is None:
                self._ownership.give_up(each.held)
            else:
                self._settle_batch(connection, each, each.stored)
        if done.error is not None:
            raise done.error
        return bool(done.written)

    def _settle_batch(self, connection: Connection, written: Written, stored: Batch) -> None:
        held = written.held
        held.next_offset = stored.hi + 1
        self._assignment.loaded(*held.partition, held.next_offset)
        judged_bad = {each.message.offset() for each in written.judged.rejected}
        refused = {each.message.offset() for each in stored.rejected} - judged_bad
        if refused:
            meter = self._reader.judge_of(held.contract).meter
            meter.turn_bad(stored.hi - offset for offset in refused)
        self._count(held, stored, written.seconds)
        self._stop_if_bad(connection, held, stored)

    def _stop_if_bad(self, connection: Connection, held: Held, stored: Batch) -> None:
        judge = self._reader.judge_of(held.contract)
        if stored.limit_reason:
            self._ownership.stop_stream(held.contract, progress.HALTED_LIMIT, stored.limit_reason)
        elif judge.meter.tripped and self._ownership.held(held.partition) is held:
            self._ownership.halt(connection, held, progress.HALTED_LIMIT, judge.meter.reason())
        else:
            return
        judge.forgive()

    def _count(self, held: Held, stored: Batch, seconds: float) -> None:
        load = self._loads[held.contract.stream]
        load.rows += len(stored.lines)
        load.quarantined += len(stored.rejected)
        load.batches += 1
        self._options.meter.batch(
            held.contract.stream,
            held.key.partition,
            rows=len(stored.lines),
            quarantined=Counter(each.verdict.code for each in stored.rejected),
            characters=sum(map(len, stored.lines)),
            commit_seconds=seconds,
            newest_event_at=stored.newest_event_at,
        )
        total = sum(each.rows for each in self._loads.values())
        self._on_progress(f"{total:,} {'event' if total == 1 else 'events'} loaded")

    def _wait_for_database(self, error: Exception) -> None:
        """Wait for half a second without fetching; consuming keeps the group membership alive."""
        _logger.warning("the database is away, waiting: %s", " ".join(str(error).split()))
        self._ownership.forget()
        self._consumer.consume(1, _RECONNECT_SECONDS)


def _is_about_database(error: ServiceError) -> bool:
    return isinstance(error.__cause__, psycopg.Error)
