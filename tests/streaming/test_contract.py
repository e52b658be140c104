"""Contract files: what they must say, and what is rendered from them."""

import json
from dataclasses import replace
from importlib import resources
from pathlib import Path

import jsonschema
import pytest
import yaml

from insight.errors import InputError
from streaming.contract import CONTRACTS_DIR, load_contracts, read_contract
from streaming.dbt_sources import render_dbt_sources, source_file
from streaming.sources.catalogue import origin_of

FILES = sorted(CONTRACTS_DIR.glob("*.odcs.yaml"))
PRICES = CONTRACTS_DIR / "bitcoin-prices.odcs.yaml"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_contract_file_keeps_the_standard(file: Path) -> None:
    schema = resources.files("open_data_contract_standard") / "schema.json"
    jsonschema.validate(yaml.safe_load(file.read_text()), json.loads(schema.read_text()))


def test_every_file_of_the_folder_is_a_contract() -> None:
    assert [each.file for each in load_contracts()] == FILES


def test_tables_have_the_names_that_models_read() -> None:
    tables = {each.stream: each.table for each in load_contracts()}
    assert tables["bitcoin-prices"] == "bitcoin_prices_raw"
    assert tables["news-events"] == "news_events_raw"


def test_poll_interval_keeps_the_daily_number_of_requests() -> None:
    intervals = {each.stream: each.poll_interval_seconds for each in load_contracts()}
    assert intervals["bitcoin-prices"] == 30
    assert intervals["news-events"] == 864


@pytest.mark.parametrize("contract", load_contracts(), ids=lambda each: each.stream)
def test_named_source_exists(contract) -> None:
    assert origin_of(contract).name == contract.source


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (None, "names no source"),
        ("no_such_thing", "has no module"),
        ("interface", "neither an API nor a simulation"),
        ("account_simulator", "has no stream 'transactions'. It has account-transactions"),
    ],
)
def test_source_that_cannot_give_the_stream_is_refused(source: str | None, told: str) -> None:
    contract = next(each for each in load_contracts() if each.stream == "transactions")
    with pytest.raises(InputError, match=told) as refused:
        origin_of(replace(contract, source=source))
    assert str(contract.file) in str(refused.value)


BROKEN = {
    "not YAML": ("name: bitcoin-prices", "name: [", "not readable YAML"),
    "old standard": ("apiVersion: v3.2.0", "apiVersion: v2.2.0", "apiVersion"),
    "no version": ("version: 1.0.0", "version: one", "version"),
    "upper-case table": ("name: bitcoin_prices_raw", "name: BitcoinPrices", "schema.name"),
    "unknown type": ("logicalType: number", "logicalType: money", "price.logicalType"),
    "type that cannot hold it": ("physicalType: numeric", "physicalType: text", "price.physical"),
    "pattern": ("^[a-z]{3}$", "[a-z", "currency.logicalTypeOptions.pattern"),
    "bound": ("maximum: 1000000000", "maximum: many", "price.logicalTypeOptions.maximum"),
    "naive bound": ("2009-01-03T00:00:00Z", "2009-01-03T00:00:00", "event_timestamp"),
    "unknown option": ("exclusiveMinimum: 0", "smallest: 0", "logicalTypeOptions.smallest"),
    "option not checked": ("minLength: 1, maxLength: 64", "format: uri", "coin.logicalTypeOptions"),
    "enum of numbers": (
        "logicalTypeOptions: { exclusiveMinimum: 0, maximum: 1000000000 }",
        "enum: [{ value: 1 }]",
        "price.enum",
    ),
    "enum and pattern": (
        'logicalTypeOptions: { pattern: "^[a-z]{3}$" }',
        'logicalTypeOptions: { pattern: "^[a-z]{3}$" }\n        enum: [{ value: usd }]',
        "currency.enum",
    ),
    "no primary key": ("primaryKey: true", "primaryKey: false", "primary key"),
    "event time": ("value: event_timestamp", "value: price", "eventTime"),
    "topic": ("value: bitcoin-prices", "value: bitcoin prices", "topic"),
    "partitions": ("value: 4", "value: 0", "partitions"),
    "freshness": ("property: freshness", "property: freshnes", "freshness"),
    "unit": ("unit: s", "unit: fortnight", "unit"),
    "no description": ("description: Price of one coin in the currency unit.", "x: y", "price"),
    "no example": ("examples: [bitcoin]", "tags: [bitcoin]", "coin.examples"),
    "field of no standard": ("status: active", "state: active", "state"),
}


@pytest.mark.parametrize(("old", "new", "told"), BROKEN.values(), ids=BROKEN)
def test_broken_contract_is_refused_with_file_and_field(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    text = PRICES.read_text()
    assert old in text
    file = tmp_path / "broken.odcs.yaml"
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError) as refused:
        read_contract(file)
    assert str(file) in str(refused.value)
    assert told in str(refused.value)


def test_two_contracts_cannot_share_a_topic(tmp_path: Path) -> None:
    (tmp_path / "a.odcs.yaml").write_text(PRICES.read_text())
    (tmp_path / "b.odcs.yaml").write_text(PRICES.read_text().replace("name: bitcoin-", "name: x-"))
    with pytest.raises(InputError, match=r"b\.odcs\.yaml: table 'bitcoin_prices_raw' is taken"):
        load_contracts(tmp_path)


@pytest.mark.parametrize("domain", sorted({each.domain for each in load_contracts()}))
def test_committed_dbt_sources_are_up_to_date(project_root: Path, domain: str) -> None:
    committed = source_file(project_root / "dbt_pipeline", domain).read_text()
    assert committed == render_dbt_sources(load_contracts(), domain)
