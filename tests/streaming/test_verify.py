"""`verify` names the row that breaks an invariant."""

import pytest

from insight.database import DatabaseEndpoint, connect
from streaming import progress
from streaming.contract import Contract
from streaming.loading.load_batch import load_batch
from streaming.progress import PartitionId
from streaming.verify import verify

TAMPERING = {
    "a row was deleted": ("delete from streaming.bitcoin_prices_raw where _offset = 3", {"I1"}),
    "a quarantined message was deleted": ("delete from streaming.quarantine", {"I1"}),
    "a row was stored twice": (
        """alter table streaming.bitcoin_prices_raw drop constraint bitcoin_prices_raw_offset_key;
           insert into streaming.bitcoin_prices_raw
           select * from streaming.bitcoin_prices_raw where _offset = 3""",
        {"I1", "I2"},
    ),
    "a quarantined message was stored as a row too": (
        """insert into streaming.bitcoin_prices_raw
           select raw.id, raw.source, coin, currency, price, change_24h, event_timestamp,
               ingestion_timestamp, _cluster_id, _topic, _partition, quarantine."offset", _load_id
           from streaming.bitcoin_prices_raw as raw, streaming.quarantine where _offset = 3""",
        {"I1", "I2"},
    ),
    "a load is missing": ("delete from streaming.load_ledger where lo = 20", {"I1", "I3"}),
    "the last load is missing": (
        "delete from streaming.load_ledger where hi = 59",
        {"I1", "I4"},
    ),
    "a load says more rows": (
        "update streaming.load_ledger set rows = 21 where lo = 20",
        {"I1", "I3"},
    ),
    "a row was moved to another offset": (
        "update streaming.bitcoin_prices_raw set _offset = 1003 where _offset = 3",
        {"I1"},
    ),
    "a row was moved to another load": (
        "update streaming.bitcoin_prices_raw set _load_id = _load_id + 1 where _offset = 3",
        {"I1"},
    ),
    "progress moved by itself": (
        "update streaming.stream_progress set next_offset = 70",
        {"I1", "I4"},
    ),
    "progress is gone": ("delete from streaming.stream_progress", {"I1", "I3"}),
}


@pytest.fixture
def loaded(tables: DatabaseEndpoint, prices: Contract, message, batch_of) -> DatabaseEndpoint:
    """Offsets 0 to 59 in three loads; the message at 7 was bad."""
    partition = PartitionId("cluster", prices.topic, 0)
    with connect(tables, autocommit=True) as connection:
        for lo in (0, 20, 40):
            values = [
                b"bad" if number == 7 else message(prices, number) for number in range(lo, lo + 20)
            ]
            claim = progress.claim(connection, prices.stream, partition, "owner", 0, 60)
            load_batch(connection, prices, claim, batch_of(prices, values, lo), 60)
    return tables


@pytest.mark.parametrize(("statement", "broken"), TAMPERING.values(), ids=TAMPERING)
def test_tampering_is_found(loaded: DatabaseEndpoint, statement: str, broken: set[str]) -> None:
    with connect(loaded) as connection:
        assert verify(connection) == []
        connection.execute(statement)
        found = verify(connection)
    assert {each.invariant for each in found} == broken
    assert {each.stream for each in found} == {"bitcoin-prices"}
    assert all("bitcoin-prices" in str(each) and each.detail for each in found)


def test_empty_database_has_nothing_to_complain_about(database: DatabaseEndpoint) -> None:
    with connect(database) as connection:
        assert verify(connection) == []
