"""What is measured in a whole run, and what of it was asked for."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.streams.contenders import Contender, Ours, Plain
from benchmarks.streams.messages import Topic
from benchmarks.streams.peers.debezium import Debezium
from benchmarks.streams.peers.quix import Quix

_BATCH = 20_000
_REFERENCE = 4
# A second process takes part after a second or two; with less there is nothing left by then.
_SCALING_MESSAGES = 500_000
CONTENDERS = ("ours", "loop", "copy", "executemany", "quix", "quix-lean", "debezium")
PARTS = (*CONTENDERS, "scaling", "latency", "memory")


@dataclass(frozen=True)
class Options:
    """How much is measured. `only` names parts; slow peers get `peer_messages`."""

    messages: int = 1_000_000
    peer_messages: int = 200_000
    memory_messages: int = 5_000_000
    rounds: int = 3
    rate: int = 10_000
    latency_seconds: int = 30
    only: Sequence[str] = field(default=PARTS)

    def __post_init__(self) -> None:
        """Raises ValueError for an unknown part or too few messages to measure between."""
        if unknown := set(self.only) - set(PARTS):
            raise ValueError(f"{', '.join(sorted(unknown))}: choose from {', '.join(PARTS)}")
        if min(self.messages, self.peer_messages) < 5 * _BATCH:
            raise ValueError(f"at least {5 * _BATCH:,} messages are needed")
        if self.wants("scaling") and self.messages < _SCALING_MESSAGES:
            raise ValueError(f"scaling needs at least {_SCALING_MESSAGES:,} messages")

    @property
    def is_whole(self) -> bool:
        return self == Options()

    def wants(self, part: str) -> bool:
        return part in self.only


def contenders(options: Options) -> list[Contender]:
    """In the order of one round: first those that are compared with each other."""
    return [*_compared(options), *(_scaling(options) if options.wants("scaling") else ())]


def _compared(options: Options) -> list[Contender]:
    topic, messages = _topic(options, _REFERENCE), options.messages
    # A consumer that waits for more than the topic holds would wait for ever.
    fewer = min(options.peer_messages, messages)
    with_schema = Topic("sales-with-schema", _REFERENCE, 2 * fewer, with_schema=True)
    return [
        each
        for each in (
            Ours("ours", "the loader", topic, messages),
            Plain("loop", "bare loop", topic, messages, module="loop"),
            Plain("copy", "bare COPY", topic, messages, module="copy"),
            Plain("executemany", "plain `executemany`", topic, fewer, module="executemany"),
            Quix("quix", "Quix Streams PostgreSQL sink", topic, fewer),
            Quix("quix-lean", "the same without metadata columns", topic, fewer,
                 include_metadata=False),
            Debezium("debezium", "Debezium JDBC sink, warm", with_schema, 2 * fewer,
                     warm_rows=fewer),
        )
        if options.wants(each.name)
    ]  # fmt: skip


def _scaling(options: Options) -> list[Contender]:
    """The loader on fewer partitions and in two processes; the loop beside it."""
    found: list[Contender] = []
    for partitions in (1, 2, 4):
        topic = _topic(options, partitions)
        for processes in (1, 2):
            if (partitions, processes) != (_REFERENCE, 1):
                name = f"ours, {partitions} x {processes}"
                messages = options.messages * processes
                found.append(Ours(name, "the loader", topic, messages, processes))
        if partitions != _REFERENCE:
            found.append(
                Plain(f"loop, {partitions}", "bare loop", topic, options.messages, module="loop")
            )
    return found


def _topic(options: Options, partitions: int) -> Topic:
    """Twice the messages when two processes take part: one begins alone, before they share."""
    messages = options.messages * (2 if options.wants("scaling") else 1)
    return Topic(f"sales-{partitions}", partitions, messages)


def memory(options: Options) -> Ours:
    """A longer run of the loader, to see whether its memory stays."""
    topic = Topic("sales-long", _REFERENCE, options.memory_messages)
    return Ours("memory", "the loader, longer", topic, options.memory_messages)


def latency_topic() -> Topic:
    """Empty: it is filled while the loader runs."""
    return Topic("sales-paced", _REFERENCE, 0)
