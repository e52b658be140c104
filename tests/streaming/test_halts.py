"""Operators and loaders at work on one stream: pause, resume, accepted losses, new contracts."""

import json
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import waiting
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from insight.database import DatabaseEndpoint, connect
from insight.services import KafkaEndpoint
from streaming import progress, registry
from streaming.contract import Contract, read_contract_text
from streaming.loading.load_batch import load_batch
from streaming.loading.loader import load_streams
from streaming.loading.options import LoaderOptions
from streaming.loading.report import LoadReport
from streaming.messages.codec import VERSION_HEADER
from streaming.messages.poison import Poison
from streaming.operating import halts
from streaming.operating.quarantine import Resolution, Selection, selected_ids
from streaming.operating.replay import replay
from streaming.operating.verify import verify
from streaming.progress import PartitionKey
from streaming.run import StreamOptions, run_loader

eventually = partial(waiting.eventually, seconds=20)


def _load(database: DatabaseEndpoint, kafka: KafkaEndpoint, contract: Contract) -> LoadReport:
    return load_streams(database, kafka, [contract], until_caught_up=True)


@pytest.fixture
def running_loader(database, configured_kafka, prices, in_background, tmp_path: Path):
    """A loader of the prices as a member of a group, until the test ends."""
    options = StreamOptions(tmp_path, loader=LoaderOptions(group=f"group-{prices.topic}"))

    def load(stop: threading.Event) -> None:
        run_loader(
            database, configured_kafka, [prices], until_caught_up=False, stop=stop, options=options
        )

    with in_background(load):
        yield


def _accept(database: DatabaseEndpoint, kafka: KafkaEndpoint, stream: str) -> list[halts.Loss]:
    with connect(database) as connection:
        losses = halts.lost_messages(connection, kafka, stream)
        assert losses
        assert halts.accept_losses(connection, stream, losses) == sum(
            each.messages for each in losses
        )
    return losses


def test_gaps_of_all_partitions_are_accepted_at_once(
    database, real_kafka, prices, message, ask, books_balance, put_to
) -> None:
    put = put_to(real_kafka)
    for partition in range(2):
        put(prices, [message(prices, n) for n in range(5)], partition)
    _load(database, real_kafka, prices)
    for partition in range(2):
        put(prices, [message(prices, n) for n in range(5, 20)], partition)
    _delete_before(real_kafka, prices, {0: 10, 1: 12})
    assert _load(database, real_kafka, prices).streams[prices.stream].state == progress.HALTED_GAP
    losses = _accept(database, real_kafka, prices.stream)
    assert [(each.first, each.end, each.messages) for each in losses] == [(5, 10, 5), (5, 12, 7)]
    report = _load(database, real_kafka, prices)
    assert (report.rows, report.streams[prices.stream].is_halted) == (18, False)
    assert ask("select state, gap_total from streaming.stream_status where rows_total > 0") == [
        ("caught_up", 12)
    ]
    with connect(database) as connection:
        assert halts.lost_messages(connection, real_kafka, prices.stream) == []
    books_balance()


def _delete_before(kafka: KafkaEndpoint, contract: Contract, offsets: dict[int, int]) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    wanted = [TopicPartition(contract.topic, each, offset) for each, offset in offsets.items()]
    for future in admin.delete_records(wanted).values():
        future.result(10)


def test_topic_made_anew_is_loaded_from_its_start_under_another_identity(
    database, real_kafka, prices, message, ask, books_balance, put_to
) -> None:
    put = put_to(real_kafka)
    put(prices, [*[message(prices, n) for n in range(9)], b"bad"], 0)
    put(prices, [message(prices, 100 + n) for n in range(3)], 1)
    _load(database, real_kafka, prices)
    for generation in (1, 2):
        _make_anew(real_kafka, prices)
        put(prices, [message(prices, 1000 * generation + n) for n in range(4)], 0)
        put(prices, [b"bad"], 0)
        report = _load(database, real_kafka, prices)
        assert report.streams[prices.stream].state == progress.HALTED_RECREATED
        books_balance()
        if generation == 2:
            # By now the new topic has passed the offset that was next in the old one.
            put(prices, [message(prices, 9000 + n) for n in range(30)], 0)
        losses = _accept(database, real_kafka, prices.stream)
        assert all(each.is_recreated and each.messages == 0 for each in losses)
        assert _load(database, real_kafka, prices).rows == (4 if generation == 1 else 34)
        books_balance()
        put(prices, [message(prices, 2000 * generation + n) for n in range(8)], 0)
        _load(database, real_kafka, prices)
        books_balance()
    assert ask(
        """select right(topic, 2), partition, rows_total, quarantined_total, state
           from streaming.stream_progress where rows_total > 0 order by partition_id"""
    ) == [
        ("@1", 0, 9, 1, "replaced"),
        ("@1", 1, 3, 0, "replaced"),
        ("@2", 0, 12, 1, "replaced"),
        (prices.topic[-2:], 0, 42, 1, "running"),
    ]
    assert ask(
        f"select state, lag from streaming.stream_status where topic = '{prices.topic}'"
    ) == [("caught_up", 0)]
    assert ask("select count(*) from streaming.bitcoin_prices_raw") == [(66,)]


