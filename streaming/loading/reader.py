"""Reads a round of messages and judges them, partition by partition."""

import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from confluent_kafka import Consumer, KafkaError
from confluent_kafka import Message as KafkaMessage

from streaming.contract import Contract
from streaming.loading.assignment import Partition
from streaming.loading.batch import Batch, Message
from streaming.loading.batch_size import BatchSize
from streaming.loading.judge import Judge
from streaming.loading.load_batch import Step
from streaming.loading.options import LoaderOptions
from streaming.loading.ownership import Held, Ownership
from streaming.messages.codec import FUTURE_VERSION
from streaming.metrics import Phase

_logger = logging.getLogger(__name__)

# Our next offset is not there, or the whole topic is not: deleted, and perhaps made anew.
_LOST_POSITION = {
    KafkaError._AUTO_OFFSET_RESET,
    KafkaError.OFFSET_OUT_OF_RANGE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
}


@dataclass
class Read:
    """One round: what is to be written, whose position Kafka lost, which streams went bad."""

    batches: list[tuple[Held, Batch]] = field(default_factory=list)
    lost: set[Partition] = field(default_factory=set)
    tripped: set[str] = field(default_factory=set)

    @property
    def has_newer_version(self) -> bool:
        """Whether a message was written under a contract that we may not have read yet."""
        return any(
            each.verdict.code == FUTURE_VERSION
            for _, batch in self.batches
            for each in batch.rejected
        )


class Reader:
    """Consumes what `ownership` holds; one judge a stream keeps count of bad messages."""

    def __init__(self, consumer: Consumer, ownership: Ownership, options: LoaderOptions):
        self._consumer = consumer
        self._ownership = ownership
        self._options = options
        self._judges: dict[str, Judge] = {}
        self._batch_size = BatchSize(options.batch_messages, options.batch_bytes)

    def use(self, contracts: Sequence[Contract]) -> None:
        """Judge by these contracts from now on; the counts of unchanged ones go on."""
        known = self._judges
        self._judges = {
            each.stream: known[each.stream]
            if each.stream in known and known[each.stream].contract == each
            else Judge(each, self._options.bad_limit)
            for each in contracts
        }

    def judge_of(self, contract: Contract) -> Judge:
        return self._judges[contract.stream]

    def read(self) -> Read:
        """Consume once and judge what came."""
        read = Read()
        messages = self._consume()
        if not messages:
            return read
        self._options.on_step(Step.CONSUMED)
        with self._options.meter.phase(Phase.decode):
            for partition, group in sorted(_by_partition(messages, read.lost).items()):
                self._judge(partition, group, read)
        return read

    def _consume(self) -> list[KafkaMessage]:
        wanted = self._batch_size.messages
        started = time.perf_counter()
        messages = self._consumer.consume(wanted, self._options.batch_seconds)
        # A round that is not full waited for messages that nobody had produced yet.
        phase = Phase.consume if len(messages) == wanted else Phase.idle
        self._options.meter.add_seconds(phase, time.perf_counter() - started)
        return list(messages)

    def _judge(self, partition: Partition, messages: list[Message], read: Read) -> None:
        held = self._ownership.held(partition)
        if held is None or held.contract.stream in read.tripped:
            return  # given up while these messages were on their way, or about to be halted
        batch = self._judges[held.contract.stream].batch(messages, held.read_offset)
        if batch.is_empty:
            return
        self._batch_size.learn(messages)
        held.read_offset = batch.hi + 1
        if batch.limit_reason:
            read.tripped.add(held.contract.stream)
        read.batches.append((held, batch))


def _by_partition(
    messages: Sequence[KafkaMessage], lost: set[Partition]
) -> dict[Partition, list[Message]]:
    """The messages of each partition, in their order; adds the partitions to `lost`."""
    groups: dict[Partition, list[Message]] = defaultdict(list)
    for message in messages:
        error = message.error()
        partition = (message.topic(), message.partition())
        if error is None:
            groups[partition].append(message)  # type: ignore[index,arg-type]
        elif error.code() in _LOST_POSITION:
            lost.add(partition)  # type: ignore[arg-type]
        else:
            _logger.warning("%s: %s", message.topic(), error.str())
    return groups
