"""A producer that dies at any moment leaves nothing out, and says again only what it has said."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from insight.errors import ServiceError
from insight.services import KafkaEndpoint
from streaming.contract import Contract
from streaming.loading.loader import load_streams
from streaming.producing import spill as spill_module
from streaming.producing.delivery import EventProducer, Undelivered
from streaming.producing.loop import Schedule, produce
from streaming.producing.spill import SpillFile
from streaming.sources import Event
from streaming.sources.pos_simulator import SIMULATION
from streaming.sources.simulated import SimulatedSource, Volume
from streaming.topics import ensure_topics

SCRIPT = Path(__file__).with_name("crashing_producer.py")


@pytest.fixture
def sales(contracts: list[Contract]) -> Contract:
    return next(each for each in contracts if each.stream == "transactions")


def _source() -> SimulatedSource:
    return SimulatedSource(SIMULATION, "transactions", Volume(600.0), seed=2019, paced=False)


def _all_values() -> set[bytes]:
    source, cursor, values = _source(), None, set()
    while (poll := source.poll(cursor)).cursor != cursor:
        values |= {each.value for each in poll.events}
        cursor = poll.cursor
    return values


def _topic_values(kafka: KafkaEndpoint, topic: str) -> Counter[bytes]:
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": "look"})
    parts = [TopicPartition(topic, each) for each in range(4)]
    marks = [consumer.get_watermark_offsets(each, timeout=10) for each in parts]
    consumer.assign([TopicPartition(topic, part, low) for part, (low, _) in enumerate(marks)])
    values: Counter[bytes] = Counter()
    while values.total() < sum(high - low for low, high in marks):
        values.update(each.value() for each in consumer.consume(5000, 0.1))
    consumer.close()
    return values


def _killed(database, kafka, topic, tmp_path, kill_at: str, polls: int) -> int:
    request = {
        "database": database.environment(),
        "kafka": [kafka.bootstrap_servers, kafka.cluster_id, kafka.embedded],
        "topic": topic,
        "spill_dir": str(tmp_path),
        "kill_at": kill_at,
        "polls": polls,
    }
    process = subprocess.run(
        [sys.executable, str(SCRIPT)], input=json.dumps(request), text=True, timeout=60, check=False
    )
    return process.returncode


def test_events_after_kills_at_every_step_are_those_of_one_clean_run(
    tables, configured_kafka, sales, tmp_path, in_background, ask, books_balance
) -> None:
    kafka = configured_kafka
    ensure_topics(kafka, [sales])

    def load(stop: threading.Event) -> None:
        load_streams(tables, kafka, [sales], stop=stop)

    with in_background(load):
        for kill_at in ("polled", "sending", "delivered", "saved"):
            # Each dies in its second poll, so the four have told four to eight days.
            code = _killed(tables, kafka, sales.topic, tmp_path, kill_at, polls=2)
            assert code == -signal.SIGKILL
        report = produce(
            tables,
            kafka,
            sales,
            _source(),
            Schedule(0.0, unchanged_polls=2),
            spill_dir=tmp_path,
            stop=threading.Event(),
        )
        assert report.state == "finished"
    load_streams(tables, kafka, [sales], until_caught_up=True)
    expected = {json.loads(each)["transaction_id"] for each in _all_values()}
    rows = ask("select transaction_id, count(*) from streaming.transactions_raw group by 1")
    assert {name for name, _ in rows} == expected
    # Of the days that were sent and whose cursor was not saved, and of no others.
    twice = sum(count > 1 for _, count in rows)
    assert 1000 < twice < 4500
    assert all(count <= 3 for _, count in rows)
    books_balance()


def test_replayed_events_are_equal_byte_for_byte(tables, configured_kafka, sales, tmp_path) -> None:
    kafka = configured_kafka
    for _ in range(2):
        code = _killed(tables, kafka, sales.topic, tmp_path, "delivered", polls=1)
        assert code == -signal.SIGKILL
    first_day = {each.value for each in _source().poll(None).events}
    assert _topic_values(kafka, sales.topic) == Counter(dict.fromkeys(first_day, 2))


EVENTS = [
    Event("a", b'{"n": 1}'),
    Event("b", None),
    Event("c", b""),
    Event("\u0627", b"\xff\x00", [("contract_version", b"9.0.0"), ("empty", None)]),
]


def test_spilled_events_come_back_with_headers_and_without_values(tmp_path) -> None:
    spill = SpillFile(tmp_path, "transactions")
    spill.add(EVENTS)
    spill.add(EVENTS[:1])
    assert spill.read() == [*EVENTS, EVENTS[0]]
    spill.clear()
    assert spill.read() == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cut", [1, 10, 30])
def test_events_after_a_line_cut_off_by_a_crash_are_kept(tmp_path, cut, caplog) -> None:
    spill = SpillFile(tmp_path, "transactions")
    spill.add(EVENTS)
    os.truncate(spill.path, spill.path.stat().st_size - cut)
    spill.add(EVENTS[:2])
    whole = EVENTS if cut == 1 else EVENTS[:-1]
    assert spill.read() == [*whole, *EVENTS[:2]]
    assert ("1 lines of" in caplog.text) == (cut > 1)
    spill.clear()
    assert spill.read() == []
    assert len(list(tmp_path.glob("transactions.damaged-*"))) == (cut > 1)


@pytest.mark.parametrize(
    "line", ["17", "null", "{}", '{"key": 1', '{"key": "k", "value": "%%%"}', "\x00\x00"]
)
def test_damaged_line_is_left_out_and_told(tmp_path, line, caplog) -> None:
    spill = SpillFile(tmp_path, "transactions")
    spill.path.write_text(line + "\n")
    spill.add(EVENTS[:1])
    assert spill.read() == EVENTS[:1]
    assert "cut off or damaged" in caplog.text


def test_full_disk_is_told_and_leaves_the_cursor_where_it_was(sales, tmp_path, monkeypatch) -> None:
    def full(_number: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(spill_module.os, "fsync", full)
    nowhere = KafkaEndpoint("127.0.0.1:9", "gone", embedded=False)
    stop = threading.Event()
    stop.set()
    producer = EventProducer(nowhere, sales, tmp_path, grace_seconds=0.2)
    with pytest.raises(ServiceError, match="4 events that Kafka did not take") as told:
        producer.send(EVENTS, stop)
    assert str(tmp_path) in str(told.value)


def test_failed_events_keep_their_headers_and_absent_values(sales, tmp_path) -> None:
    nowhere = KafkaEndpoint("127.0.0.1:9", "gone", embedded=False)
    stop = threading.Event()
    stop.set()
    with pytest.raises(Undelivered):
        EventProducer(nowhere, sales, tmp_path, grace_seconds=0.2).send(EVENTS, stop)
    assert SpillFile(tmp_path, sales.stream).read() == EVENTS


def test_large_poll_is_delivered_whole(kafka, sales, tmp_path) -> None:
    ensure_topics(kafka, [sales])
    events = [Event(f"k{number % 97}", b"%d" % number) for number in range(30_000)]
    offsets = EventProducer(kafka, sales, tmp_path).send(events, threading.Event())
    assert sum(each + 1 for each in offsets.values()) == 30_000
    assert _topic_values(kafka, sales.topic) == Counter(each.value for each in events)
