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
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

import psycopg
from confluent_kafka import Consumer, KafkaError, KafkaException

from insight.database import Connection, DatabaseEndpoint, connect
from insight.errors import IntegrityError, ServiceError
from insight.services import KafkaEndpoint
from streaming import progress
from streaming.codec import Codec
from streaming.contract import Contract
from streaming.loading.assignment import Assignment, DirectAssignment, GroupAssignment, Partition
from streaming.loading.batch import BadLimit, BadMeter, Batch, Message, judge
from streaming.loading.load_batch import OnStep, Step, ignore_step, load_batch
from streaming.loading.ownership import Held, Ownership
from streaming.progress import FencedError
from streaming.tables import create_tables
from streaming.topics import ensure_topics, fetched_watermark, kafka_unavailable

_logger = logging.getLogger(__name__)

_RECONNECT_SECONDS = 0.5
_LOST_POSITION = {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}


@dataclass(frozen=True)
class LoaderOptions:
    """`batch_messages` bounds a transaction, `batch_seconds` how long a message waits for one."""

    group: str = "insight-loader"
    batch_messages: int = 20_000
    batch_seconds: float = 0.1
    fetch_ahead_kib: int = 32_768
    bad_limit: BadLimit = field(default_factory=BadLimit)
    on_step: OnStep = ignore_step


@dataclass
class StreamLoad:
    """What one loader did for one stream."""

    rows: int = 0
    quarantined: int = 0
    batches: int = 0
    state: str = progress.RUNNING
    reason: str | None = None

    @property
    def is_halted(self) -> bool:
        return self.state != progress.RUNNING


