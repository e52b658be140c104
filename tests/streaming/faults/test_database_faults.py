"""Postgres crashes, stays away, refuses or hangs: the loader waits and loads everything."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from insight.database import connect
from insight.errors import ServiceError


@pytest.fixture
def under_load(start_loader, loaded, eventually, producing, configured_kafka, prices):
    """A loader that has begun to load what is being produced."""

    @contextmanager
    def run(at=None, **options) -> Iterator[tuple[object, object]]:
        with producing(configured_kafka, prices) as production:
            loader = start_loader(configured_kafka, [prices], at=at, **options)
            eventually(lambda: loaded(prices) > 20)
            yield loader, production

    return run


def _goes_on(loaded, eventually, prices) -> float:
    """Wait for rows that were not there; returns how long it took, in seconds."""
    before, started = loaded(prices), time.monotonic()
    eventually(lambda: loaded(prices) > max(before, 1))
    return time.monotonic() - started


def test_server_that_crashes_under_load(
    postgres, under_load, loaded, eventually, all_arrived, configured_kafka, prices
) -> None:
    with under_load() as (loader, production):
        for _ in range(2):
            postgres.crash()
            postgres.start()
            assert _goes_on(loaded, eventually, prices) < 5
    assert loader.end() == 0
    all_arrived(configured_kafka, prices, production.numbers)


def test_server_that_is_away_costs_no_memory_and_is_used_at_once_when_back(
    postgres,
    start_loader,
    real_broker,
    message,
    eventually,
    loaded,
    all_arrived,
    real_kafka,
    prices,
) -> None:
    """60 MB come in meanwhile, of which the loader may fetch 2 and read 1 at a time."""
    real_broker.put(prices, [message(prices, number) for number in range(50)])
    loader = start_loader(real_kafka, [prices], fetch_ahead_kib=2_048, batch_bytes=1_000_000)
    eventually(lambda: loaded(prices) == 50)
    before = most = loader.resident_bytes
    postgres.crash()
    for start in range(50, 650, 100):
        values = [message(prices, number) + b" " * 100_000 for number in range(start, start + 100)]
        real_broker.put(prices, values, partition=start // 100 % 4)
        most = max(most, loader.resident_bytes)
    # It has tried again and again: the outage was seen, and outlasted.
    eventually(lambda: loader.log.read_text().count("the database is away") >= 3)
    most = max(most, loader.resident_bytes)
    postgres.start()
    assert _goes_on(loaded, eventually, prices) < 5
    eventually(lambda: loaded(prices) == 650)
    grown = max(most, loader.resident_bytes) - before
    assert grown < 30 * 2**20, f"{grown / 2**20:.0f} MiB"
    assert loader.end() == 0
    all_arrived(real_kafka, prices, range(650))


def test_sessions_terminated_under_load(
    under_load, database, loaded, eventually, all_arrived, configured_kafka, prices
) -> None:
    with under_load() as (loader, production):
        for _ in range(5):
            _terminate(database)
            _goes_on(loaded, eventually, prices)
    assert loader.end() == 0
    all_arrived(configured_kafka, prices, production.numbers)


def test_server_without_a_free_connection(
    postgres, under_load, database, loaded, eventually, all_arrived, configured_kafka, prices
) -> None:
    with under_load() as (loader, production):
        with connect(postgres.superuser, autocommit=True) as admin, ExitStack() as taken:
            admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s",
                (database.dbname,),
            )
            with pytest.raises(ServiceError, match=r"too many clients|remaining connection slots"):
                _take_all(database, taken)
            eventually(lambda: "the database is away" in loader.log.read_text())
        _goes_on(loaded, eventually, prices)
    assert loader.end() == 0
    all_arrived(configured_kafka, prices, production.numbers)


def _take_all(database, taken: ExitStack) -> None:
    while True:
        taken.enter_context(connect(database))


@pytest.mark.parametrize("limit", ["lock_timeout = '200ms'", "statement_timeout = 0"])
def test_table_that_is_locked_for_too_long(
    under_load, database, loaded, eventually, all_arrived, configured_kafka, prices, limit
) -> None:
    """The server's lock timeout ends the wait, or the loader's own limit."""
    with connect(database, autocommit=True) as connection:
        connection.execute(f"alter database {database.dbname} set {limit}")
    with under_load(stall_seconds=1.0) as (loader, production):
        with connect(database) as connection:
            connection.execute("set statement_timeout = 0")
            connection.execute(f"lock table streaming.{prices.table} in exclusive mode")
            eventually(lambda: loader.log.read_text().count("timeout") > 1)
        _goes_on(loaded, eventually, prices)
    assert loader.end() == 0
    all_arrived(configured_kafka, prices, production.numbers)


def test_server_that_is_read_only(
    under_load, database, loaded, eventually, all_arrived, configured_kafka, prices
) -> None:
    """As after a failover, before the standby is promoted."""

    def set_read_only(value: str) -> None:
        with connect(database, autocommit=True) as connection:
            connection.execute("set default_transaction_read_only = off")
            connection.execute(
                f"alter database {database.dbname} set default_transaction_read_only = {value}"
            )
        _terminate(database)

    with under_load() as (loader, production):
        set_read_only("on")
        eventually(lambda: "read-only transaction" in loader.log.read_text())
        set_read_only("off")
        _goes_on(loaded, eventually, prices)
    assert loader.end() == 0
    all_arrived(configured_kafka, prices, production.numbers)


def test_full_disk(
    postgres,
    database,
    tables,
    start_loader,
    broker,
    message,
    ask,
    eventually,
    loaded,
    all_arrived,
    kafka,
    prices,
) -> None:
    """The table's file is /dev/full for a while: it cannot grow, as on a disk without space."""
    [(path,)] = ask("select pg_relation_filepath('streaming.bitcoin_prices_raw')")
    file = postgres.data / str(path)
    empty = file.with_name(f"{file.name}.kept")
    _terminate(database)
    file.rename(empty)
    file.symlink_to("/dev/full")
    broker.put(prices, [message(prices, number) for number in range(40)])
    loader = start_loader(kafka, [prices])
    eventually(lambda: "No space left on device" in loader.log.read_text())
    assert ask("select count(*) from streaming.quarantine") == [(0,)]
    file.unlink()
    empty.rename(file)
    _terminate(database)
    eventually(lambda: loaded(prices) == 40)
    assert loader.end() == 0
    all_arrived(kafka, prices, range(40))


