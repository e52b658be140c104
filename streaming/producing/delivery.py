"""One producer for all streams: every event is delivered, or on disk when we have to end."""

import logging
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from insight.errors import ServiceError
from insight.services import KafkaEndpoint
from streaming.contract import Contract
from streaming.messages.codec import VERSION_HEADER
from streaming.producing.spill import SpillFile
from streaming.sources import Event
from streaming.sources.interface import Headers

_logger = logging.getLogger(__name__)

_RETRY_SECONDS = 0.5

# Reports are taken in between, so that they do not pile up behind a large poll.
_POLL_EVERY = 1000

Offsets = dict[int, int]


class Undelivered(Exception):  # noqa: N818 (an outcome, asked for by the stop event)
    """We had to end before Kafka took the events; they are in the spill file."""


class EventProducer:
    """Produces the events of one contract.

    `message_bytes` is the mean size of what was delivered, as far as known. `grace_seconds` is
    how long Kafka may still answer after a stop. After `attempts` in vain, each of
    `attempt_seconds`, events are spilled and ServiceError is raised; None is never.
    """

    def __init__(
        self,
        kafka: KafkaEndpoint,
        contract: Contract,
        spill_dir: Path,
        grace_seconds: float = 5.0,
        attempts: int | None = None,
        attempt_seconds: float = 30.0,
    ):
        self._settings = {
            "bootstrap.servers": kafka.bootstrap_servers,
            "enable.idempotence": True,
            "acks": "all",
            # A flush does not wait for it, so large batches cost no time. The embedded broker
            # hands out one batch a partition at a time, and keeps 100,000 of them.
            "linger.ms": 50,
            "compression.type": "lz4",
            "delivery.timeout.ms": int(attempt_seconds * 1000),
            "log_level": 3,
        }
        self._producer = Producer(self._settings)
        self._contract = contract
        self._grace_seconds = grace_seconds
        self._attempts = attempts
        self._where = kafka.bootstrap_servers
        self._headers: Headers = [(VERSION_HEADER, contract.version.encode())]
        self._spill = SpillFile(spill_dir, contract.stream)
        self.spilled = 0
        self._messages = self._bytes = 0

    @property
    def message_bytes(self) -> float:
        return self._bytes / self._messages if self._messages else 1024.0

    def send_spilled(self, stop: threading.Event) -> Offsets:
        """Deliver what an earlier producer had to leave on disk."""
        events = self._spill.read()
        if not events:
            return {}
        offsets = self._deliver(events, stop, keep=False)
        self._spill.clear()
        _logger.info("delivered %d spilled events of %s", len(events), self._contract.stream)
        return offsets

    def send(self, events: Sequence[Event], stop: threading.Event) -> Offsets:
        """Deliver all events; returns the newest offset of each partition.

        Tries until Kafka has taken each of them. Raises Undelivered when `stop` is set before
        that, and ServiceError when there are no attempts left; the rest is then in the spill file.
        """
        return self._deliver(events, stop, keep=True)

    def _deliver(self, events: Sequence[Event], stop: threading.Event, *, keep: bool) -> Offsets:
        offsets: Offsets = {}
        waiting = list(events)
        in_vain = 0
        while waiting:
            before = len(waiting)
            waiting = self._attempt(waiting, offsets, stop)
            in_vain = in_vain + 1 if len(waiting) == before else 0
            gives_up = in_vain == self._attempts
            if waiting and (gives_up or stop.wait(_RETRY_SECONDS)):
                if keep:
                    self._spill.add(waiting)
                    self.spilled += len(waiting)
                raise (
                    self._gone()
                    if gives_up
                    else Undelivered(f"{len(waiting)} events of {self._contract.stream}")
                )
        return offsets

    def _gone(self) -> ServiceError:
        return ServiceError(
            f"Kafka takes no events of {self._contract.stream}; they are kept on disk",
            where=self._where,
            next_step="Check that it runs, then start the same command again",
        )

    def _attempt(
        self, events: Sequence[Event], offsets: Offsets, stop: threading.Event
    ) -> list[Event]:
        """Produce once and wait for every report; returns the events that were not delivered."""
        reports = _Reports(offsets)
        taken = self._enqueue(events, reports)
        self._wait_for_reports(stop)
        if reports.fatal:
            # An idempotent producer that lost its place refuses everything from then on.
            self._producer = Producer(self._settings)
        self._count(events, taken - len(reports.failed))
        return [*reports.failed, *events[taken:]]

    def _enqueue(self, events: Sequence[Event], reports: "_Reports") -> int:
        """Hand events to the client until one is refused; returns how many it took."""
        produce, topic, usual = self._producer.produce, self._contract.topic, self._headers
        on_report = reports.add
        for number, event in enumerate(events):
            key, value, headers = event
            while True:
                try:
                    if headers is None and value:
                        produce(topic, value, key, headers=usual, on_delivery=on_report)
                    else:
                        report = partial(reports.add_unusual, event)
                        own = usual if headers is None else headers
                        produce(topic, value, key, headers=own, on_delivery=report)
                except BufferError:
                    self._producer.poll(0.1)
                except KafkaException as error:
                    if not error.args[0].fatal():
                        raise
                    reports.fatal = True
                    return number
                else:
                    break
            if number % _POLL_EVERY == 0:
                self._producer.poll(0)
        return len(events)

    def _count(self, events: Sequence[Event], delivered: int) -> None:
        if delivered == len(events):
            self._messages += delivered
            self._bytes += sum(len(event.value or b"") + len(event.key) for event in events)

    def _wait_for_reports(self, stop: threading.Event) -> None:
        """Every message gets its report: delivered, timed out, or dropped because we must end."""
        stopped_at: float | None = None
        while self._producer.flush(0.2):
            if not stop.is_set():
                continue
            stopped_at = stopped_at or time.monotonic()
            if time.monotonic() - stopped_at > self._grace_seconds:
                self._producer.purge()


class _Reports:
    """What Kafka says about the messages of one attempt; each message gets one report."""

    def __init__(self, offsets: Offsets):
        self._offsets = offsets
        self.failed: list[Event] = []
        self.fatal = False

    def add(self, error: KafkaError | None, message: Message) -> None:
        # Called for every event: what is done here is done ten thousand times a second.
        if error is not None:
            self._fail(error, Event(_text(message.key()), _bytes(message.value())))
            return
        partition, offset = message.partition(), message.offset()
        assert partition is not None
        assert offset is not None
        if offset > self._offsets.get(partition, -1):
            self._offsets[partition] = offset

    def add_unusual(self, event: Event, error: KafkaError | None, message: Message) -> None:
        """The report of an event that its message does not give back: headers are not in it."""
        if error is None:
            self.add(None, message)
        else:
            self._fail(error, event)

    def _fail(self, error: KafkaError, event: Event) -> None:
        self.fatal = self.fatal or error.fatal()
        self.failed.append(event)


def _text(key: str | bytes | None) -> str:
    return key.decode() if isinstance(key, bytes) else key or ""


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
