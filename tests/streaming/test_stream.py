"""Producers and loader together."""

import logging
import random
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr
from waiting import eventually

from insight.database import connect
from insight.errors import ConfigurationError, InputError, ServiceError
from insight.services import KafkaEndpoint
from streaming.producing.turn import take_turn
from streaming.run import StreamOptions, StreamReport, run_producer, stream
from streaming.simulators.market_api import NEWS_PATH, PRICE_PATH, Clock, Fault, market_api
from streaming.sources.retries import RetryPolicy

IDS = """select array_agg(distinct id order by id) from streaming.bitcoin_prices_raw
         union all
         select array_agg(distinct id order by id) from streaming.news_events_raw"""


def _stream(database, kafka, contracts, tmp_path: Path, **changes) -> StreamReport:
    arguments = {"duration_seconds": None, "live": False, "options": StreamOptions(tmp_path)}
    return stream(database, kafka, contracts, **{**arguments, **changes})


def _by_stream(report: StreamReport) -> dict[str, object]:
    return {each.stream: each for each in report.streams}


def test_bounded_run_gives_the_same_events_everywhere_and_only_once(
    database, kafka, contracts, tmp_path, ask, books_balance
) -> None:
    report = _by_stream(_stream(database, kafka, contracts, tmp_path))
    prices, news = report["bitcoin-prices"], report["news-events"]
    assert (prices.delivered, prices.loaded, prices.quarantined) == (576, 576, 0)
    assert (prices.state, news.state) == ("finished", "finished")
    assert news.delivered == news.loaded == 147
    assert ask(
        """select count(distinct id), min(event_timestamp)::text, max(event_timestamp)::text
           from streaming.bitcoin_prices_raw"""
    ) == [(576, "2019-12-30 00:00:00+00", "2019-12-31 23:55:00+00")]
    books_balance()
    before = ask(IDS)
    second = _by_stream(_stream(database, kafka, contracts, tmp_path))
    assert all(each.delivered == each.loaded == 0 for each in second.values())
    assert ask(IDS) == before
    assert ask("select count(*) from streaming.bitcoin_prices_raw") == [(576,)]
    books_balance()


def _kill_runs(database, kafka, contracts, killed_run, *, renew) -> tuple[KafkaEndpoint, list]:
    """Kill three runs at random moments; `renew` gives the broker and contracts of the next."""
    seed = random.randrange(10**6)
    logging.getLogger(__name__).warning("seed %d", seed)
    moments = random.Random(seed)
    for number in range(3):
        killed_run(kafka, contracts, "stream", kill_after=moments.uniform(0.5, 1.9))
        kafka, contracts = renew(kafka, contracts, number)
    return kafka, contracts


def test_killed_runs_end_in_the_events_of_one_clean_run(
    database, kafka, contracts, tmp_path, ask, books_balance, killed_run
) -> None:
    _kill_runs(database, kafka, contracts, killed_run, renew=lambda *same: same[:2])
    _stream(database, kafka, contracts, tmp_path)
    books_balance()
    prices, news = ask(IDS)
    assert (len(prices[0]), len(news[0])) == (576, 147)


def test_killed_runs_whose_broker_dies_too_end_in_the_same_events(
    database, configured_kafka, contracts, tmp_path, ask, books_balance, killed_run
) -> None:
    def another_cluster(kafka: KafkaEndpoint, contracts: list, number: int):
        """A broker that was started anew, with nothing in it."""
        # It is the same one, so the topics have to differ, which the registry would refuse.
        with connect(database) as connection:
            # A run may have been killed before it made the table.
            if connection.execute("select to_regclass('streaming.streams')").fetchone() != (None,):
                connection.execute("delete from streaming.streams")
        renewed = replace(kafka, cluster_id=f"{kafka.cluster_id}-{number}")
        return renewed, [each.on_topic(f"{each.topic}-{number}") for each in contracts]

    kafka, contracts = _kill_runs(
        database, configured_kafka, contracts, killed_run, renew=another_cluster
    )
    _stream(database, kafka, contracts, tmp_path)
    books_balance()
    prices, news = ask(IDS)
    assert (len(prices[0]), len(news[0])) == (576, 147)


def test_run_for_a_time_stops_and_drains(
    database, configured_kafka, contracts, tmp_path, books_balance
) -> None:
    report = _by_stream(
        _stream(database, configured_kafka, contracts, tmp_path, duration_seconds=1.2)
    )
    prices = report["bitcoin-prices"]
    assert prices.delivered == prices.loaded >= 2
    assert prices.state == "stopped"
    books_balance()


def test_stop_event_ends_a_run_in_order(
    database, configured_kafka, contracts, tmp_path, books_balance
) -> None:
    stop = threading.Event()
    stop.set()
    report = _by_stream(
        _stream(database, configured_kafka, contracts, tmp_path, duration_seconds=60, stop=stop)
    )
    assert all(each.delivered == each.loaded for each in report.values())
    books_balance()


def _live_options(url: str, tmp_path: Path, key: str | None) -> StreamOptions:
    return StreamOptions(
        tmp_path,
        coingecko_url=url,
        newsapi_url=url,
        newsapi_key=None if key is None else SecretStr(key),
        retry=RetryPolicy(attempts=2, base=0.01),
    )


KEYLESS = """select producer_state, producer_reason from streaming.stream_status
             where stream = 'news-events'"""


