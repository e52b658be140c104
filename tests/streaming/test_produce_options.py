"""What a person can ask of `insight produce`, and what is refused in one line."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import Consumer
from waiting import eventually

from insight.errors import ConfigurationError
from insight.services import KafkaEndpoint
from streaming.contract import Contract
from streaming.loading.bad_limit import BadLimit
from streaming.loading.loader import load_streams
from streaming.loading.options import LoaderOptions
from streaming.polling import refuse_unusable
from streaming.run import SimulationOptions, StreamOptions, run_producer, stream
from streaming.topics import ensure_topics, watermarks


@pytest.mark.parametrize(
    ("name", "asked", "live", "told"),
    [
        ("bitcoin-prices", SimulationOptions(rate=10), False, "--rate cannot be used"),
        (
            "news-events",
            SimulationOptions(speed=10, seed=0, bad=0.1),
            True,
            "--speed, --seed, --bad cannot be used: newsapi is a live API",
        ),
    ],
)
def test_options_that_make_no_sense_for_an_api_are_refused(
    contracts: list[Contract], name, asked, live, told
) -> None:
    contract = next(each for each in contracts if each.stream == name)
    with pytest.raises(ConfigurationError, match=told):
        refuse_unusable(contract, _options(asked), live=live)
    refuse_unusable(contract, _options(SimulationOptions()), live=live)
    usable = SimulationOptions(speed=9, duplicates=1.0)
    refuse_unusable(contract, _options(usable), live=False)


def _options(asked: SimulationOptions) -> StreamOptions:
    return StreamOptions(Path("/nowhere"), simulation=asked)


@pytest.mark.parametrize(
    "asked",
    [
        SimulationOptions(rate=1e12),
        SimulationOptions(rate=1000, speed=0.001),
        SimulationOptions(rate=float("nan")),
        SimulationOptions(speed=float("inf")),
    ],
)
def test_more_than_memory_can_hold_is_refused(contracts: list[Contract], asked) -> None:
    contract = next(each for each in contracts if each.stream == "refunds")
    with pytest.raises(ConfigurationError):
        refuse_unusable(contract, _options(asked), live=False)
    refuse_unusable(contract, _options(SimulationOptions(rate=10_000, speed=1)), live=False)


@pytest.mark.parametrize("name", ["transactions", "refunds", "account-transactions"])
def test_simulators_take_all_options_also_beside_live_apis(
    contracts: list[Contract], name: str
) -> None:
    contract = next(each for each in contracts if each.stream == name)
    everything = SimulationOptions(rate=1, speed=2, seed=3, duplicates=0.1, bad=0.1)
    assert everything.asked() == ["--rate", "--speed", "--seed", "--duplicates", "--bad"]
    refuse_unusable(contract, _options(everything), live=True)


def test_misbehaving_producer_fills_quarantine_and_loses_nothing(
    database, kafka, contracts, tmp_path, ask, books_balance, in_background
) -> None:
    simulation = SimulationOptions(rate=2000, speed=86_400, duplicates=0.1, bad=0.1)
    options = StreamOptions(tmp_path, simulation=simulation)
    reports = []

    def run(stop: threading.Event) -> None:
        report = run_producer(
            "transactions", database, kafka, contracts, live=False, options=options, stop=stop
        )
        reports.append(report)

    limit = LoaderOptions(bad_limit=BadLimit(count=10**9, share=1.0))
    [transactions] = [each for each in contracts if each.stream == "transactions"]
    ensure_topics(kafka, [transactions])
    with in_background(run):
        eventually(lambda: _messages(kafka, transactions) > 1000)
    load_streams(database, kafka, contracts, until_caught_up=True, options=limit)
    (report,) = reports
    assert report.delivered > 1000
    ((rows, ids),) = ask(
        "select count(*), count(distinct transaction_id) from streaming.transactions_raw"
    )
    ((bad,),) = ask("select count(*) from streaming.quarantine where stream = 'transactions'")
    assert rows + bad == report.delivered
    assert 0.03 < (rows - ids) / ids < 0.25
    assert 0.03 < bad / ids < 0.25
    books_balance()


def test_live_run_keeps_simulating_the_shop_and_the_bank(
    database, configured_kafka, contracts, tmp_path, ask
) -> None:
    # Nothing listens at the live addresses, and the key of the news is missing.
    options = StreamOptions(tmp_path, coingecko_url="http://127.0.0.1:9")
    options = replace(options, retry=replace(options.retry, attempts=1))
    report = stream(
        database, configured_kafka, contracts, duration_seconds=None, live=True, options=options
    )
    states = {each.stream: (each.state, each.source) for each in report.streams}
    assert states == {
        "account-transactions": ("finished", "account_simulator"),
        "bitcoin-prices": ("unreachable", "coingecko"),
        "news-events": ("missing_key", "newsapi"),
        "refunds": ("finished", "pos_simulator"),
        "transactions": ("finished", "pos_simulator"),
    }
    ((orphans,),) = ask(
        """select count(*) from streaming.refunds_raw as refund
           left join streaming.transactions_raw as sale
               on sale.transaction_id = refund.original_transaction_id
           where sale.transaction_id is null or sale.amount < refund.refund_amount
               or sale.timestamp >= refund.timestamp"""
    )
    assert orphans == 0


def _messages(kafka: KafkaEndpoint, contract: Contract) -> int:
    """How many messages the topic of a stream has had so far."""
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": "watermarks"})
    try:
        ends = (watermarks(consumer, contract.topic, each)[1] for each in range(4))
        return sum(ends)
    finally:
        consumer.close()
