"""A chunk is decoded as its messages one by one would be, or not at all."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.contract import Contract, load_contracts
from streaming.messages.chunk_codec import ChunkCodec
from streaming.messages.codec import Codec, Rejection
from streaming.messages.poison import poison_messages, valid_message

_CONTRACTS = load_contracts()
_CODECS = {each.stream: (Codec(each), ChunkCodec(each)) for each in _CONTRACTS}

every_contract = pytest.mark.parametrize("contract", _CONTRACTS, ids=lambda each: each.stream)


def one_by_one(contract: Contract, values: list[bytes | None]) -> list[str] | None:
    codec = _CODECS[contract.stream][0]
    try:
        return [f"{codec.copy_line(value)[0]}\t{number}" for number, value in enumerate(values)]
    except Rejection:
        return None


def together(contract: Contract, values: list[bytes | None]) -> list[str] | None:
    chunk = _CODECS[contract.stream][1].decode(values, range(len(values)))
    return None if chunk is None else chunk.lines


@every_contract
def test_good_messages_become_the_same_lines(contract: Contract) -> None:
    values: list[bytes | None] = [valid_message(contract)] * 3
    assert together(contract, values) == one_by_one(contract, values) != None  # noqa: E711


@every_contract
def test_newest_event_time_is_that_of_the_newest_message(contract: Contract) -> None:
    codec, chunks = _CODECS[contract.stream]
    event = contract.example_event()
    times = ["2019-12-30T10:00:00+02:00", "2019-12-30T09:00:00Z", "2019-12-30T08:59:00Z"]
    values = [json.dumps({**event, contract.event_time: each}).encode() for each in times]
    chunk = chunks.decode(values, [0, 1, 2])
    assert chunk is not None
    assert chunk.newest == max(codec.copy_line(each)[1] for each in values)


@every_contract
def test_every_poison_spoils_its_chunk(contract: Contract) -> None:
    valid = valid_message(contract)
    for poison in poison_messages(contract):
        if poison.headers is None:
            assert together(contract, [valid, poison.value, valid]) is None, poison.name


def texts() -> st.SearchStrategy[str]:
    return st.text(max_size=12) | st.sampled_from(["\\N", "null", "a\tb", "a\\b", "\r\n", '"', ","])


def events(contract: Contract) -> st.SearchStrategy[dict[str, object]]:
    """Events near the contract: most values fit, some do not."""
    changes: dict[str, st.SearchStrategy[object]] = {}
    for column in contract.columns:
        near = {
            "string": texts(),
            "number": st.floats(allow_nan=False, allow_infinity=False) | st.integers(),
            "integer": st.integers(),
            "boolean": st.booleans(),
            "timestamp": st.datetimes().map(lambda each: each.isoformat() + "Z"),
        }[column.logical_type]
        changes[column.name] = st.just(column.example) | near | st.none()
    whole = contract.example_event()
    return st.fixed_dictionaries({}, optional=changes).map(lambda some: {**whole, **some})


def broken_bytes() -> st.SearchStrategy[bytes]:
    """Messages cut, joined and marked in ways that could make two of them look like one."""
    pieces = [b'{"a":"', b'"}', b"0", b"\n,0,\n", b",", b"{", b"}", b"[", b"]", b"7", b""]
    return st.lists(st.sampled_from(pieces), max_size=5).map(b"".join)


@st.composite
def members(draw: st.DrawFn, contract: Contract) -> bytes:
    """The fields of a message written one by one: some left out, some twice, colons as escapes."""
    example = contract.example_event()
    optional = [each.name for each in contract.columns if not each.required]
    left_out = draw(st.sets(st.sampled_from(optional))) if optional else set()
    names = [name for name in contract.column_names if name not in left_out]
    names += draw(st.lists(st.sampled_from(contract.column_names), max_size=2))
    colon = draw(st.sampled_from([":", ":", "\\u003a", "\\u003A"]))
    gap = draw(st.sampled_from(["", " ", "\n"]))
    fields = []
    for name in names:
        value = None if name in optional and draw(st.booleans()) else example[name]
        text = json.dumps(value).replace(":", colon)
        fields.append(f'"{name}"{gap}:{gap}{text}')
    return ("{" + ",".join(fields) + "}").encode()


@every_contract
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_chunk_agrees_with_one_by_one(contract: Contract, data: st.DataObject) -> None:
    valid = valid_message(contract)
    event = events(contract).map(lambda each: json.dumps(each).encode())
    cut = st.integers(0, len(valid)).map(lambda place: valid[:place])
    rest = st.integers(0, len(valid)).map(lambda place: valid[place:])
    values: list[bytes | None] = data.draw(
        st.lists(st.just(valid) | event | cut | rest | broken_bytes(), min_size=1, max_size=6)
    )
    assert together(contract, values) == one_by_one(contract, values)


@every_contract
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_fields_left_out_or_repeated_are_judged_alike(
    contract: Contract, data: st.DataObject
) -> None:
    """Only an escaped colon may send a good chunk to the slower judge."""
    values = data.draw(st.lists(members(contract), min_size=1, max_size=4))
    fast, slow = together(contract, list(values)), one_by_one(contract, list(values))
    assert fast == slow or (fast is None and any(b"\\u003" in each for each in values))


def test_escaped_colon_does_not_hide_a_repeated_field() -> None:
    contract = next(each for each in _CONTRACTS if each.stream == "news-events")
    valid = valid_message(contract)
    escaped = valid.replace(b"https:", b"https\\u003a", 1)
    assert escaped != valid
    source = json.dumps({"source": contract.example_event()["source"]}).encode()
    assert one_by_one(contract, [escaped]) is not None
    assert together(contract, [escaped[:-1] + b"," + source[1:]]) is None


def test_halves_of_two_messages_are_not_taken_for_one() -> None:
    contract = next(each for each in _CONTRACTS if each.stream == "transactions")
    valid = valid_message(contract)
    half = len(valid) // 2
    for values in (
        [valid + b"\n,0,\n" + valid[:half], valid[half:]],
        [valid[:half], valid[half:] + b"\n,0,\n" + valid],
        [valid[:-1] + b', "x": "', b'"}', valid + b"," + valid],
        [valid + b",0," + valid, b""],
    ):
        assert together(contract, values) is None
