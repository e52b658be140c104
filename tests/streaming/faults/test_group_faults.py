"""Members that come and go under load, and group offsets that say something wrong."""

import threading
from collections.abc import Callable
from functools import partial

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient

from insight.services import KafkaEndpoint
from streaming.loading.loader import load_streams
from streaming.loading.options import LoaderOptions


@pytest.fixture
def member(database, in_background, prices) -> Callable[..., object]:
    """A loader in the group, in a thread, for the length of a block."""

    def run(kafka: KafkaEndpoint, **options: object) -> object:
        # The embedded broker lets a first member wait for 3 seconds.
        session = 4.0 if kafka.embedded else 2.5
        given = {"group": f"group-{prices.topic}", "session_timeout_seconds": session, **options}

        def load(stop: threading.Event) -> object:
            return load_streams(
                database, kafka, [prices], stop=stop, options=LoaderOptions(**given)
            )

        return in_background(load)

    return run


def test_members_joining_and_leaving_under_load(
    kafka, prices, producing, member, eventually, loaded, all_arrived, chance
) -> None:
    """Up to six members for four partitions; one comes or goes as soon as rows went on."""
    members: list[object] = []

    def leave() -> None:
        members.pop(chance.randrange(len(members))).__exit__(None, None, None)

    with producing(kafka, prices, rate=400) as production:
        try:
            for count in (1, 6, 2, 5, 1) if not kafka.embedded else (1, 6, 2):
                while len(members) < count:
                    members.append(member(kafka))
                    members[-1].__enter__()
                while len(members) > count:
                    leave()
                before = loaded(prices)
                eventually(lambda before=before: loaded(prices) > before, 60)
        finally:
            while members:
                leave()
    all_arrived(kafka, prices, production.numbers)


def _commit_as_member(kafka: KafkaEndpoint, group: str, topic: str, offset: int) -> None:
    """Commit an offset in the loader's group; an embedded broker takes it from members only."""
    joined = threading.Event()
    consumer = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap_servers,
            "group.id": group,
            "session.timeout.ms": 4_000,
        }
    )
    consumer.subscribe([topic], on_assign=lambda *_: joined.set())
    while not joined.is_set():
        consumer.poll(0.1)
    offsets = [TopicPartition(topic, each, offset) for each in range(4)]
    consumer.commit(offsets=offsets, asynchronous=False)
    consumer.close()


def _move(admin: AdminClient, group: str, topic: str, offset: int) -> None:
    moved = [TopicPartition(topic, each, offset) for each in range(4)]
    request = ConsumerGroupTopicPartitions(group, moved)
    for future in admin.alter_consumer_group_offsets([request]).values():
        future.result(10)


def _delete(admin: AdminClient, group: str, topic: str) -> None:
    for future in admin.delete_consumer_groups([group]).values():
        future.result(10)


@pytest.mark.parametrize(
    "tamper",
    [
        partial(_move, offset=0),
        partial(_move, offset=10**9),
        _delete,
    ],
    ids=["first", "far_ahead", "deleted"],
)
def test_group_offsets_that_were_moved_or_deleted_do_not_matter(
    real_kafka, real_broker, prices, message, member, eventually, loaded, all_arrived, tamper
) -> None:
    real_broker.put(prices, [message(prices, number) for number in range(100)])
    with member(real_kafka):
        eventually(lambda: loaded(prices) == 100)
    admin = AdminClient({"bootstrap.servers": real_kafka.bootstrap_servers})
    tamper(admin, f"group-{prices.topic}", prices.topic)
    real_broker.put(prices, [message(prices, number) for number in range(100, 150)])
    with member(real_kafka):
        eventually(lambda: loaded(prices) >= 150)
    all_arrived(real_kafka, prices, range(150))


def test_offsets_committed_by_another_member_do_not_matter(
    configured_kafka, configured_broker, prices, message, member, eventually, loaded, all_arrived
) -> None:
    configured_broker.put(prices, [message(prices, number) for number in range(100)])
    _commit_as_member(configured_kafka, f"group-{prices.topic}", prices.topic, 60)
    with member(configured_kafka):
        eventually(lambda: loaded(prices) == 100, 60)
        configured_broker.put(prices, [message(prices, number) for number in range(100, 150)])
        eventually(lambda: loaded(prices) >= 150)
    all_arrived(configured_kafka, prices, range(150))