def _terminate(database) -> None:
    with connect(database) as connection:
        connection.execute(
            """select pg_terminate_backend(pid, 1000) from pg_stat_activity
               where datname = current_database() and pid <> pg_backend_pid()"""
        )


def test_connection_that_hangs(
    under_load,
    database_proxy,
    proxied_database,
    loaded,
    eventually,
    all_arrived,
    configured_kafka,
    prices,
) -> None:
    with under_load(at=proxied_database) as (loader, production):
        database_proxy.hold()
        time.sleep(1)
        assert loader.is_alive
        database_proxy.cut()
        database_proxy.go_on()
        _goes_on(loaded, eventually, prices)
    assert loader.end() == 0
    all_arrived(configured_kafka, prices, production.numbers)


def test_slow_connection(
    database_proxy,
    proxied_database,
    load,
    configured_broker,
    message,
    all_arrived,
    configured_kafka,
    prices,
) -> None:
    configured_broker.put(prices, [message(prices, number) for number in range(300)])
    load(configured_kafka, [prices], at=proxied_database)
    database_proxy.bytes_per_second = 100_000
    configured_broker.put(prices, [message(prices, number) for number in range(300, 600)])
    load(configured_kafka, [prices], at=proxied_database, batch_messages=100)
    all_arrived(configured_kafka, prices, range(600))
