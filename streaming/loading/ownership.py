"""The partitions that this loader holds: claimed in the database, fetched from where it says."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from confluent_kafka import Consumer, TopicPartition

from insight.database import Connection
from insight.services import KafkaEndpoint
from streaming import progress
from streaming.contract import Contract
from streaming.loading.assignment import Partition
from streaming.progress import Claim, PartitionKey
from streaming.topics import topic_ids, watermarks

_logger = logging.getLogger(__name__)

# How long the progress of a partition that somebody else took must stand still before we take it.
STANDBY_SECONDS = 2.0
_LOOK_AGAIN_SECONDS = 0.5
_HALTED_LOOK_AGAIN_SECONDS = 5.0


@dataclass
class Held:
    """A partition we fetch; `claim` is None until its first message, when it has no row yet.

    `next_offset` is the next one to be written, `read_offset` the next one to be judged.
    """

    contract: Contract
    key: PartitionKey
    claim: Claim | None
    next_offset: int
    read_offset: int
    high_watermark: int

    @property
    def partition(self) -> Partition:
        return self.key.topic, self.key.partition


@dataclass
class _Standby:
    """A partition that another owner loads, or a halted one: looked at again at `look_at`."""

    next_offset: int
    moved_at: float
    look_at: float


class Ownership:
    """Claims wanted partitions and gives them up when somebody else claims them."""

    def __init__(
        self,
        consumer: Consumer,
        kafka: KafkaEndpoint,
        owner: str,
        stall_seconds: float,
    ):
        self.halted: dict[str, tuple[str, str]] = {}
        self._consumer = consumer
        self._kafka = kafka
        self._contracts: dict[str, Contract] = {}
        self._topic_ids: dict[str, str] = {}
        self._owner = owner
        self._stall_seconds = stall_seconds
        self._held: dict[Partition, Held] = {}
        self._standby: dict[Partition, _Standby] = {}

    def use(self, contracts: Sequence[Contract]) -> None:
        """Hold partitions of these contracts' topics from now on; those held are taken anew."""
        self.forget()
        self._contracts = {each.topic: each for each in contracts}
        self._topic_ids = topic_ids(self._kafka, list(self._contracts))

    def held(self, partition: Partition) -> Held | None:
        return self._held.get(partition)

    def all_held(self) -> list[Held]:
        return list(self._held.values())

    def forget(self) -> None:
        """Hold nothing and fetch nothing, for instance while the database is away."""
        self._held.clear()
        self._standby.clear()
        self._consumer.assign([])

    def follow(self, connection: Connection, wanted: set[Partition], *, changed: bool) -> None:
        """Hold what is wanted: claim what is new, drop what is not wanted any more."""
        due = {each for each in wanted - self._held.keys() if self._is_due(connection, each)}
        dropped = self._held.keys() - wanted
        if not (changed or due or dropped):
            return
        for each in dropped:
            del self._held[each]
        self._halted_again(connection)
        for each in sorted(due):
            self._take(connection, each)
        self._fetch()

    def give_up(self, held: Held) -> None:
        """Another owner has it: stand by until its progress stops moving."""
        if self._held.get(held.partition) is not held:
            return
        del self._held[held.partition]
        now = time.monotonic()
        _logger.info("%s was taken over by another loader", held.key)
        self._standby[held.partition] = _Standby(held.next_offset, now, now + _LOOK_AGAIN_SECONDS)
        self._fetch()

    def claim_first(self, connection: Connection, held: Held, low: int) -> None:
        """Claim a partition whose first message, at offset `low`, just came.

        Where another loader was quicker, it is fetched from where that one is.
        """
        held.claim = progress.claim(
            connection,
            held.contract.stream,
            held.key,
            self._owner,
            low,
            held.high_watermark,
            self._topic_ids.get(held.key.topic),
        )
        held.next_offset = held.claim.next_offset
        if held.next_offset != low:
            held.read_offset = held.next_offset
            self._fetch()

    def halt(self, connection: Connection, held: Held, state: str, reason: str) -> None:
        """Stop the whole stream of a partition, and say so in its row."""
        if held.claim is None:
            self.claim_first(connection, held, held.next_offset)
        progress.halt(connection, held.key, state, reason)
        self.stop_stream(held.contract, state, reason)

    def stop_stream(self, contract: Contract, state: str, reason: str) -> None:
        """Fetch no partition of a stream whose state in the database is a halt."""
        _logger.error("stream %s is halted (%s): %s", contract.stream, state, reason)
        self.halted[contract.stream] = (state, reason)
        look_at = time.monotonic() + _HALTED_LOOK_AGAIN_SECONDS
        for partition in [each for each in self._held if each[0] == contract.topic]:
            held = self._held.pop(partition)
            self._standby[partition] = _Standby(held.next_offset, 0.0, look_at)
        self._fetch()

    def is_caught_up(self, connection: Connection, wanted: set[Partition]) -> bool:
        """True when every message that is in Kafka now was loaded, by us or by somebody else."""
        return all(self._has_all(connection, each) for each in wanted)

    def check_fetch_position(self, connection: Connection, partition: Partition) -> None:
        """Called when Kafka has no message at our next offset: halt, never skip."""
        held = self._held.get(partition)
        if held is None:
            return
        self._topic_ids |= topic_ids(self._kafka, [partition[0]])
        low, high = watermarks(self._consumer, *partition)
        complaint = self._topic_complaint(connection, held.key) or _position_complaint(
            held.read_offset, low, high
        )
        if complaint:
            self.halt(connection, held, *complaint)
        else:
            self._fetch()

    def _has_all(self, connection: Connection, partition: Partition) -> bool:
        contract = self._contracts[partition[0]]
        if contract.stream in self.halted:
            return True
        held = self._held.get(partition)
        if held is not None and held.next_offset < held.high_watermark:
            return False
        _, high = watermarks(self._consumer, *partition)
        if held is not None:
            held.high_watermark = high
            return held.next_offset >= high
        return self._progress(connection, partition) >= high

    def _progress(self, connection: Connection, partition: Partition) -> int:
        topic, number = partition
        offsets = progress.next_offsets(connection, self._kafka.cluster_id, topic)
        return offsets.get(number, 0)

    def _is_due(self, connection: Connection, partition: Partition) -> bool:
        standby = self._standby.get(partition)
        if standby is None:
            return True
        now = time.monotonic()
        if now < standby.look_at:
            return False
        standby.look_at = now + _LOOK_AGAIN_SECONDS
        next_offset = self._progress(connection, partition)
        if next_offset != standby.next_offset:
            standby.next_offset, standby.moved_at = next_offset, now
        return now - standby.moved_at >= STANDBY_SECONDS

    def _halted_again(self, connection: Connection) -> None:
        """Read anew which streams are halted: an operator may have let one go on."""
        self.halted.clear()
        for contract in self._contracts.values():
            verdict = progress.halted(connection, contract.stream, self._kafka.cluster_id)
            if verdict:
                self.halted[contract.stream] = verdict

    def _take(self, connection: Connection, partition: Partition) -> None:
        topic, number = partition
        contract = self._contracts[topic]
        if contract.stream in self.halted:
            look_at = time.monotonic() + _HALTED_LOOK_AGAIN_SECONDS
            self._standby[partition] = _Standby(0, 0.0, look_at)
            return
        identity = PartitionKey(self._kafka.cluster_id, topic, number)
        made_anew = self._topic_complaint(connection, identity)
        if made_anew:
            progress.halt(connection, identity, *made_anew)
            self.stop_stream(contract, *made_anew)
            return
        low, high = watermarks(self._consumer, topic, number)
        known = progress.next_offsets(connection, self._kafka.cluster_id, topic)
        held = Held(contract, identity, None, low, low, high)
        if number in known or high > low:
            progress.end_stalled_owner(connection, identity, self._stall_seconds)
            held.claim = progress.claim(
                connection,
                contract.stream,
                identity,
                self._owner,
                low,
                high,
                self._topic_ids.get(topic),
            )
            held.next_offset = held.read_offset = held.claim.next_offset
        self._held[partition] = held
        self._standby.pop(partition, None)
        complaint = _position_complaint(held.next_offset, low, high)
        if complaint:
            self.halt(connection, held, *complaint)

    def _topic_complaint(
        self, connection: Connection, partition: PartitionKey
    ) -> tuple[str, str] | None:
        """Offsets alone do not show a new topic that already has more messages than the old."""
        known = progress.known_topic_id(connection, partition)
        present = self._topic_ids.get(partition.topic)
        if known is None or present is None or known == present:
            return None
        reason = f"topic {partition.topic} was deleted and made anew"
        return progress.HALTED_RECREATED, reason

    def _fetch(self) -> None:
        """Fetch exactly what is held, from where it was read; drops what was fetched ahead."""
        self._consumer.assign(
            [
                TopicPartition(topic, number, held.read_offset)
                for (topic, number), held in self._held.items()
            ]
        )


def _position_complaint(next_offset: int, low: int, high: int) -> tuple[str, str] | None:
    if next_offset < low:
        reason = (
            f"offsets {next_offset:,} to {low - 1:,} were deleted by Kafka before they were loaded"
        )
        return progress.HALTED_GAP, reason
    if next_offset > high:
        reason = f"the topic ends at offset {high:,}, before the next one to load, {next_offset:,}"
        return progress.HALTED_RECREATED, reason
    return None