def _make_anew(kafka: KafkaEndpoint, contract: Contract) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    for future in admin.delete_topics([contract.topic]).values():
        future.result(10)
    eventually(lambda: contract.topic not in admin.list_topics(timeout=10).topics)
    eventually(lambda: _is_created(admin, contract))


def _is_created(admin: AdminClient, contract: Contract) -> bool:
    future = admin.create_topics([NewTopic(contract.topic, contract.partitions)])[contract.topic]
    return future.exception(10) is None


@pytest.fixture
def put_to(configured_broker) -> Callable[[KafkaEndpoint], Callable[..., None]]:
    """`put` of a broker other than the configured one."""
    return lambda kafka: type(configured_broker)(kafka).put


def test_messages_known_to_be_lost_with_the_old_topic_are_recorded(
    tables, prices, message, batch_of, ask, books_balance
) -> None:
    key = PartitionKey("cluster", prices.topic, 0)
    with connect(tables, autocommit=True) as connection:
        claim = progress.claim(connection, prices.stream, key, "owner", 0, 0)
        load_batch(connection, prices, claim, batch_of(prices, [message(prices, 1)]), 9)
        progress.halt(connection, key, progress.HALTED_RECREATED, "because")
        loss = halts.Loss(key, 1, 9, 0, is_recreated=True)
        assert halts.accept_losses(connection, prices.stream, [loss]) == 8
        assert progress.halted(connection, prices.stream, "cluster") is None
        claim = progress.claim(connection, prices.stream, key, "owner", 3, 4)
    assert (claim.next_offset, claim.epoch) == (3, 1)
    assert ask("select lo, hi, gaps from streaming.load_ledger order by lo") == [
        (0, 0, 0),
        (1, 8, 8),
    ]
    books_balance()


def test_loader_that_held_the_old_topic_is_fenced(
    tables, prices, message, batch_of, ask, books_balance
) -> None:
    key = PartitionKey("cluster", prices.topic, 0)
    with connect(tables, autocommit=True) as connection:
        claim = progress.claim(connection, prices.stream, key, "owner", 0, 0)
        loss = halts.Loss(key, 0, 0, 0, is_recreated=True)
        halts.accept_losses(connection, prices.stream, [loss])
        with pytest.raises(progress.FencedError):
            load_batch(connection, prices, claim, batch_of(prices, [message(prices, 1)]), 9)
    books_balance()


def test_halt_by_a_gap_that_was_accepted_otherwise_can_be_lifted(
    database, configured_kafka, prices, configured_broker, message
) -> None:
    configured_broker.put(prices, [message(prices, 1)])
    _load(database, configured_kafka, prices)
    key = PartitionKey(configured_kafka.cluster_id, prices.topic, 0)
    with connect(database) as connection:
        progress.halt(connection, key, progress.HALTED_GAP, "because")
    assert [each.messages for each in _accept(database, configured_kafka, prices.stream)] == [0]
    assert not _load(database, configured_kafka, prices).streams[prices.stream].is_halted


