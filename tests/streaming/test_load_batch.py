"""The one transaction: all of a batch or nothing, by the owner or nobody."""

import json
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from insight.database import Connection, DatabaseEndpoint, connect
from insight.errors import IntegrityError
from streaming import progress
from streaming.contract import Contract
from streaming.loading.bad_limit import BadLimit, BadMeter
from streaming.loading.batch import Batch
from streaming.loading.load_batch import Step, load_batch
from streaming.messages.poison import valid_message
from streaming.progress import Claim, FencedError, PartitionKey

PARTITION = PartitionKey("cluster", "topic", 0)


def _claim(connection: Connection, contract: Contract, owner: str = "one") -> Claim:
    return progress.claim(connection, contract.stream, PARTITION, owner, 0, 0)


def _counts(connection: Connection, contract: Contract) -> tuple[int, int, int]:
    """(rows, quarantined messages, next offset)."""
    row = connection.execute(
        f"""select (select count(*) from streaming.{contract.table}),
                   (select count(*) from streaming.quarantine),
                   (select sum(next_offset) from streaming.stream_progress)"""
    ).fetchone()
    assert row is not None
    return tuple(int(str(each)) for each in row)


def test_replayed_batch_inserts_nothing(
    tables: DatabaseEndpoint, prices: Contract, batch_of
) -> None:
    with connect(tables, autocommit=True) as connection:
        claim = _claim(connection, prices)
        batch = batch_of(prices, [valid_message(prices), b"bad"])
        load_batch(connection, prices, claim, batch, 2)
        with pytest.raises(FencedError):
            load_batch(connection, prices, claim, batch, 2)
        assert _counts(connection, prices) == (1, 1, 2)


def test_of_two_owners_exactly_one_commits(
    tables: DatabaseEndpoint, prices: Contract, batch_of
) -> None:
    with connect(tables, autocommit=True) as connection:
        first = _claim(connection, prices, "one")
        second = _claim(connection, prices, "two")
        batch = batch_of(prices, [valid_message(prices), b"bad"])
        with pytest.raises(FencedError):
            load_batch(connection, prices, first, batch, 2)
        assert _counts(connection, prices) == (0, 0, 0)
        load_batch(connection, prices, second, batch, 2)
        assert _counts(connection, prices) == (1, 1, 2)


def test_owner_that_waits_for_the_row_of_another_writes_nothing(
    tables: DatabaseEndpoint, prices: Contract, batch_of
) -> None:
    """Both hold the same epoch and offset; the second waits for the first one's commit."""
    with (
        connect(tables, autocommit=True) as one,
        connect(tables, autocommit=True) as two,
        ThreadPoolExecutor(1) as pool,
    ):
        claim = _claim(one, prices)
        batch = batch_of(prices, [valid_message(prices), b"bad"])
        waiting: list[Future[Batch]] = []

        def let_the_other_begin(step: Step) -> None:
            if step == Step.BEFORE_COMMIT:
                waiting.append(pool.submit(load_batch, two, prices, claim, batch, 2))
                with pytest.raises(TimeoutError):
                    waiting[0].result(0.3)

        load_batch(one, prices, claim, batch, 2, let_the_other_begin)
        with pytest.raises(FencedError):
            waiting[0].result(10)
        assert _counts(one, prices) == (1, 1, 2)


class _CrashError(Exception):
    pass


@pytest.mark.parametrize("step", [Step.ADVANCED, Step.COPYING, Step.BEFORE_COMMIT])
def test_failure_before_commit_leaves_no_trace(
    tables: DatabaseEndpoint, prices: Contract, step: Step, batch_of
) -> None:
    def crash(reached: Step) -> None:
        if reached == step:
            raise _CrashError

    with connect(tables, autocommit=True) as connection:
        claim = _claim(connection, prices)
        with pytest.raises(_CrashError):
            load_batch(
                connection, prices, claim, batch_of(prices, [valid_message(prices), b"x"]), 2, crash
            )
        assert _counts(connection, prices) == (0, 0, 0)
        assert connection.execute("select count(*) from streaming.load_ledger").fetchone() == (0,)


def test_rows_that_postgres_refuses_are_isolated(
    tables: DatabaseEndpoint, prices: Contract, message, books_balance, batch_of
) -> None:
    refused = {0, 700, 701, 1999}
    values = [
        message(prices, number, price=5000 if number in refused else 10) for number in range(2000)
    ]
    with connect(tables, autocommit=True) as connection:
        connection.execute(
            "alter table streaming.bitcoin_prices_raw add constraint low check (price < 1000)"
        )
        claim = _claim(connection, prices)
        load_batch(connection, prices, claim, batch_of(prices, values), 2000)
        assert _counts(connection, prices) == (1996, 4, 2000)
        found = connection.execute(
            'select "offset", error_code, value from streaming.quarantine order by 1'
        ).fetchall()
    assert found == [(each, "refused_by_database", values[each]) for each in sorted(refused)]
    books_balance()


def test_only_the_refused_row_of_a_time_postgres_cannot_hold_is_isolated(
    tables: DatabaseEndpoint, prices: Contract, message, batch_of
) -> None:
    odd = message(prices, 2, event_timestamp="2020-01-01T00:00:00+23:59")
    with connect(tables, autocommit=True) as connection:
        claim = _claim(connection, prices)
        values = [message(prices, 1), odd, message(prices, 3)]
        load_batch(connection, prices, claim, batch_of(prices, values), 3)
        assert _counts(connection, prices) == (2, 1, 3)


