"""The loader on a broker: exactly once, whatever happens."""

import os
import threading
from functools import partial

import pytest
import waiting
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from insight.database import DatabaseEndpoint, connect
from insight.errors import IntegrityError
from insight.services import KafkaEndpoint
from streaming import progress
from streaming.contract import Contract
from streaming.loading.bad_limit import BadLimit
from streaming.loading.load_batch import Step
from streaming.loading.loader import load_streams
from streaming.loading.options import LoaderOptions
from streaming.loading.report import LoadReport
from streaming.progress import PartitionKey
from streaming.run import StreamOptions, run_loader

eventually = partial(waiting.eventually, seconds=20)


def _load(
    database: DatabaseEndpoint, kafka: KafkaEndpoint, contracts: list[Contract], **options: object
) -> LoadReport:
    return load_streams(
        database,
        kafka,
        contracts,
        until_caught_up=True,
        options=LoaderOptions(**options),  # type: ignore[arg-type]
    )


def test_every_message_lands_once(
    database, kafka, contracts, prices, news, broker, message, ask, books_balance
) -> None:
    for partition in range(4):
        values = [message(prices, 1000 * partition + number) for number in range(300)]
        broker.put(prices, values, partition)
    broker.put(news, [message(news, number) for number in range(50)])
    report = _load(database, kafka, contracts, batch_messages=70)
    assert (report.rows, report.quarantined) == (1250, 0)
    found = "select count(*), count(distinct id) from streaming."
    assert ask(found + prices.table) == [(1200, 1200)]
    assert ask(found + news.table) == [(50, 50)]
    books_balance()


def test_second_load_finds_nothing_to_do(
    database, configured_kafka, prices, configured_broker, message, ask, books_balance
) -> None:
    configured_broker.put(prices, [message(prices, number) for number in range(100)])
    _load(database, configured_kafka, [prices])
    before = ask("select * from streaming.load_ledger")
    assert _load(database, configured_kafka, [prices]).rows == 0
    assert ask("select * from streaming.load_ledger") == before
    books_balance()


def test_order_within_a_partition_is_kept(
    database, configured_kafka, prices, configured_broker, message, ask
) -> None:
    configured_broker.put(prices, [message(prices, number) for number in range(200)])
    _load(database, configured_kafka, [prices], batch_messages=30)
    ids = [
        str(each) for (each,) in ask(f"select id from streaming.{prices.table} order by _offset")
    ]
    assert ids == sorted(ids)


def test_two_loaders_share_the_work_without_doubling_it(
    database, kafka, contracts, prices, broker, message, ask, books_balance, in_background
) -> None:
    for partition in range(4):
        broker.put(prices, [message(prices, 5000 * partition + n) for n in range(1500)], partition)

    def load(_stop: threading.Event) -> LoadReport:
        return _load(database, kafka, contracts, batch_messages=100)

    with in_background(load), in_background(load):
        pass
    assert ask(f"select count(*), count(distinct id) from streaming.{prices.table}") == [
        (6000, 6000)
    ]
    books_balance()


def _lose_oldest(broker, kafka: KafkaEndpoint, contract: Contract, message) -> None:
    """Make Kafka drop messages of partition 0 that were not loaded."""
    if not kafka.embedded:
        broker.put(contract, [message(contract, 10 + number) for number in range(100)])
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
        for future in admin.delete_records([TopicPartition(contract.topic, 0, 50)]).values():
            future.result(10)
        return
    # The embedded broker keeps 5 MiB a partition.
    for start in range(10, 19):
        value = message(contract, start, coin="x" * 60)[:-1] + b" " * 700_000 + b"}"
        broker.put(contract, [value])


