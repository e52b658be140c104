"""Producers: nothing delivered twice under another id, nothing lost."""

import json
import threading
import time

import pytest
from confluent_kafka import Consumer, TopicPartition

from insight.database import DatabaseEndpoint, connect
from insight.errors import ServiceError
from insight.services import KafkaEndpoint
from streaming import progress
from streaming.contract import Contract
from streaming.loading.loader import load_streams
from streaming.producing.cursor import (
    CursorKey,
    DatabaseSession,
    SavedCursor,
    load_cursor,
    prune_cursors,
    save_cursor,
)
from streaming.producing.delivery import EventProducer, Undelivered
from streaming.producing.loop import Schedule, produce
from streaming.producing.pace import LoaderPace
from streaming.producing.spill import SpillFile
from streaming.progress import PartitionKey
from streaming.sources import (
    Cursor,
    Event,
    Poll,
    SourcePaused,
    SourceStopped,
    TransientFailure,
)
from streaming.topics import ensure_topics


def _events(count: int) -> list[Event]:
    return [Event(f"key-{number}", json.dumps({"n": number}).encode()) for number in range(count)]


def _topic_values(kafka: KafkaEndpoint, contract: Contract) -> list[bytes]:
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": "look"})
    ends = {}
    for partition in range(4):
        _, ends[partition] = consumer.get_watermark_offsets(
            TopicPartition(contract.topic, partition), timeout=10
        )
    consumer.assign([TopicPartition(contract.topic, each, 0) for each in ends])
    values: list[bytes] = []
    while len(values) < sum(ends.values()):
        values += [each.value() for each in consumer.consume(1000, 0.1)]
    consumer.close()
    return values


def test_every_event_is_delivered_and_its_offset_told(kafka, prices, tmp_path) -> None:
    ensure_topics(kafka, [prices])
    producer = EventProducer(kafka, prices, tmp_path)
    offsets = producer.send(_events(500), threading.Event())
    assert sum(each + 1 for each in offsets.values()) == 500
    assert sorted(_topic_values(kafka, prices)) == sorted(each.value for each in _events(500))


def test_undelivered_events_are_spilled_and_sent_at_the_next_start(kafka, prices, tmp_path) -> None:
    nowhere = KafkaEndpoint("127.0.0.1:9", "gone", embedded=False)
    stop = threading.Event()
    stop.set()
    with pytest.raises(Undelivered):
        EventProducer(nowhere, prices, tmp_path, grace_seconds=0.3).send(_events(20), stop)
    spill = SpillFile(tmp_path, prices.stream)
    with open(spill.path, "a") as stream:
        stream.write('{"key": "cut off by a cra')
    assert spill.read() == _events(20)
    ensure_topics(kafka, [prices])
    EventProducer(kafka, prices, tmp_path).send_spilled(threading.Event())
    assert sorted(_topic_values(kafka, prices)) == sorted(each.value for each in _events(20))
    assert spill.read() == []


class _Numbers:
    """A source that tells two events a poll until it has told `total`."""

    name = "numbers"

    def __init__(self, total: int, failures: list[Exception] | None = None):
        self._total = total
        self._failures = failures or []
        self.cursors: list[Cursor | None] = []

    def poll(self, cursor: Cursor | None) -> Poll:
        self.cursors.append(cursor)
        if self._failures:
            raise self._failures.pop(0)
        first = cursor["next"] if cursor else 0
        last = min(first + 2, self._total)
        return Poll(_events(self._total)[first:last], {"next": last})


BOUNDED = Schedule(0.0, unchanged_polls=2, failed_polls=3)


def _produce(database, kafka, contract, source, tmp_path, stop=None):
    ensure_topics(kafka, [contract])
    return produce(
        database,
        kafka,
        contract,
        source,
        BOUNDED,
        spill_dir=tmp_path,
        stop=stop or threading.Event(),
    )


def test_producer_goes_on_at_its_cursor(tables, kafka, prices, tmp_path) -> None:
    first = _produce(tables, kafka, prices, _Numbers(9), tmp_path)
    assert (first.delivered, first.state, first.unchanged_polls) == (9, "finished", 2)
    again = _Numbers(12)
    assert _produce(tables, kafka, prices, again, tmp_path).delivered == 3
    assert again.cursors[0] == {"next": 9}
    assert len(_topic_values(kafka, prices)) == 12


def test_failed_poll_does_not_move_the_cursor(tables, configured_kafka, prices, tmp_path) -> None:
    source = _Numbers(4, [TransientFailure("one"), TransientFailure("two")])
    report = _produce(tables, configured_kafka, prices, source, tmp_path)
    assert (report.delivered, report.failed_polls, report.state) == (4, 2, "finished")
    assert source.cursors[:3] == [None, None, None]


