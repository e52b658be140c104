"""`verify` names the row that breaks an invariant."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import pytest
from psycopg import sql

from insight.database import Connection, DatabaseEndpoint, connect
from streaming import progress
from streaming.contract import Contract
from streaming.loading.load_batch import load_batch
from streaming.operating.halts import Loss, accept_losses
from streaming.operating.quarantine import Resolution, Selection, ignore, selected_ids
from streaming.operating.replay import replay
from streaming.operating.verify import Violation, has_streamed, verify
from streaming.progress import PartitionKey

OPERATOR = Resolution("operator", "tried again")


@pytest.fixture
def loaded(
    tables: DatabaseEndpoint, contracts: list[Contract], message, batch_of
) -> DatabaseEndpoint:
    """Some of everything that can be in the books, of two streams.

    Prices: offsets 0 to 11 of partition 0 in three loads, the messages at 1, 5, 9 and 10 bad (one
    of them replayed, one ignored) and 7 without a message; 12 to 19 lost and accepted, 20 to 23
    loaded. Then their topic was made anew and 0 to 3 loaded. Partition 1 has 0 to 3. News: 5 to 8.
    """
    prices, news = (
        next(each for each in contracts if each.stream == name)
        for name in ("bitcoin-prices", "news-events")
    )

    def load(contract: Contract, partition: int, offsets: list[int], bad: set[int]) -> None:
        key = PartitionKey("cluster", contract.topic, partition)
        values = [b"bad" if each in bad else message(contract, each) for each in offsets]
        claim = progress.claim(connection, contract.stream, key, "owner", offsets[0], 0)
        batch = batch_of(contract, values, claim.next_offset, offsets=offsets)
        load_batch(connection, contract, claim, batch, 0)

    with connect(tables, autocommit=True) as connection:
        bad = {1, 5, 9, 10}
        for offsets in ([0, 1, 2, 3], [4, 5, 6, 8], [9, 10, 11]):
            load(prices, 0, offsets, bad)
        load(prices, 1, [0, 1, 2, 3], set())
        load(news, 0, [5, 6, 7, 8], {6})
        first, second, third, *_ = selected_ids(connection, Selection(stream=prices.stream))
        mended = message(prices, 99)
        replay(connection, contracts, [first], OPERATOR, mended)
        replay(connection, contracts, [second], OPERATOR, mended)
        ignore(connection, [third], OPERATOR)
        key = PartitionKey("cluster", prices.topic, 0)
        accept_losses(connection, prices.stream, [Loss(key, 12, 20, 20, is_recreated=False)])
        load(prices, 0, [20, 21, 22, 23], set())
        accept_losses(connection, prices.stream, [Loss(key, 24, 24, 0, is_recreated=True)])
        load(prices, 0, [0, 1, 2, 3], {2})
    return tables


@dataclass(frozen=True)
class Tampering:
    """One statement upon the row of a table that stands at `ctid`."""

    table: str
    ctid: str
    what: str

    def statement(self) -> sql.Composed:
        table = sql.Identifier("streaming", self.table)
        if self.what == "duplicate":
            names = _COPIED[self.table]
            text = f"insert into {{table}} ({names}) select {names} from {{table}}"
        elif self.what == "delete":
            text = "delete from {table}"
        else:
            text = f"update {{table}} set {self.what}"
        return sql.SQL(text + " where ctid = {ctid}").format(  # type: ignore[arg-type]
            table=table, ctid=sql.Literal(self.ctid)
        )


# The columns that a second row of the same content would have.
_COPIED = {
    "bitcoin_prices_raw": "id, source, coin, currency, price, change_24h, event_timestamp,"
    " _offset, _partition_id, _load_id",
    "news_events_raw": "id, source, url, headline, description, category, source_name, word_count,"
    " has_crypto_mention, published_at, event_timestamp, _offset, _partition_id, _load_id",
    "load_ledger": "stream, partition_id, cluster_id, topic, partition, lo, hi, rows, quarantined,"
    " gaps, gap_offsets",
    "quarantine": 'stream, partition_id, cluster_id, topic, partition, "offset", error_code,'
    " error_text, contract_version, status, replay_load_id",
    "stream_progress": "stream, cluster_id, topic, partition, first_offset, next_offset, epoch,"
    " owner, high_watermark, rows_total, quarantined_total, gap_total",
}
_RAW = (
    "delete",
    "duplicate",
    "_offset = _offset + 1000",
    "_offset = _offset + 1",
    "_offset = _offset - 1",
    "_offset = -1",
    "_partition_id = _partition_id + 1",
    "_partition_id = _partition_id - 1",
    "_partition_id = 1000",
    "_load_id = _load_id + 1",
    "_load_id = _load_id - 1",
    "_load_id = 1000",
)
_PLACE = (
    "stream = 'other'",
    "partition_id = partition_id + 1",
    "partition_id = 1000",
    "cluster_id = 'other'",
    "topic = 'other'",
    "partition = partition + 7",
)
_TAMPERINGS = {
    # At 7 there was no message.
    "bitcoin_prices_raw": (*_RAW, "_offset = 7"),
    "news_events_raw": _RAW,
    "quarantine": (
        "delete",
        "duplicate",
        '"offset" = "offset" + 1000',
        '"offset" = "offset" + 1',
        '"offset" = "offset" - 1',
        '"offset" = 7',
        '"offset" = 15',
        "status = case status when 'replayed' then 'open' else 'replayed' end",
        "replay_load_id = coalesce(replay_load_id, 0) + 1",
        "replay_load_id = case when replay_load_id is null then 1 end",
        *_PLACE,
    ),
    "load_ledger": (
        "delete",
        "duplicate",
        # The number of a load without rows is nobody's business.
        "load_id = load_id + 1000 * sign(rows)::integer, gaps = gaps - (rows = 0)::integer",
        "lo = lo - 1",
        "lo = lo + 1",
        "hi = hi - 1",
        "hi = hi + 1",
        "lo = lo + 1, hi = hi + 1",
        "rows = rows + 1",
        "rows = rows + 1, hi = hi + 1",
        "rows = rows - 1, quarantined = quarantined + 1",
        "rows = rows - 1, gaps = gaps + 1",
        "quarantined = quarantined - 1, gaps = gaps + 1",
        "quarantined = quarantined + 1, rows = rows - 1",
        "gaps = gaps - 1",
        "gap_offsets = coalesce(gap_offsets, '{{}}') + int8multirange(int8range(lo, lo + 2))",
        *_PLACE,
    ),
    "stream_progress": (
        "delete",
        "duplicate",
        "first_offset = first_offset - 1",
        "first_offset = first_offset + 1",
        "next_offset = next_offset - 1",
        "next_offset = next_offset + 1",
        "rows_total = rows_total + 1",
        "rows_total = rows_total + 1, quarantined_total = quarantined_total - 1",
        "rows_total = rows_total - 1, gap_total = gap_total + 1",
        "gap_total = gap_total - 1, next_offset = next_offset - 1",
        "stream = 'other'",
        "cluster_id = 'other'",
        "topic = 'other'",
        "partition = partition + 7",
    ),
}


def _tamperings(connection: Connection) -> Iterator[Tampering]:
    for table, ways in _TAMPERINGS.items():
        rows = connection.execute(
            sql.SQL("select ctid::text from {}").format(sql.Identifier("streaming", table))
        ).fetchall()
        for (ctid,), way in product(rows, ways):
            yield Tampering(table, str(ctid), way)


_WITHOUT_CONSTRAINTS = """
do $$
declare found record;
begin
    for found in
        select conrelid::regclass as name, conname from pg_constraint
        where connamespace = 'streaming'::regnamespace and contype in ('u', 'p')
    loop
        execute format('alter table %s drop constraint %I', found.name, found.conname);
    end loop;
