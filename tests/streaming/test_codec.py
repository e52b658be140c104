"""Bytes in, COPY text or a verdict out."""

import json

import pytest

from streaming.contract import Contract, load_contracts
from streaming.messages.codec import Codec, Rejection
from streaming.messages.poison import Poison, poison_messages, valid_message

CONTRACTS = load_contracts()
PRICES = next(each for each in CONTRACTS if each.stream == "bitcoin-prices")
POISON = [(contract, poison) for contract in CONTRACTS for poison in poison_messages(contract)]


def _line(contract: Contract, **changes: object) -> list[str]:
    value = json.dumps({**contract.example_event(), **changes}).encode()
    return Codec(contract).copy_line(value)[0].split("\t")


def _read(codec: Codec, poison: Poison) -> None:
    codec.check_version(poison.headers)
    codec.copy_line(poison.value)


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda each: each.stream)
def test_example_of_a_contract_keeps_it(contract: Contract) -> None:
    line, _ = Codec(contract).copy_line(valid_message(contract))
    assert line.count("\t") == len(contract.columns) - 1


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda each: each.stream)
def test_each_kind_of_poison_has_its_own_name(contract: Contract) -> None:
    names = [each.name for each in poison_messages(contract)]
    assert len(names) == len(set(names)) > 50


@pytest.mark.parametrize(
    ("contract", "poison"), POISON, ids=[f"{c.stream}-{p.name}" for c, p in POISON]
)
def test_poison_is_rejected_with_code_and_path(contract: Contract, poison: Poison) -> None:
    with pytest.raises(Rejection) as rejected:
        _read(Codec(contract), poison)
    assert (rejected.value.code, rejected.value.path) == (poison.code, poison.path)


def test_number_keeps_the_digits_it_came_with() -> None:
    value = valid_message(PRICES).replace(b"7254.31", b"7254.310000000000000000012345")
    assert "\t7254.310000000000000000012345\t" in Codec(PRICES).copy_line(value)[0]


def test_absent_and_null_optional_fields_are_null() -> None:
    without = {key: value for key, value in PRICES.example_event().items() if key != "change_24h"}
    absent, _ = Codec(PRICES).copy_line(json.dumps(without).encode())
    assert absent.split("\t")[5] == r"\N" == _line(PRICES, change_24h=None)[5]


def test_text_that_looks_like_null_stays_text() -> None:
    assert _line(PRICES, coin=r"\N")[2] == r"\\N"


def test_text_cannot_break_out_of_its_column() -> None:
    assert _line(PRICES, coin="a\tb\nc\rd\\e")[2] == r"a\tb\nc\rd\\e"


@pytest.mark.parametrize("version", ["1.0.0", "1.0.7", "0.9.0"])
def test_message_of_this_or_an_older_contract_is_read(version: str) -> None:
    Codec(PRICES).check_version([("contract_version", version.encode()), ("other", b"\xff")])


@pytest.mark.parametrize("name", ["coin", "c\\u006fin"])
def test_field_that_stands_twice_is_rejected(name: str) -> None:
    value = valid_message(PRICES)[:-1] + f', "{name}": "ether"}}'.encode()
    with pytest.raises(Rejection, match="field coin stands twice") as caught:
        Codec(PRICES).copy_line(value)
    assert (caught.value.code, caught.value.path) == ("duplicate_field", "coin")


def test_a_version_header_without_a_value_is_rejected() -> None:
    with pytest.raises(Rejection):
        Codec(PRICES).check_version([("contract_version", None)])
