"""One producer for all streams: every event is delivered, or on disk when we have to end."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from insight.errors import ServiceError
from insight.services import KafkaEndpoint
from streaming.codec import VERSION_HEADER
from streaming.contract import Contract
from streaming.producing.spill import SpillFile
from streaming.sources import Event

_logger = logging.getLogger(__name__)

_RETRY_SECONDS = 0.5

Offsets = dict[int, int]
OnReport = Callable[[KafkaError | None, Message], None]


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
            "linger.ms": 2,
            "compression.type": "lz4",
            "delivery.timeout.ms": int(attempt_seconds * 1000),
            "log_level": 3,
        }
        self._producer = Producer(self._settings)
        self._contract = contract
        self._grace_seconds = grace_seconds
        self._attempts = attempts
        self._where = kafka.bootstrap_servers
        self._headers: list[tuple[str, str | bytes | None]] = [
            (VERSION_HEADER, contract.version.encode())
        ]
        self._spill = SpillFile(spill_dir, contract.stream)
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
        failed: dict[int, Event] = dict(enumerate(events))
        fatal = False

        def report_of(number: int) -> OnReport:
            def on_report(error: KafkaError | None, message: Message) -> None:
                nonlocal fatal
                if error is not None:
                    fatal = fatal or error.fatal()
                    return
                event = failed.pop(number)
                partition, offset = int(message.partition() or 0), int(message.offset() or 0)
                offsets[partition] = max(offset, offsets.get(partition, -1))
                self._messages += 1
                self._bytes += len(event.value) + len(event.key)

            return on_report

        try:
            for number, event in enumerate(events):
                self._enqueue(event, report_of(number))
        except KafkaException as error:
            if not error.args[0].fatal():
                raise
            fatal = True
        self._wait_for_reports(stop)
        if fatal:
            # An idempotent producer that lost its place refuses everything from then on.
            self._producer = Producer(self._settings)
        return list(failed.values())

    def _enqueue(self, event: Event, on_report: OnReport) -> None:
        while True:
            try:
                self._producer.produce(
                    self._contract.topic,
                    value=event.value,
                    key=event.key.encode(),
                    headers=self._headers,
                    on_delivery=on_report,
                )
            except BufferError:
                self._producer.poll(0.1)
            else:
                return

    def _wait_for_reports(self, stop: threading.Event) -> None:
        """Every message gets its report: delivered, timed out, or dropped because we must end."""
        stopped_at: float | None = None
        while self._producer.flush(0.2):
            if not stop.is_set():
                continue
            stopped_at = stopped_at or time.monotonic()
            if time.monotonic() - stopped_at > self._grace_seconds:
                self._producer.purge()