end $$
"""


def test_any_row_that_is_changed_by_hand_is_found(loaded: DatabaseEndpoint) -> None:
    """Every row, in every way, one at a time."""
    missed = []
    with connect(loaded) as connection:
        connection.execute(_WITHOUT_CONSTRAINTS)
        assert [str(each) for each in verify(connection)] == []
        tamperings = list(_tamperings(connection))
        assert len(tamperings) > 500
        for each in tamperings:
            connection.execute("savepoint untouched")
            assert connection.execute(each.statement()).rowcount == 1
            found = verify(connection)
            if not found or not all(violation.detail for violation in found):
                missed.append(each)
            connection.execute("rollback to savepoint untouched")
    assert missed == []


# Of prices, as `loaded` made them: the first generation of partition 0, and partition 1.
_NAMED = """
create temporary view zero as select min(partition_id) as id from streaming.stream_progress;
create temporary view one as select partition_id as id from streaming.stream_progress
    where stream = 'bitcoin-prices' and partition = 1;
"""

_TOGETHER = {
    "rows of two loads exchange their offsets": (
        """update streaming.bitcoin_prices_raw set _offset = 8 - _offset
           where _partition_id = (table zero) and _offset in (2, 6)""",
        "I1",
    ),
    "rows of two partitions exchange their places": (
        """update streaming.bitcoin_prices_raw
           set _partition_id = zero.id + one.id - _partition_id from zero, one
           where (_partition_id, _offset) in ((zero.id, 4), (one.id, 3))""",
        "I1",
    ),
    "a row stands at the offset of a message that is in quarantine": (
        """update streaming.bitcoin_prices_raw set _offset = 9
           where _partition_id = (table zero) and _offset = 11""",
        "I2",
    ),
    "a quarantined message moved within its load": (
        """update streaming.quarantine set "offset" = 7
           where partition_id = (table zero) and "offset" = 5""",
        "I1",
    ),
    "progress and ledger leave the last load out": (
        """delete from streaming.load_ledger where partition_id = (table one);
           update streaming.stream_progress set next_offset = 0, rows_total = 0
           where partition_id = (table one)""",
        "I1",
    ),
    "a load and its rows are gone": (
        """delete from streaming.bitcoin_prices_raw
           where _partition_id = (table zero) and _offset < 4;
           delete from streaming.quarantine where partition_id = (table zero) and "offset" < 4;
           delete from streaming.load_ledger where partition_id = (table zero) and lo = 0""",
        "I3",
    ),
    "a raw table was emptied": ("truncate streaming.news_events_raw", "I1"),
    "a raw table is gone": ("drop table streaming.news_events_raw", "registry"),
    "the registry was emptied": ("delete from streaming.streams", "registry"),
    "a stream is not registered": (
        "delete from streaming.streams where stream = 'news-events'",
        "registry",
    ),
    "the tables of two streams are exchanged": (
        """update streaming.streams set table_name = case stream
               when 'news-events' then 'bitcoin_prices_raw' else 'news_events_raw' end
           where stream in ('news-events', 'bitcoin-prices')""",
        "I2",
    ),
    "all progress is gone": ("delete from streaming.stream_progress", "I3"),
    "the ledger is gone": ("drop table streaming.load_ledger cascade", "registry"),
    "everything but the rows is gone": (
        """truncate streaming.streams, streaming.stream_progress, streaming.load_ledger,
           streaming.quarantine""",
        "registry",
    ),
}


@pytest.mark.parametrize(("statement", "broken"), _TOGETHER.values(), ids=_TOGETHER)
def test_damage_of_several_rows_is_found(
    loaded: DatabaseEndpoint, statement: str, broken: str
) -> None:
    with connect(loaded) as connection:
        assert [str(each) for each in verify(connection)] == []
        connection.execute(_WITHOUT_CONSTRAINTS + ";" + _NAMED)
        connection.execute(statement)
        found = verify(connection)
        assert has_streamed(connection)
    assert broken in {each.invariant for each in found}


def test_violation_names_stream_place_and_load(loaded: DatabaseEndpoint, prices: Contract) -> None:
    with connect(loaded) as connection:
        connection.execute(_NAMED)
        connection.execute(
            """delete from streaming.bitcoin_prices_raw
               where _partition_id = (table one) and _offset = 3"""
        )
        found = verify(connection)
    place = f", {prices.topic}@1[1] of cluster"
    assert found[0] == Violation(
        "I1",
        "bitcoin-prices",
        place,
        "3 rows + 0 quarantined + 0 gaps, but offsets 0 to 3 were passed",
    )
    assert str(found[1]).startswith(f"I1: bitcoin-prices{place}: load ")
    assert found[1].detail.endswith("has 3 rows at offsets 0 to 2, the books say 4 rows at 0 to 3")


def test_empty_database_has_nothing_to_complain_about(database: DatabaseEndpoint) -> None:
    with connect(database) as connection:
        assert verify(connection) == []
        assert not has_streamed(connection)


def test_streams_that_never_ran_have_nothing_to_complain_about(tables: DatabaseEndpoint) -> None:
    with connect(tables) as connection:
        assert verify(connection) == []
        assert not has_streamed(connection)