def test_source_that_stays_away_ends_a_bounded_run(
    tables, configured_kafka, prices, tmp_path, ask
) -> None:
    source = _Numbers(4, [TransientFailure("no answer")] * 9)
    assert _produce(tables, configured_kafka, prices, source, tmp_path).state == "unreachable"
    assert ask("select state, state_reason from streaming.producer_status") == [
        ("unreachable", "no answer")
    ]


def test_stopped_source_names_its_state(tables, configured_kafka, prices, tmp_path, ask) -> None:
    source = _Numbers(4, [SourceStopped("stopped_unauthorized", "status 401")])
    assert (
        _produce(tables, configured_kafka, prices, source, tmp_path).state == "stopped_unauthorized"
    )
    assert ask("select producer_state from streaming.stream_status where stream like 'bit%%'") == [
        ("stopped_unauthorized",)
    ]


def _key(cluster: str) -> CursorKey:
    return CursorKey("bitcoin-prices", "source", cluster, "topic")


def _load_to(connection, cluster: str, partition: int, next_offset: int) -> None:
    identity = PartitionKey(cluster, "topic", partition)
    progress.claim(connection, "bitcoin-prices", identity, "owner", 0, 0)
    connection.execute(
        "update streaming.stream_progress set next_offset = %s where cluster_id = %s"
        " and partition = %s",
        (next_offset, cluster, partition),
    )


def test_same_cluster_goes_on_at_the_newest_cursor(tables: DatabaseEndpoint) -> None:
    with connect(tables) as connection:
        assert load_cursor(connection, _key("one")) is None
        for number in range(3):
            save_cursor(connection, _key("one"), SavedCursor({"n": number}, {0: number, 2: 7}))
        assert load_cursor(connection, _key("one")) == SavedCursor({"n": 2}, {0: 2, 2: 7})


def test_new_cluster_goes_back_to_what_was_loaded(tables: DatabaseEndpoint) -> None:
    with connect(tables) as connection:
        for number in range(5):
            saved = SavedCursor({"n": number}, {0: number, 1: number * 10})
            save_cursor(connection, _key("one"), saved)
        assert load_cursor(connection, _key("two")) is None
        _load_to(connection, "one", 0, 5)
        assert load_cursor(connection, _key("two")) is None
        _load_to(connection, "one", 1, 21)
        assert load_cursor(connection, _key("two")) == SavedCursor({"n": 2}, {})
        save_cursor(connection, _key("two"), SavedCursor({"n": 9}, {0: 0}))
        assert load_cursor(connection, _key("three")) == SavedCursor({"n": 2}, {})


def test_pruning_keeps_every_cursor_that_a_start_can_need(tables: DatabaseEndpoint) -> None:
    with connect(tables) as connection:
        for number in range(6):
            save_cursor(connection, _key("one"), SavedCursor({"n": number}, {0: number}))
        assert prune_cursors(connection, _key("one")) == 0
        _load_to(connection, "one", 0, 4)
        assert prune_cursors(connection, _key("one")) == 3
        assert load_cursor(connection, _key("two")) == SavedCursor({"n": 3}, {})
        assert load_cursor(connection, _key("one")) == SavedCursor({"n": 5}, {0: 5})


def test_messages_that_died_with_a_cluster_are_produced_again(
    tables, kafka, contracts, prices, tmp_path, ask, books_balance, broker, message
) -> None:
    class _Prices(_Numbers):
        def poll(self, cursor: Cursor | None) -> Poll:
            poll = super().poll(cursor)
            start = poll.cursor["next"] - len(poll.events)
            made = [Event("k", message(prices, start + n)) for n in range(len(poll.events))]
            return Poll(made, poll.cursor)

    _produce(tables, kafka, prices, _Prices(20), tmp_path)
    load_streams(tables, kafka, [prices], until_caught_up=True)
    _produce(tables, kafka, prices, _Prices(50), tmp_path)
    # The cluster dies with 30 messages that were not loaded; another one takes its place.
    reborn = KafkaEndpoint(kafka.bootstrap_servers, "another", kafka.embedded)
    elsewhere = prices.on_topic(f"{prices.topic}-reborn")
    # The same broker serves both, so the topic has to differ, which the registry would refuse.
    with connect(tables) as connection:
        connection.execute("delete from streaming.streams")
    source = _Prices(60)
    _produce(tables, reborn, elsewhere, source, tmp_path)
    assert source.cursors[0] == {"next": 20}
    load_streams(tables, reborn, [elsewhere], until_caught_up=True)
    assert ask("select count(*), count(distinct id) from streaming.bitcoin_prices_raw") == [
        (60, 60)
    ]
    books_balance()


