"""Which partitions this loader should read: all of them, or its share of a consumer group."""

from collections.abc import Mapping
from typing import Protocol

from confluent_kafka import Consumer, KafkaException, TopicPartition

Partition = tuple[str, int]


class Assignment(Protocol):
    """Tells the wanted partitions; whether they may be loaded is decided in the database."""

    changed: bool

    def follow(self, partitions: Mapping[str, int]) -> None:
        """Read these topics from now on; the number of partitions of each."""
        ...

    def wanted(self) -> set[Partition]: ...

    def loaded(self, topic: str, partition: int, next_offset: int) -> None: ...


class DirectAssignment:
    """Every partition, without joining a group: starts at once, for runs that end by themselves."""

    def __init__(self) -> None:
        self.changed = False
        self._wanted: set[Partition] = set()

    def follow(self, partitions: Mapping[str, int]) -> None:
        self.changed = True
        self._wanted = {
            (topic, each) for topic, count in partitions.items() for each in range(count)
        }

    def wanted(self) -> set[Partition]:
        return set(self._wanted)

    def loaded(self, topic: str, partition: int, next_offset: int) -> None:
        """Nothing to tell Kafka."""


class GroupAssignment:
    """This member's share of a consumer group; the shares move as members come and go."""

    def __init__(self, consumer: Consumer):
        self.changed = False
        self._consumer = consumer
        self._topics: set[str] = set()
        self._wanted: set[Partition] = set()

    def follow(self, partitions: Mapping[str, int]) -> None:
        if self._topics == partitions.keys():
            return
        self._topics = set(partitions)
        self._consumer.subscribe(
            sorted(self._topics), on_assign=self._on_assign, on_revoke=self._on_revoke
        )

    def wanted(self) -> set[Partition]:
        return set(self._wanted)

    def loaded(self, topic: str, partition: int, next_offset: int) -> None:
        """Commit to Kafka too, for tools that show lag; it is never read back."""
        try:
            self._consumer.commit(
                offsets=[TopicPartition(topic, partition, next_offset)], asynchronous=True
            )
        except KafkaException:
            # A group in the middle of a rebalance refuses; the next batch commits again.
            return

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        # Without this the client would start at the group's committed offsets by itself.
        consumer.assign([])
        self._wanted = {(each.topic, each.partition) for each in partitions}
        self.changed = True

    def _on_revoke(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._wanted -= {(each.topic, each.partition) for each in partitions}
        self.changed = True
