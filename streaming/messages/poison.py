"""Messages that break a contract, one for each way to break it, made from the contract itself."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from streaming.contract import Column, Contract
from streaming.messages.codec import VERSION_HEADER, Headers


@dataclass(frozen=True)
class Poison:
    """A message that must end in quarantine under `code`, at field `path`."""

    name: str
    value: bytes | None
    code: str
    path: str | None = None
    headers: Headers | None = None


def valid_message(contract: Contract) -> bytes:
    """The contract's example event as it travels."""
    return json.dumps(contract.example_event()).encode()


def poison_messages(contract: Contract) -> list[Poison]:
    """All of them, in a fixed order, under names that are unique within the contract."""
    return [
        *_broken_envelopes(contract),
        *_repeated_fields(contract),
        *_broken_versions(contract),
        *(poison for column in contract.columns for poison in _broken_column(contract, column)),
    ]


def _broken_envelopes(contract: Contract) -> Iterator[Poison]:
    valid = valid_message(contract)
    yield Poison("tombstone", None, "tombstone")
    yield Poison("empty", b"", "empty")
    yield Poison("not_json", b"price=1", "invalid_json")
    yield Poison("html", b"<html><body>Bad gateway</body></html>", "invalid_json")
    yield Poison("cut_off", valid[: len(valid) // 2], "invalid_json")
    yield Poison("two_messages", valid + valid, "invalid_json")
    yield Poison("byte_order_mark", b"\xef\xbb\xbf" + valid, "invalid_json")
    yield Poison("null", b"null", "wrong_type")
    yield Poison("array", b"[" + valid + b"]", "wrong_type")
    yield Poison("deep_nesting", b"[" * 100_000, "wrong_type")
    yield Poison("unknown_field", valid[:-1] + b', "not_in_contract": 1}', "unknown_field")
    yield Poison("nul_in_unknown_field", valid[:-1] + b', "a\\u0000b": 1}', "unknown_field")
    yield Poison("invalid_utf8_in_field_name", valid[:-1] + b', "\xff": 1}', "invalid_utf8")


def _repeated_fields(contract: Contract) -> Iterator[Poison]:
    valid, example = valid_message(contract), contract.example_event()
    for name in (contract.columns[0].name, contract.columns[-1].name):
        again = json.dumps({name: example[name]}).encode()
        value = again[:-1] + b", " + valid[1:]
        yield Poison(f"{name}_twice", value, "duplicate_field", name)


def _broken_versions(contract: Contract) -> Iterator[Poison]:
    valid = valid_message(contract)
    major, minor, _ = map(int, contract.version.split("."))
    for name, version in (
        ("next_minor", f"{major}.{minor + 1}.0"),
        ("next_major", f"{major + 1}.0.0"),
    ):
        headers: Headers = [(VERSION_HEADER, version.encode())]
        yield Poison(f"version_{name}", valid, "future_version", None, headers)
    unreadable: Headers = [(VERSION_HEADER, b"\x00\xff")]
    yield Poison("version_unreadable", valid, "bad_version", None, unreadable)
    without_value: Headers = [(VERSION_HEADER, None)]
    yield Poison("version_without_value", valid, "bad_version", None, without_value)


def _broken_column(contract: Contract, column: Column) -> Iterator[Poison]:
    name = column.name
    if column.required:
        yield Poison(f"{name}_missing", _without(contract, name), "missing_field")
        yield _with(contract, column, "null", b"null", "wrong_type")
    yield _with(contract, column, "object", b'{"a": 1}', "wrong_type")
    yield from {
        "string": _broken_string,
        "number": _broken_number,
        "integer": _broken_number,
        "boolean": _broken_boolean,
        "timestamp": _broken_time,
    }[column.logical_type](contract, column)


def _broken_string(contract: Contract, column: Column) -> Iterator[Poison]:
    yield _with(contract, column, "number", b"17", "wrong_type")
    yield _with(contract, column, "invalid_utf8", b'"a\xff\xfe"', "invalid_utf8", path=False)
    yield _with(contract, column, "lone_surrogate", b'"a\\ud800b"', "invalid_json", path=False)
    if column.enum:
        yield _with(contract, column, "not_in_enum", b'"no such value"', "out_of_range")
    elif column.options.get("pattern"):
        yield _with(contract, column, "off_pattern", b'"\\u2603"', "out_of_range")
    else:
        yield _with(contract, column, "nul", b'"a\\u0000b"', "nul_character")
    longest = column.options.get("maxLength")
    if isinstance(longest, int):
        too_long = json.dumps(str(column.example) + "x" * longest).encode()
        yield _with(contract, column, "too_long", too_long, "out_of_range")


def _broken_number(contract: Contract, column: Column) -> Iterator[Poison]:
    yield _with(contract, column, "string", b'"17"', "wrong_type")
    yield _with(contract, column, "nan", b"NaN", "invalid_json", path=False)
    yield _with(contract, column, "infinite", b"1e400", "out_of_range")
    yield _with(contract, column, "huge", b"9" * 400, "out_of_range")
    if column.logical_type == "integer":
        yield _with(contract, column, "past_bigint", b"9223372036854775808", "out_of_range")
    for bound, step in (("minimum", -1), ("exclusiveMinimum", 0), ("maximum", 1)):
        limit = column.options.get(bound)
        if isinstance(limit, int | float):
            beyond = str(limit + step).encode()
            yield _with(contract, column, f"beyond_{bound}", beyond, "out_of_range")


def _broken_boolean(contract: Contract, column: Column) -> Iterator[Poison]:
    yield _with(contract, column, "number", b"1", "wrong_type")
    yield _with(contract, column, "string", b'"true"', "wrong_type")


def _broken_time(contract: Contract, column: Column) -> Iterator[Poison]:
    for kind, text in (
        ("naive", "2020-01-01T00:00:00"),
        ("date", "2020-01-01"),
        ("year_300000", "300000-01-01T00:00:00Z"),
        ("31_february", "2020-02-31T00:00:00Z"),
        ("words", "yesterday"),
    ):
        yield _with(contract, column, kind, json.dumps(text).encode(), "bad_timestamp")
    yield _with(contract, column, "epoch", b"1577836800", "wrong_type")
    yield _with(contract, column, "year_9999", b'"9999-12-31T23:59:59Z"', "out_of_range")
    yield _with(contract, column, "year_1", b'"0001-01-01T00:00:00+14:00"', "out_of_range")


def _with(
    contract: Contract, column: Column, kind: str, literal: bytes, code: str, *, path: bool = True
) -> Poison:
    marker = "\x1fvalue\x1f"
    event = {**contract.example_event(), column.name: marker}
    value = json.dumps(event).encode().replace(json.dumps(marker).encode(), literal)
    return Poison(f"{column.name}_{kind}", value, code, column.name if path else None)


def _without(contract: Contract, name: str) -> bytes:
    event = {key: value for key, value in contract.example_event().items() if key != name}
    return json.dumps(event).encode()
