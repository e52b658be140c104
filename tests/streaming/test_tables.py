"""The schema that the loader makes."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from insight.database import DatabaseEndpoint
from insight.errors import IntegrityError
from streaming.contract import Contract
from streaming.registry import open_registry
from streaming.tables import create_tables


def test_many_processes_can_create_the_tables_at_once(
    database: DatabaseEndpoint, contracts: list[Contract], ask
) -> None:
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda _: open_registry(database, contracts), range(16)):
            pass
    assert ask("select count(*) from streaming.streams") == [(len(contracts),)]


def test_raw_tables_have_the_columns_of_their_contracts(
    tables: DatabaseEndpoint, contracts: list[Contract], ask
) -> None:
    for contract in contracts:
        found = ask(
            """select column_name from information_schema.columns
               where table_schema = 'streaming' and table_name = %s order by ordinal_position""",
            contract.table,
        )
        assert [name for (name,) in found] == [
            *contract.column_names,
            "ingestion_timestamp",
            "_offset",
            "_partition_id",
            "_load_id",
        ]


def test_new_optional_field_becomes_a_column(
    tables: DatabaseEndpoint, prices: Contract, ask
) -> None:
    volume = replace(prices.columns[5], name="volume_24h")
    create_tables(tables, [replace(prices, columns=(*prices.columns, volume))])
    assert ask("select volume_24h from streaming.bitcoin_prices_raw") == []


def test_changed_type_of_a_field_is_refused(tables: DatabaseEndpoint, prices: Contract) -> None:
    columns = [
        replace(each, physical_type="text") if each.name == "price" else each
        for each in prices.columns
    ]
    with pytest.raises(IntegrityError, match="column price is numeric, its contract says text"):
        create_tables(tables, [replace(prices, columns=tuple(columns))])


def test_status_has_a_row_for_a_stream_that_never_ran(
    tables: DatabaseEndpoint, contracts: list[Contract], ask
) -> None:
    assert ask("select stream, state, rows_total from streaming.stream_status order by 1") == [
        (each.stream, "registered", 0) for each in sorted(contracts, key=lambda each: each.stream)
    ]