def test_live_run_without_a_news_key_says_so_and_goes_on_with_prices(
    database, configured_kafka, contracts, tmp_path, ask
) -> None:
    told: list[str] = []
    with market_api() as market:
        options = _live_options(market.url, tmp_path, None)
        report = _by_stream(
            _stream(
                database,
                configured_kafka,
                contracts,
                tmp_path,
                live=True,
                options=options,
                on_progress=told.append,
            )
        )
    assert report["bitcoin-prices"].loaded == 1
    assert report["bitcoin-prices"].source == "coingecko"
    assert report["news-events"].state == "missing_key"
    assert any("INSIGHT_NEWSAPI_KEY" in each for each in told)
    assert ask(KEYLESS) == [("missing_key", "newsapi needs a key, set INSIGHT_NEWSAPI_KEY")]


def test_stream_with_a_bad_key_stops_and_the_others_go_on(
    database, configured_kafka, contracts, tmp_path, ask
) -> None:
    with market_api() as market:
        market.faults[NEWS_PATH] = [Fault(401)]
        market.faults[PRICE_PATH] = [Fault(500)]
        options = _live_options(market.url, tmp_path, "wrong")
        report = _by_stream(
            _stream(database, configured_kafka, contracts, tmp_path, live=True, options=options)
        )
    assert report["news-events"].state == "stopped_unauthorized"
    assert (report["bitcoin-prices"].loaded, report["bitcoin-prices"].state) == (1, "finished")


def test_producer_role_needs_a_known_stream_and_a_key(
    database, configured_kafka, contracts, tmp_path, ask
) -> None:
    options = StreamOptions(tmp_path)
    arguments = {"live": True, "options": options, "stop": threading.Event()}
    with pytest.raises(InputError, match=r"no stream 'prices'.*bitcoin-prices, news-events"):
        run_producer("prices", database, configured_kafka, contracts, **arguments)
    with pytest.raises(ConfigurationError, match="INSIGHT_NEWSAPI_KEY"):
        run_producer("news-events", database, configured_kafka, contracts, **arguments)
    assert ask(KEYLESS)[0][0] == "missing_key"


def test_producer_role_runs_past_the_end_of_the_bounded_market(
    database, configured_kafka, contracts, tmp_path
) -> None:
    stop = threading.Event()
    options = replace(StreamOptions(tmp_path, simulation_speed=1e9), clock=Clock(price_step=86_400))
    told: list[str] = []

    def count(text: str) -> None:
        told.append(text)
        if len(told) == 5:
            stop.set()

    report = run_producer(
        "bitcoin-prices",
        database,
        configured_kafka,
        contracts,
        live=False,
        options=options,
        stop=stop,
        on_progress=count,
    )
    assert report.delivered >= 5
    assert told[-1] == "5 events of bitcoin-prices delivered"


def test_run_beside_another_producer_leaves_producing_to_it_and_loads(
    tables, configured_kafka, contracts, prices, tmp_path, ask, configured_broker, message
) -> None:
    configured_broker.put(prices, [message(prices, number) for number in range(7)])
    told: list[str] = []
    with connect(tables, autocommit=True) as other:
        take_turn(other, "bitcoin-prices")
        report = _by_stream(
            _stream(tables, configured_kafka, contracts, tmp_path, on_progress=told.append)
        )
    mine, news = report["bitcoin-prices"], report["news-events"]
    assert (mine.state, mine.polled, mine.loaded) == ("produced_elsewhere", 0, 7)
    assert mine.reason == "another producer of bitcoin-prices is at work"
    assert (news.state, news.loaded) == ("finished", 147)
    assert told.count("another producer of bitcoin-prices is at work, left to it") == 1
    assert ("bitcoin-prices",) not in ask("select stream from streaming.producer_status")


def test_producer_role_waits_for_another_one_to_end(
    tables, configured_kafka, contracts, tmp_path, in_background
) -> None:
    told: list[str] = []
    stopped = threading.Event()

    def tell(text: str) -> None:
        told.append(text)
        if text.endswith("delivered"):
            stopped.set()

    def produce(_stop: threading.Event) -> None:
        run_producer(
            "bitcoin-prices",
            tables,
            configured_kafka,
            contracts,
            live=False,
            options=StreamOptions(tmp_path),
            stop=stopped,
            on_progress=tell,
        )

    with connect(tables, autocommit=True) as other:
        take_turn(other, "bitcoin-prices")
        with in_background(produce):
            waiting = ["another producer of bitcoin-prices is at work, waiting"]
            eventually(lambda: told == waiting)
            time.sleep(0.9)
            assert told == waiting
            other.close()
            assert stopped.wait(10)


def test_connection_that_breaks_while_tables_are_made_is_told_in_a_sentence(
    tables, configured_kafka, contracts, tmp_path, in_background, ask
) -> None:
    raised: list[Exception] = []

    def run(_stop: threading.Event) -> None:
        with pytest.raises(ServiceError) as told:
            _stream(tables, configured_kafka, contracts, tmp_path)
        raised.append(told.value)

    with connect(tables) as other:
        other.execute("lock table streaming.streams in access exclusive mode")
        with in_background(run):
            broken: list[tuple[object, ...]] = []
            while not broken:
                broken = ask(
                    """select pg_terminate_backend(pid) from pg_stat_activity
                       where datname = current_database() and wait_event_type = 'Lock'"""
                )
    assert "the connection to Postgres broke" in str(raised[0])