def test_producer_waits_for_a_loader_that_is_behind(
    tables: DatabaseEndpoint, prices: Contract
) -> None:
    stop = threading.Event()
    session = DatabaseSession(tables, stop)
    pace = LoaderPace(session, "cluster", prices, unloaded_messages=100)
    assert not pace.wait({0: 99}, 10, stop)
    released = threading.Event()

    def wait() -> None:
        pace.wait({0: 250, 1: 3}, 10, stop)
        released.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert not released.wait(0.3)
    with connect(tables) as connection:
        identity = PartitionKey("cluster", prices.topic, 0)
        progress.claim(connection, prices.stream, identity, "owner", 0, 0)
        connection.execute("update streaming.stream_progress set next_offset = 200")
    assert released.wait(5)
    waiting.join()
    session.close()


def test_big_messages_count_by_their_size(tables: DatabaseEndpoint, prices: Contract) -> None:
    stop = threading.Event()
    stop.set()
    session = DatabaseSession(tables, stop)
    pace = LoaderPace(session, "cluster", prices, unloaded_bytes=1_000_000)
    assert not pace.wait({0: 98}, 9_880, stop)
    assert pace.wait({0: 101}, 9_880, stop)
    session.close()


def test_stop_ends_a_producer_that_waits_for_its_next_tick(
    tables, configured_kafka, prices, tmp_path, in_background
) -> None:
    ensure_topics(configured_kafka, [prices])

    def run(stop: threading.Event) -> None:
        source = _Numbers(4)
        produce(
            tables, configured_kafka, prices, source, Schedule(600), spill_dir=tmp_path, stop=stop
        )

    started = time.monotonic()
    with in_background(run):
        time.sleep(0.3)
    assert time.monotonic() - started < 10


STATUS = "select state, state_reason from streaming.producer_status"


def test_paused_source_is_told_while_a_role_waits_and_when_a_run_ends(
    tables, configured_kafka, prices, tmp_path, ask, in_background
) -> None:
    pause = [SourcePaused("asked to wait", 600)]
    assert _produce(tables, configured_kafka, prices, _Numbers(4, pause), tmp_path).state == (
        "paused"
    )
    assert ask(STATUS) == [("paused", "asked to wait")]

    def run(stop: threading.Event) -> None:
        source = _Numbers(4, [SourcePaused("asked again", 600)])
        produce(
            tables, configured_kafka, prices, source, Schedule(1), spill_dir=tmp_path, stop=stop
        )

    with in_background(run):
        deadline = time.monotonic() + 10
        while ask(STATUS) != [("paused", "asked again")]:
            assert time.monotonic() < deadline
    assert ask(STATUS) == [("stopped", "asked again")]


def test_stop_without_kafka_is_told_with_its_reason(tables, prices, tmp_path, ask) -> None:
    nowhere = KafkaEndpoint("127.0.0.1:9", "gone", embedded=False)
    stop = threading.Event()

    class _Stopping(_Numbers):
        def poll(self, cursor: Cursor | None) -> Poll:
            stop.set()
            return super().poll(cursor)

    report = produce(tables, nowhere, prices, _Stopping(2), BOUNDED, spill_dir=tmp_path, stop=stop)
    assert ask(STATUS) == [("stopped", "2 events of bitcoin-prices")]
    assert report.state == "stopped"


def test_kafka_that_stays_away_ends_a_bounded_producer(prices, tmp_path) -> None:
    nowhere = KafkaEndpoint("127.0.0.1:9", "gone", embedded=False)
    producer = EventProducer(nowhere, prices, tmp_path, attempts=2, attempt_seconds=0.3)
    with pytest.raises(ServiceError, match="Kafka takes no events of bitcoin-prices"):
        producer.send(_events(3), threading.Event())
    assert SpillFile(tmp_path, prices.stream).read() == _events(3)


def test_producer_that_lost_its_connection_takes_its_turn_again(
    tables, configured_kafka, prices, tmp_path, ask
) -> None:
    class _Cutting(_Numbers):
        def poll(self, cursor: Cursor | None) -> Poll:
            if len(self.cursors) == 2:
                ask(
                    """select pg_terminate_backend(pid) from pg_stat_activity
                       where datname = current_database() and pid <> pg_backend_pid()"""
                )
            return super().poll(cursor)

    source = _Cutting(9)
    report = _produce(tables, configured_kafka, prices, source, tmp_path)
    assert (report.delivered, report.state) == (9, "finished")