def test_retention_gap_halts_the_stream_until_it_is_accepted(
    database, kafka, contracts, prices, news, broker, message, ask, books_balance
) -> None:
    broker.put(prices, [message(prices, number) for number in range(5)])
    broker.put(news, [message(news, 1)])
    _load(database, kafka, contracts)
    _lose_oldest(broker, kafka, prices, message)
    broker.put(news, [message(news, 2)])
    report = _load(database, kafka, contracts)
    with pytest.raises(IntegrityError, match="bitcoin-prices: is halted"):
        report.raise_if_halted()
    assert report.streams["bitcoin-prices"].state == progress.HALTED_GAP
    assert report.streams["news-events"].rows == 1
    states = dict(ask("select stream, state from streaming.stream_status"))
    assert (states["bitcoin-prices"], states["news-events"]) == ("halted_gap", "caught_up")
    books_balance()
    _accept_gap(database, kafka, prices)
    assert not _load(database, kafka, contracts).streams["bitcoin-prices"].is_halted
    assert ask("select state, gap_total > 0 from streaming.stream_status where lag = 0")[0] == (
        "caught_up",
        True,
    )
    books_balance()


def _accept_gap(database: DatabaseEndpoint, kafka: KafkaEndpoint, contract: Contract) -> None:
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": "look"})
    low, _ = consumer.get_watermark_offsets(TopicPartition(contract.topic, 0), timeout=10)
    consumer.close()
    with connect(database) as connection:
        partition = PartitionKey(kafka.cluster_id, contract.topic, 0)
        assert progress.accept_gap(connection, partition, low) > 0


def test_topic_that_was_made_anew_halts_the_stream(
    database, kafka, prices, broker, message, ask
) -> None:
    broker.put(prices, [message(prices, number) for number in range(5)])
    _load(database, kafka, [prices])
    with connect(database) as connection:
        connection.execute("update streaming.stream_progress set next_offset = 50")
    report = _load(database, kafka, [prices])
    assert report.streams["bitcoin-prices"].state == progress.HALTED_RECREATED


def test_loader_taken_over_goes_on_once_the_other_stands_still(
    database, configured_kafka, prices, configured_broker, message, ask, books_balance
) -> None:
    """Another owner claims the partition and then does nothing with it."""
    configured_broker.put(prices, [message(prices, number) for number in range(500)])
    stolen: list[int] = []

    def steal(step: Step) -> None:
        if step == Step.COMMITTED and not stolen:
            with connect(database) as connection:
                partition = PartitionKey(configured_kafka.cluster_id, prices.topic, 0)
                stolen.append(progress.claim(connection, prices.stream, partition, "x", 0, 0).epoch)

    _load(database, configured_kafka, [prices], batch_messages=100, on_step=steal)
    assert stolen
    assert ask(f"select count(*), count(distinct id) from streaming.{prices.table}") == [(500, 500)]
    assert ask("select owner like %s from streaming.stream_progress", f"%:{os.getpid()}:%") == [
        (True,)
    ]
    books_balance()


def test_stream_let_go_on_does_not_halt_at_its_next_bad_message(
    database, configured_kafka, prices, configured_broker, message, ask, in_background, tmp_path
) -> None:
    options = StreamOptions(
        tmp_path, loader=LoaderOptions(group=f"group-{prices.topic}", bad_limit=BadLimit(count=5))
    )

    def load(stop: threading.Event) -> None:
        run_loader(
            database, configured_kafka, [prices], until_caught_up=False, stop=stop, options=options
        )

    configured_broker.put(prices, [b"bad"] * 5)
    _load(database, configured_kafka, [prices], bad_limit=BadLimit(count=100))
    with in_background(load):
        configured_broker.put(prices, [b"bad"] * 5)
        halted = "select count(*) from streaming.stream_progress where state <> 'running'"
        eventually(lambda: ask(halted) == [(1,)])
        with connect(database) as connection:
            progress.resume_stream(connection, prices.stream)
        configured_broker.put(prices, [b"bad", message(prices, 1)])
        eventually(lambda: ask(f"select count(*) from streaming.{prices.table}") == [(1,)])