def test_values_arrive_as_they_were_sent(
    tables: DatabaseEndpoint, news: Contract, message, ask, batch_of
) -> None:
    odd = "tab\t newline\n return\r backslash \\ \\N quote \" 'snow' ☃ \U0001f600 \x01"
    values = [
        message(news, 1, headline=odd, description=None),
        message(news, 2, headline=r"\N", description=""),
    ]
    with connect(tables, autocommit=True) as connection:
        load_batch(connection, news, _claim(connection, news), batch_of(news, values), 2)
    assert ask("select headline, description from streaming.news_events_raw order by id") == [
        (odd, None),
        (r"\N", ""),
    ]


def test_offsets_without_a_message_count_as_gaps(
    tables: DatabaseEndpoint, prices: Contract, books_balance, ask, batch_of
) -> None:
    batch = batch_of(prices, [valid_message(prices)] * 3, offsets=[3, 4, 9])
    with connect(tables, autocommit=True) as connection:
        claim = _claim(connection, prices)
        load_batch(connection, prices, claim, batch, 10)
    assert ask("select next_offset, rows_total, gap_total from streaming.stream_progress") == [
        (10, 3, 7)
    ]
    books_balance()


def test_row_that_was_loaded_before_stops_the_loader(
    tables: DatabaseEndpoint, prices: Contract, batch_of
) -> None:
    with connect(tables, autocommit=True) as connection:
        claim = _claim(connection, prices)
        batch = batch_of(prices, [valid_message(prices)])
        load_batch(connection, prices, claim, batch, 1)
        connection.execute("update streaming.stream_progress set next_offset = 0")
        connection.execute("delete from streaming.load_ledger")
        with pytest.raises(IntegrityError, match="never loaded"):
            load_batch(connection, prices, claim, batch, 1)


def test_batch_ends_where_too_many_were_bad(prices: Contract, batch_of) -> None:
    batch = batch_of(prices, [b"bad"] * 100, limit=BadLimit(count=10, share=0.5))
    assert (batch.hi, len(batch.rejected)) == (9, 10)
    assert batch.limit_reason == "10 of the last 10 messages were bad"


def test_few_bad_messages_among_many_do_not_halt(prices: Contract, batch_of) -> None:
    values = [b"bad" if number % 3 == 0 else valid_message(prices) for number in range(300)]
    batch = batch_of(prices, values, limit=BadLimit(count=10, share=0.5))
    assert batch.limit_reason is None
    assert len(batch.rejected) == 100


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
_TIMES = st.datetimes().map(lambda each: each.isoformat() + "Z") | st.from_regex(
    r"\A\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:?\d\d)\Z"
)


@st.composite
def _anything(draw: st.DrawFn, contract: Contract) -> bytes | None:
    """Bytes, or a message of the contract with some of its fields replaced."""
    if draw(st.booleans()):
        return draw(st.none() | st.binary(max_size=200))
    names = draw(st.lists(st.sampled_from(contract.column_names), max_size=3))
    changes = {name: draw(_JSON | _TIMES | st.floats() | st.text()) for name in names}
    text = json.dumps({**contract.example_event(), **changes}, ensure_ascii=draw(st.booleans()))
    return text.encode("utf-8", "surrogatepass")


@pytest.mark.parametrize("stream", ["bitcoin-prices", "news-events"])
def test_any_bytes_become_one_row_or_one_quarantine_entry(
    tables: DatabaseEndpoint, contracts: list[Contract], stream: str, books_balance, batch_of
) -> None:
    contract = next(each for each in contracts if each.stream == stream)
    with connect(tables, autocommit=True) as connection:

        @settings(
            max_examples=150,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
        )
        @given(st.lists(_anything(contract), min_size=1, max_size=6))
        def lands(values: list[bytes | None]) -> None:
            claim = _claim(connection, contract)
            before = _counts(connection, contract)
            batch = batch_of(contract, values, claim.next_offset)
            load_batch(connection, contract, claim, batch, 0)
            rows, quarantined, offset = (
                now - then for now, then in zip(_counts(connection, contract), before, strict=True)
            )
            assert rows + quarantined == offset == len(values)
            kept = connection.execute(
                'select value from streaming.quarantine where "offset" >= %s',
                (before[2],),
            ).fetchall()
            assert all(value in values for (value,) in kept)

        lands()
    books_balance()


def test_runaway_after_many_good_messages_halts_after_some_hundred(
    prices: Contract, batch_of
) -> None:
    values = [valid_message(prices)] * 20_000 + [b"bad"] * 5_000
    batch = batch_of(prices, values, limit=BadLimit())
    assert len(batch.rejected) == 500
    assert batch.limit_reason == "500 of the last 1,000 messages were bad"


def test_rows_that_the_database_refused_count_where_they_were() -> None:
    meter = BadMeter(BadLimit(count=10, share=0.5, window=20), seen=5_000)
    meter.turn_bad(range(100, 4_000))
    assert not meter.tripped
    meter.turn_bad(range(5, 15))
    assert meter.tripped
    meter.seen += 4
    meter.count_bad()
    assert meter.reason() == "11 of the last 20 messages were bad"
