"""Raw rows that are deleted, and a raw table that gains a column."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from dbt.cli.main import dbtRunner
from increments.arrivals import Arrivals
from increments.warehouse import StreamingWarehouse

from insight.database import connect
from streaming.contract import CONTRACTS_DIR, read_contract_text
from streaming.model import Contract
from streaming.tables import create_tables

_CHANNEL = """\
      - name: channel
        logicalType: string
        physicalType: text
        description: Till or phone.
        examples: [till]
      - name: product_id
"""
_DESCRIBED_CHANNEL = """
    columns:
      - name: channel
        description: Till or phone.
"""


def test_models_keep_rows_deleted_from_raw_until_a_refresh_may_lose_them(
    streams: StreamingWarehouse,
) -> None:
    arrivals = Arrivals(random.Random(21))
    streams.land(arrivals, 30)
    streams.run()
    before = streams.tables()
    streams.execute("delete from streaming.transactions_raw where _offset % 3 = 0")
    streams.run()
    assert streams.tables() == before

    with pytest.raises(AssertionError, match=r"no longer in .* a full refresh would lose them"):
        streams.dbt("run", "--select", "stg_transactions", "--full-refresh")
    with pytest.raises(AssertionError, match="accept_deleted_rows: true"):
        streams.dbt("run", "--select", "stg_transactions", "--full-refresh", "--empty")
    assert streams.tables() == before

    streams.run("--full-refresh", "--vars", "accept_deleted_rows: true")
    streams.assert_as_computed_anew()
    streams.land(arrivals, 30)
    streams.run()
    streams.assert_as_computed_anew()
    streams.assert_as_full_refresh()


def test_rows_go_on_arriving_while_raw_rows_are_deleted(streams: StreamingWarehouse) -> None:
    """No event is lost or doubled, and no model fails; of a deleted row its copy counts."""
    arrivals = Arrivals(random.Random(22))
    seen: set[object] = set()
    for _ in range(3):
        streams.land(arrivals, 30)
        with connect(streams.endpoint) as connection:
            raw = connection.execute("select transaction_id from streaming.transactions_raw")
            seen |= {row[0] for row in raw.fetchall()}
        streams.run()
        streams.execute(
            "delete from streaming.transactions_raw where _offset % 3 = 0",
            "delete from streaming.bitcoin_prices_raw where _offset % 3 = 0",
        )
    streams.run()
    with connect(streams.endpoint) as connection:
        kept = connection.execute("select transaction_id from staging.stg_transactions").fetchall()
        counted = connection.execute(
            "select sum(transaction_count) from marts.fct_product_metrics_minute"
        ).fetchone()
    assert sorted(str(row[0]) for row in kept) == sorted(map(str, seen))
    assert counted == (len(seen),)


def test_a_column_that_a_contract_gains_reaches_the_models_with_a_full_refresh(
    streams: StreamingWarehouse,
    copy_project: Callable[[], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arrivals = Arrivals(random.Random(23))
    streams.land(arrivals, 20)
    streams.run()
    create_tables(streams.endpoint, [_contract_with_channel()])
    streams.execute("update streaming.transactions_raw set channel = 'till'")
    streams.land(arrivals, 20)
    streams.run()
    streams.assert_as_computed_anew()

    folder = copy_project()
    monkeypatch.chdir(folder)
    model = folder / "models" / "staging" / "retail" / "stg_transactions.sql"
    model.write_text(model.read_text().replace("customer_id,", "customer_id,\n        channel,"))
    described = folder / "models" / "staging" / "retail" / "_retail__models.yml"
    before, _, after = described.read_text().partition("  - name: stg_transactions\n")
    after = after.replace("\n    columns:\n", _DESCRIBED_CHANNEL, 1)
    described.write_text(f"{before}  - name: stg_transactions\n{after}")
    run = ["--quiet", "run", "--select", "stg_transactions"]
    refused = dbtRunner().invoke(run)
    assert "full_refresh: True" in str(refused.result)
    streams.assert_as_computed_anew()

    run += ["fct_pos_transactions", "fct_product_metrics_minute"]
    assert dbtRunner().invoke([*run, "--full-refresh"]).success
    streams.land(arrivals, 20)
    assert dbtRunner().invoke(run).success
    with connect(streams.endpoint) as connection:
        channels = connection.execute(
            "select distinct channel from staging.stg_transactions order by 1"
        ).fetchall()
    assert channels == [("till",), (None,)]


def _contract_with_channel() -> Contract:
    file = CONTRACTS_DIR / "transactions.odcs.yaml"
    text = file.read_text().replace("      - name: product_id\n", _CHANNEL, 1)
    return read_contract_text(text, file)