def test_verify_finds_nothing_while_loaders_and_replays_are_at_work(
    database, configured_kafka, prices, configured_broker, message, ask, running_loader,
) -> None:  # fmt: skip
    contracts = registry.open_registry(database, [prices])

    def replay_and_verify() -> None:
        with connect(database, autocommit=True) as connection:
            ids = selected_ids(connection, Selection())
            replay(connection, contracts, ids, Resolution("x", "y"), message(prices, 1))
            assert [str(each) for each in verify(connection)] == []

    for start in range(0, 4000, 500):
        values = [message(prices, start + n) if n % 50 else b"bad" for n in range(500)]
        configured_broker.put(prices, values, start // 500 % 4)
        replay_and_verify()
    rows = "select count(*) from streaming.bitcoin_prices_raw"
    eventually(lambda: replay_and_verify() or ask(rows) == [(4000,)])


def test_stream_that_lost_nothing_has_nothing_to_accept(
    database, configured_kafka, prices, configured_broker, message
) -> None:
    configured_broker.put(prices, [message(prices, 1)])
    _load(database, configured_kafka, prices)
    with connect(database) as connection:
        assert halts.lost_messages(connection, configured_kafka, prices.stream) == []


def test_pause_holds_a_running_loader_and_resume_lets_it_go_on(
    database, configured_kafka, prices, configured_broker, message, ask, running_loader,
    books_balance,
) -> None:  # fmt: skip
    rows = f"select count(*) from streaming.{prices.table}"
    configured_broker.put(prices, [message(prices, 1)])
    eventually(lambda: ask("select to_regclass('streaming.bitcoin_prices_raw')") != [(None,)])
    eventually(lambda: ask(rows) == [(1,)])
    with connect(database) as connection:
        assert halts.pause(connection, prices.stream)
    assert ask("select state from streaming.stream_status") == [("paused",)]
    time.sleep(2.5)
    configured_broker.put(prices, [message(prices, 2)])
    time.sleep(1)
    assert ask(rows) == [(1,)]
    with connect(database) as connection:
        assert halts.resume(connection, prices.stream)
    eventually(lambda: ask(rows) == [(2,)])
    books_balance()


def _with_note(contract: Contract) -> str:
    """The document of a contract's next version, which has a field more."""
    note = """
      - name: note
        logicalType: string
        physicalType: text
        description: A remark.
        examples: [late]
slaProperties:"""
    text = contract.file.read_text().replace("version: 1.0.0", "version: 1.1.0")
    return text.replace("\nslaProperties:", note).replace(
        f"value: {contract.stream}\n", f"value: {contract.topic}\n"
    )


def test_optional_field_added_while_the_loader_runs_loses_no_row_and_no_value(
    database, configured_kafka, prices, configured_broker, message, ask, running_loader,
    books_balance,
) -> None:  # fmt: skip
    """Old and new producers write on, also before the new contract is registered."""
    old = [message(prices, number) for number in range(400)]
    new = [
        Poison(
            "new",
            json.dumps({**json.loads(message(prices, number)), "note": f"n{number}"}).encode(),
            "",
            headers=[(VERSION_HEADER, b"1.1.0")],
        )
        for number in range(400, 800)
    ]
    configured_broker.put(prices, old[:100])
    rows = f"select count(*), count(distinct id) from streaming.{prices.table}"
    eventually(lambda: ask("select to_regclass('streaming.bitcoin_prices_raw')") != [(None,)])
    eventually(lambda: ask(rows) == [(100, 100)])
    text = _with_note(prices)
    with connect(database) as connection:
        registry.register(connection, read_contract_text(text, Path("given.yaml")), text)
    # At once: the loader has not looked at the registry since.
    configured_broker.put(prices, new[:200])
    configured_broker.put(
        prices, [each for pair in zip(old[100:300], new[200:], strict=True) for each in pair]
    )
    configured_broker.put(prices, old[300:], 1)
    eventually(lambda: int(str(ask(rows)[0][1])) == 800)
    assert ask("select error_code, error_text from streaming.quarantine") == []
    assert ask(f"select count(note), count(distinct note) from streaming.{prices.table}") == [
        (400, 400)
    ]
    books_balance()


def test_newly_registered_stream_is_loaded_by_a_running_loader(
    database, configured_kafka, prices, news, configured_broker, message, ask, running_loader,
    books_balance,
) -> None:  # fmt: skip
    text = news.file.read_text()
    text = text.replace("name: news-events\n", "name: more-news\n")
    text = text.replace("name: news_events_raw", "name: more_news_raw")
    text = text.replace("value: news-events\n", f"value: more-{news.topic}\n")
    contract = read_contract_text(text, Path("given.yaml"))
    configured_broker.put(prices, [message(prices, 1)])
    eventually(lambda: ask("select to_regclass('streaming.bitcoin_prices_raw')") != [(None,)])
    with connect(database) as connection:
        registry.register(connection, contract, text)
    state = "select state, origin from streaming.stream_status where stream = 'more-news'"
    assert ask(state) == [("registered", "registered")]
    configured_broker.put(contract, [message(contract, number) for number in range(50)])
    eventually(lambda: ask("select count(*) from streaming.more_news_raw") == [(50,)])
    eventually(lambda: ask(state) == [("caught_up", "registered")])
    books_balance()
