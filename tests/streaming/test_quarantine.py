"""Quarantined messages are replayed once, whoever tries and whatever happens meanwhile."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from insight.database import Connection, DatabaseEndpoint, connect
from insight.errors import InputError, IntegrityError
from streaming import progress
from streaming.contract import Contract
from streaming.loading.load_batch import load_batch
from streaming.messages.codec import VERSION_HEADER
from streaming.messages.poison import poison_messages
from streaming.operating.quarantine import (
    Quarantined,
    Resolution,
    Selection,
    ignore,
    quarantined,
    quarantined_message,
    selected_ids,
)
from streaming.operating.replay import ReplayReport, replay
from streaming.progress import PartitionKey

BY = Resolution("ann", "mended by hand")
ALL = Selection()

Put = Callable[..., list[int]]


@pytest.fixture
def put(tables: DatabaseEndpoint, batch_of) -> Put:
    """Loads messages into partition 0 of a topic, from the next offset on; returns the bad ones."""

    def load(contract: Contract, values: list[bytes | None]) -> list[int]:
        key = PartitionKey("cluster", contract.topic, 0)
        with connect(tables, autocommit=True) as connection:
            before = set(selected_ids(connection, Selection(status=None)))
            claim = progress.claim(connection, contract.stream, key, "owner", 0, 0)
            batch = batch_of(contract, values, claim.next_offset)
            load_batch(connection, contract, claim, batch, 0)
            return [
                each
                for each in selected_ids(connection, Selection(status=None))
                if each not in before
            ]

    return load


def _with_volume(contract: Contract) -> Contract:
    """The next version of a contract: bad messages with a volume are good under it."""
    volume = replace(contract.columns[5], name="volume", required=False)
    return replace(contract, version="1.1.0", columns=(*contract.columns, volume))


def _try(
    database: DatabaseEndpoint,
    contracts: list[Contract],
    ids: list[int],
    mended: bytes | None = None,
) -> ReplayReport:
    with connect(database, autocommit=True) as connection:
        return replay(connection, contracts, ids, BY, mended)


def test_mended_message_lands_at_its_own_place(
    tables, contracts, prices, put: Put, message, ask, books_balance
) -> None:
    (number,) = put(prices, [message(prices, 0), b"bad", message(prices, 2)])
    report = _try(tables, contracts, [number], message(prices, 1))
    assert (report.landed, report.refused) == ([number], {})
    assert ask("select _offset, id from streaming.bitcoin_prices_raw order by 1") == [
        (each, f"{each:032x}") for each in range(3)
    ]
    assert ask(
        """select status, value, mended, resolved_by, resolution, resolved_at <= now()
           from streaming.quarantine"""
    ) == [
        ("replayed", b"bad", message(prices, 1), "ann",
         "mended by hand (under contract 1.0.0)", True)
    ]  # fmt: skip
    books_balance()


def test_message_lands_under_a_mended_contract(
    tables, prices, put: Put, message, ask, books_balance
) -> None:
    values = [json.dumps({**json.loads(message(prices, n)), "volume": n}).encode() for n in (1, 2)]
    ids = put(prices, [values[0], b"bad", values[1]])
    with connect(tables) as connection:
        connection.execute("alter table streaming.bitcoin_prices_raw add column volume numeric")
    report = _try(tables, [_with_volume(prices)], ids)
    assert (report.landed, list(report.refused)) == ([ids[0], ids[2]], [ids[1]])
    assert ask("select _offset, volume from streaming.bitcoin_prices_raw order by 1") == [
        (0, 1),
        (2, 2),
    ]
    books_balance()


def test_still_bad_message_stays_open_with_the_new_reason(
    tables, contracts, prices, put: Put, message, ask, books_balance
) -> None:
    (number,) = put(prices, [message(prices, 1)[:-1] + b', "volume": -1}'])
    assert ask("select error_code from streaming.quarantine") == [("unknown_field",)]
    lowest = replace(_with_volume(prices).columns[-1], options={"minimum": 0})
    stricter = replace(_with_volume(prices), columns=(*prices.columns, lowest))
    report = _try(tables, [stricter], [number])
    assert report.refused[number].code == "out_of_range"
    assert ask("select status, error_code, error_path, contract_version from streaming.quarantine")[
        0
    ] == ("open", "out_of_range", "volume", "1.1.0")
    books_balance()


def test_mended_message_that_is_still_bad_changes_nothing(
    tables, contracts, prices, put: Put, ask, books_balance
) -> None:
    (number,) = put(prices, [b"bad"])
    before = ask("select * from streaming.quarantine")
    assert _try(tables, contracts, [number], b"worse").refused[number].code == "invalid_json"
    assert ask("select * from streaming.quarantine") == before
    books_balance()


def test_message_of_a_version_that_came_later_lands_once_it_is_there(
    tables, prices, put: Put, message, ask, books_balance
) -> None:
    (number,) = put(prices, [b"bad"])
    with connect(tables) as connection:
        connection.execute("alter table streaming.bitcoin_prices_raw add column volume numeric")
        connection.execute(
            "update streaming.quarantine set value = %s, headers = %s",
            (message(prices, 1), json.dumps([[VERSION_HEADER, "1.1.0"]])),
        )
    assert _try(tables, [prices], [number]).refused[number].code == "future_version"
    assert _try(tables, [_with_volume(prices)], [number]).landed == [number]
    books_balance()


def test_no_poison_lands_by_being_replayed(
    tables, contracts, news, put: Put, ask, books_balance
) -> None:
    poisons = [each for each in poison_messages(news) if each.headers is None]
    ids = put(news, [each.value for each in poisons])
    report = _try(tables, contracts, ids)
    assert report.landed == []
    assert [report.refused[number].code for number in ids] == [each.code for each in poisons]
    assert ask("select count(*) from streaming.news_events_raw") == [(0,)]
    books_balance()


def test_row_that_postgres_refuses_does_not_hold_up_the_others(
    tables, contracts, prices, put: Put, message, ask, books_balance
) -> None:
    ids = put(prices, [b"bad"] * 5)
    with connect(tables) as connection:
        for number, each in enumerate(ids):
            connection.execute(
                "update streaming.quarantine set value = %s where quarantine_id = %s",
                (message(prices, number), each),
            )
        connection.execute(
            """alter table streaming.bitcoin_prices_raw
               add check (id <> '00000000000000000000000000000003')"""
        )
    report = _try(tables, contracts, ids)
    assert report.landed == [ids[0], ids[1], ids[2], ids[4]]
    assert report.refused[ids[3]].code == "refused_by_database"
    books_balance()


def test_many_people_replaying_at_once_land_each_message_once(
    tables, contracts, prices, put: Put, message, ask, books_balance
) -> None:
    ids = put(prices, [b"bad"] * 200)
    with connect(tables) as connection:
        connection.execute("update streaming.quarantine set value = %s", (message(prices, 1),))

    def attempt(number: int) -> list[int]:
        chosen = ids if number % 2 else ids[::-1]
        return _try(tables, contracts, chosen).landed

    with ThreadPoolExecutor(6) as pool:
        landed = [each for found in pool.map(attempt, range(12)) for each in found]
    assert sorted(landed) == ids
    assert ask("select count(*), count(distinct _offset) from streaming.bitcoin_prices_raw") == [
        (200, 200)
    ]
    books_balance()


def test_load_of_the_same_partition_waits_for_a_replay(
    tables, contracts, prices, put: Put, message, ask
) -> None:
    """Models take a row of a higher load to have landed later: it must commit later too."""
    (number,) = put(prices, [b"bad"])
    with ThreadPoolExecutor(1) as pool:
        with connect(tables) as connection, connection.transaction():
            assert replay(connection, contracts, [number], BY, message(prices, 1)).landed
            load = pool.submit(put, prices, [message(prices, 2)])
            with pytest.raises(TimeoutError):
                load.result(0.7)
        load.result(10)
    order = """select max(replay_load_id) < max(load_id)
               from streaming.quarantine, streaming.load_ledger"""
    assert ask(order) == [(True,)]


_KILLED_REPLAY = """
import json, sys
from pydantic import SecretStr
from insight.database import DatabaseEndpoint, connect
from streaming.contract import load_contracts
from streaming.operating.quarantine import Resolution, Selection, selected_ids
from streaming.operating.replay import replay
e = json.load(sys.stdin)
database = DatabaseEndpoint(
    e["PGHOST"], int(e["PGPORT"]), e["PGUSER"], SecretStr(e["PGPASSWORD"]), e["PGDATABASE"])