@dataclass
class LoadReport:
    """What one loader did, by stream."""

    streams: dict[str, StreamLoad]
    seconds: float

    @property
    def rows(self) -> int:
        return sum(each.rows for each in self.streams.values())

    @property
    def quarantined(self) -> int:
        return sum(each.quarantined for each in self.streams.values())

    def raise_if_halted(self) -> None:
        """Raises IntegrityError for the first stream that was halted."""
        for stream, load in sorted(self.streams.items()):
            if load.is_halted:
                raise IntegrityError(
                    f"is halted ({load.state}): {load.reason}",
                    where=f"stream {stream}",
                    next_step="See streaming.stream_status, streaming.quarantine and "
                    "docs/operations.md",
                )


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
    create_tables(database, contracts)
    partitions = ensure_topics(kafka, contracts)
    consumer = Consumer(_consumer_settings(kafka, options))
    try:
        assignment: Assignment = (
            DirectAssignment(partitions)
            if drain is not None
            else GroupAssignment(consumer, list(partitions))
        )
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
        self._codecs = {each.topic: Codec(each) for each in contracts}
        self._meters = {each.stream: BadMeter(options.bad_limit) for each in contracts}
        self._loads = {each.stream: StreamLoad() for each in contracts}
        owner = f"{socket.gethostname()}:{os.getpid()}:{threading.get_ident()}"
        topics = {each.topic: each for each in contracts}
        self._ownership = Ownership(consumer, kafka, topics, owner)

    def run(self, stop: threading.Event, drain: threading.Event | None) -> LoadReport:
        started = time.monotonic()
        finished = False
        while not finished and not stop.is_set():
            try:
                with connect(self._database, autocommit=True) as connection:
                    self._load(connection, stop, drain)
                    finished = True
            except (psycopg.OperationalError, ServiceError) as error:
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
        self._ownership.forget()
        self._assignment.changed = True
        while not stop.is_set():
            # Asked before looking: what is produced after the answer need not be loaded.
            draining = drain is not None and drain.is_set()
            try:
                self._ownership.follow(connection, self._assignment)
                loaded = self._load_next(connection)
                if draining and not loaded and self._is_caught_up(connection):
                    return
            except KafkaException as error:
                if drain is not None:
                    raise kafka_unavailable(self._kafka, error) from error
                _logger.warning("Kafka does not answer: %s", error)
                stop.wait(_RECONNECT_SECONDS)

    def _is_caught_up(self, connection: Connection) -> bool:
        return self._ownership.is_caught_up(connection, self._assignment.wanted())

    def _load_next(self, connection: Connection) -> bool:
        """Consume once and load what came, partition by partition; False when nothing came."""
        messages = self._consumer.consume(self._options.batch_messages, self._options.batch_seconds)
        if not messages:
            return False
        self._options.on_step(Step.CONSUMED)
        by_partition: dict[Partition, list[Message]] = defaultdict(list)
        lost: set[Partition] = set()
        for message in messages:
            partition = (str(message.topic()), int(message.partition() or 0))
            error = message.error()
            if error is None:
                by_partition[partition].append(cast(Message, message))
            elif error.code() in _LOST_POSITION:
                lost.add(partition)
            else:
                _logger.warning("%s: %s", message.topic(), error.str())
        for partition, group in sorted(by_partition.items()):
            self._load_partition(connection, partition, group)
        for partition in lost:
            self._ownership.check_fetch_position(connection, partition)
        return bool(by_partition)

    def _load_partition(
        self, connection: Connection, partition: Partition, messages: list[Message]
    ) -> None:
        held = self._ownership.held(partition)
        if held is None:
            return  # given up while these messages were on their way
        claim = held.claim or self._ownership.claim_first(connection, held, held.next_offset)
        held.next_offset = max(held.next_offset, claim.next_offset)
        meter = self._meters[held.contract.stream]
        batch = judge(self._codecs[held.contract.topic], messages, held.next_offset, meter)
        if batch.hi < batch.lo:
            return
        high = max(held.high_watermark, fetched_watermark(self._consumer, *partition), batch.hi + 1)
        try:
            stored = load_batch(
                connection, held.contract, claim, batch, high, self._options.on_step
            )
        except FencedError:
            self._ownership.give_up(partition)
            return
        held.next_offset, held.high_watermark = batch.hi + 1, high
        self._assignment.loaded(*partition, held.next_offset)
        judged_bad = {each.message.offset() for each in batch.rejected}
        refused = {each.message.offset() for each in stored.rejected} - judged_bad
        if refused:
            meter.turn_bad(batch.hi - offset for offset in refused)
        self._count(held, stored)
        self._stop_if_bad(connection, held, stored, meter)

    def _stop_if_bad(
        self, connection: Connection, held: Held, stored: Batch, meter: BadMeter
    ) -> None:
        if stored.limit_reason:
            self._ownership.stop_stream(held.contract, progress.HALTED_LIMIT, stored.limit_reason)
        elif meter.tripped:
            self._ownership.halt(connection, held, progress.HALTED_LIMIT, meter.reason())
        else:
            return
        # A stream that an operator let go on would halt again at its first bad message.
        self._meters[held.contract.stream] = BadMeter(self._options.bad_limit)

    def _count(self, held: Held, stored: Batch) -> None:
        load = self._loads[held.contract.stream]
        load.rows += len(stored.lines)
        load.quarantined += len(stored.rejected)
        load.batches += 1
        self._on_progress(f"{sum(each.rows for each in self._loads.values()):,} events loaded")

    def _wait_for_database(self, error: Exception) -> None:
        """Wait for half a second without fetching; consuming keeps the group membership alive."""
        _logger.warning("the database is away, waiting: %s", " ".join(str(error).split()))
        self._ownership.forget()
        self._consumer.consume(1, _RECONNECT_SECONDS)


def _is_about_database(error: ServiceError) -> bool:
    return isinstance(error.__cause__, psycopg.Error)


def _consumer_settings(kafka: KafkaEndpoint, options: LoaderOptions) -> dict[str, object]:
    return {
        "bootstrap.servers": kafka.bootstrap_servers,
        "group.id": options.group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        # The default, latest, would turn a gap into silent loss.
        "auto.offset.reset": "error",
        # The defaults of a second and half a second show up as stalls and as latency.
        "fetch.queue.backoff.ms": 10,
        "fetch.wait.max.ms": 50,
        "queued.max.messages.kbytes": options.fetch_ahead_kib,
        # Until then a killed member keeps its partitions; the embedded broker does not notice
        # when one leaves in order either.
        "session.timeout.ms": 6_000 if kafka.embedded else 10_000,
        "heartbeat.interval.ms": 1_000,
        "log_level": 3,
    }