with connect(database, autocommit=True) as connection:
    ids = selected_ids(connection, Selection())
    replay(connection, load_contracts(), ids, Resolution("x", "y"))
"""


def test_replay_killed_before_its_commit_leaves_nothing_and_lands_once_again(
    tables, contracts, prices, put: Put, message, ask, books_balance
) -> None:
    ids = put(prices, [b"bad"] * 20)
    with connect(tables) as connection:
        connection.execute("update streaming.quarantine set value = %s", (message(prices, 1),))
    with connect(tables) as blocking:
        # The rows can be copied, the status cannot be changed.
        blocking.execute("lock table streaming.quarantine in share mode")
        process = subprocess.Popen(
            [sys.executable, "-c", _KILLED_REPLAY], stdin=subprocess.PIPE, text=True
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(tables.environment()))
        process.stdin.close()
        _wait_until_blocked(tables)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
    books_balance()
    assert ask("select count(*) from streaming.bitcoin_prices_raw") == [(0,)]
    assert _try(tables, contracts, ids).landed == ids
    assert ask("select count(*) from streaming.bitcoin_prices_raw") == [(20,)]
    books_balance()


def _wait_until_blocked(database: DatabaseEndpoint) -> None:
    with connect(database, autocommit=True) as connection:
        for _ in range(200):
            waiting = connection.execute(
                """select 1 from pg_stat_activity
                   where datname = current_database() and wait_event_type = 'Lock'
                     and query ilike 'update streaming.quarantine%%'"""
            ).fetchone()
            if waiting:
                return
            connection.execute("select pg_sleep(0.05)")
    raise AssertionError("the replay did not reach the lock")


# Examples share the database: each puts messages of its own.
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(st.sampled_from(["replay", "ignore", "mend"]), st.sets(st.integers(0, 5))),
        max_size=8,
    )
)
def test_a_message_lands_once_in_any_order_of_commands(
    tables: DatabaseEndpoint,
    contracts: list[Contract],
    prices: Contract,
    put: Put,
    message,
    books_balance,
    commands: list[tuple[str, set[int]]],
) -> None:
    ids = put(prices, [b"bad"] * 6)
    landed: list[int] = []
    with connect(tables, autocommit=True) as connection:
        for command, chosen in commands:
            numbers = [ids[each] for each in chosen]
            if command == "ignore":
                ignore(connection, numbers, BY)
            else:
                mended = message(prices, 1) if command == "mend" else None
                landed += replay(connection, contracts, numbers, BY, mended).landed
        assert len(landed) == len(set(landed))
        for number in ids:
            found = quarantined_message(connection, number)
            assert (found.status == "replayed") == (number in landed)
            assert _rows_at(connection, found) == (number in landed)
    books_balance()


def _rows_at(connection: Connection, message: Quarantined) -> int:
    row = connection.execute(
        """select count(*) from streaming.bitcoin_prices_raw
           where _partition_id = %s and _offset = %s""",
        (message.partition_id, message.offset),
    ).fetchone()
    assert row is not None
    return int(str(row[0]))


def test_row_at_the_place_of_a_quarantined_message_stops_the_replay(
    tables, contracts, prices, put: Put, message, ask
) -> None:
    ids = put(prices, [message(prices, 0), b"bad"])
    with connect(tables) as connection:
        connection.execute("update streaming.bitcoin_prices_raw set _offset = 1")
    with pytest.raises(IntegrityError, match="insight verify"):
        _try(tables, contracts, ids, message(prices, 1))
    assert ask("select status from streaming.quarantine") == [("open",)]


def test_ignored_message_can_still_be_replayed_by_its_number(
    tables, contracts, prices, put: Put, message, ask, books_balance
) -> None:
    ids = put(prices, [b"bad", b"bad"])
    with connect(tables) as connection:
        assert ignore(connection, ids, Resolution("bob", "a test of the till")) == 2
        assert ignore(connection, ids, BY) == 0
        assert selected_ids(connection, ALL) == []
    assert ask("select distinct status, resolved_by, resolution from streaming.quarantine") == [
        ("ignored", "bob", "a test of the till")
    ]
    assert _try(tables, contracts, ids[:1], message(prices, 1)).landed == ids[:1]
    books_balance()


def test_messages_are_selected_by_stream_code_status_and_condition(
    tables, prices, news, put: Put, message
) -> None:
    bad, empty = put(prices, [b"bad", b""])
    (other,) = put(news, [b""])
    with connect(tables, autocommit=True) as connection:
        ignore(connection, [other], BY)

        def ids(**values: str | None) -> list[int]:
            return selected_ids(connection, Selection(**values))

        assert ids() == [bad, empty]
        assert ids(status=None) == [bad, empty, other]
        assert ids(stream=news.stream, status="ignored") == [other]
        assert ids(code="empty", status=None) == [empty, other]
        assert ids(where="\"offset\" > 0 and error_text like '%bytes%'") == [empty]
        newest = quarantined(connection, Selection(status=None), limit=2)
        assert [each.quarantine_id for each in newest] == [other, empty]


@pytest.mark.parametrize(
    "where",
    [
        "no_such_column = 1",
        "true) or (select 1/0",
        "(select count(*) from (delete from streaming.quarantine returning 1) x) > 0",
        "true; delete from streaming.quarantine; select 1 where (true",
        "true); commit; delete from streaming.quarantine where (true",
        "setval('streaming.streams_revision', 99) > 0",
    ],
)
def test_condition_that_is_none_is_refused_and_changes_nothing(
    tables, prices, put: Put, ask, where: str
) -> None:
    put(prices, [b"bad"])
    with connect(tables, autocommit=True) as connection, pytest.raises(InputError, match="--where"):
        selected_ids(connection, Selection(where=where))
    assert ask("select count(*) from streaming.quarantine") == [(1,)]


def test_stream_without_a_contract_is_told(tables, prices, put: Put, message) -> None:
    ids = put(prices, [b"bad"])
    with pytest.raises(InputError, match="stream bitcoin-prices: has no contract any more"):
        _try(tables, [], ids, message(prices, 1))


def test_unknown_number_is_told(tables: DatabaseEndpoint) -> None:
    with connect(tables) as connection, pytest.raises(InputError, match="no quarantined message 7"):
        quarantined_message(connection, 7)
