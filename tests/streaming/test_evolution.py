"""Which changes of a contract are compatible."""

import json
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.errors import InputError
from streaming import evolution
from streaming.contract import Contract
from streaming.evolution import Weight, changes, check_evolution
from streaming.messages.codec import Codec, Rejection
from streaming.model import Column

Edit = Callable[[Contract], Contract]


def _column(name: str, logical: str, physical: str, example: object, **more: object) -> Column:
    base = Column(name, logical, physical, True, False, "A field.", (), {}, example)
    return replace(base, **more)  # type: ignore[arg-type]


CONTRACT = Contract(
    stream="orders",
    version="1.2.3",
    domain="shop",
    description="Orders.",
    table="orders_raw",
    table_description="One row an order.",
    columns=(
        _column("id", "string", "text", "a", primary_key=True),
        _column("at", "timestamp", "timestamptz", "2020-01-01T00:00:00Z",
                options={"minimum": datetime(2000, 1, 1, tzinfo=UTC)}),
        _column("amount", "number", "numeric", 1, options={"exclusiveMinimum": 0, "maximum": 9}),
        _column("code", "string", "text", "abc",
                options={"pattern": "^[a-z]+$", "minLength": 2, "maxLength": 5}),
        _column("kind", "string", "text", "new", enum=("new", "old"), required=False),
    ),
    key="id",
    event_time="at",
    topic="orders",
    partitions=4,
    freshness_seconds=60,
    retention_seconds=600,
    poll_interval_seconds=None,
    source=None,
    file=Path("orders.odcs.yaml"),
)  # fmt: skip


def column(name: str, /, **values: object) -> Edit:
    def edit(contract: Contract) -> Contract:
        return replace(
            contract,
            columns=tuple(
                replace(each, **values) if each.name == name else each  # type: ignore[arg-type]
                for each in contract.columns
            ),
        )

    return edit


def contract(**values: object) -> Edit:
    return lambda old: replace(old, **values)  # type: ignore[arg-type]


def added(new: Column) -> Edit:
    return lambda old: replace(old, columns=(*old.columns, new))


def removed(name: str) -> Edit:
    return lambda old: replace(old, columns=tuple(c for c in old.columns if c.name != name))


NOTE = _column("note", "string", "text", "x", required=False)
INCOMPATIBLE: dict[str, tuple[Edit, str]] = {
    "field removed": (removed("kind"), "kind is removed or renamed"),
    "field renamed": (column("kind", name="sort"), "kind is removed or renamed"),
    "required field added": (added(replace(NOTE, required=True)), "note is new and required"),
    "logical type": (column("code", logical_type="number"), "code changes its type"),
    "physical type": (column("amount", physical_type="bigint"), "from numeric to bigint"),
    "made required": (column("kind", required=True), "kind becomes required"),
    "upper bound lower": (
        column("amount", options={"exclusiveMinimum": 0, "maximum": 8}),
        "amount has a tighter upper bound",
    ),
    "upper bound exclusive": (
        column("amount", options={"exclusiveMinimum": 0, "exclusiveMaximum": 9}),
        "amount has a tighter upper bound",
    ),
    "lower bound higher": (
        column("amount", options={"minimum": 1, "maximum": 9}),
        "amount has a tighter lower bound",
    ),
    "earliest time later": (
        column("at", options={"minimum": datetime(2001, 1, 1, tzinfo=UTC)}),
        "at has a tighter lower bound",
    ),
    "new latest time": (
        column("at", options={"minimum": datetime(2000, 1, 1, tzinfo=UTC),
                              "maximum": datetime(2030, 1, 1, tzinfo=UTC)}),
        "at has a tighter upper bound",
    ),
    "shorter": (
        column("code", options={"pattern": "^[a-z]+$", "minLength": 2, "maxLength": 4}),
        "code has a tighter longest length",
    ),
    "longer at least": (
        column("code", options={"pattern": "^[a-z]+$", "minLength": 3, "maxLength": 5}),
        "code has a tighter shortest length",
    ),
    "other pattern": (
        column("code", options={"pattern": "^[b-z]+$", "minLength": 2, "maxLength": 5}),
        "code has another pattern",
    ),
    "new pattern": (column("id", options={"pattern": "a"}), "id has another pattern"),
    "enum value removed": (column("kind", enum=("new",)), "kind may not be 'old' any more"),
    "enum added": (column("id", enum=("a",)), "id may be some values only"),
    "other key": (contract(key="code"), "key changes from id to code"),
    "other event time": (contract(event_time="id"), "event_time changes"),
    "other topic": (contract(topic="orders-2"), "topic changes from orders to orders-2"),
    "other table": (contract(table="orders_2_raw"), "table changes"),
}  # fmt: skip

COMPATIBLE: dict[str, tuple[Edit, Weight]] = {
    "optional field added": (added(NOTE), Weight.minor),
    "made optional": (column("code", required=False), Weight.minor),
    "wider bounds": (column("amount", options={"minimum": 0, "maximum": 10}), Weight.minor),
    "no bounds": (column("amount", options={}), Weight.minor),
    "longer text": (
        column("code", options={"pattern": "^[a-z]+$", "minLength": 2, "maxLength": 6}),
        Weight.minor,
    ),
    "no pattern": (column("code", options={"minLength": 2, "maxLength": 5}), Weight.minor),
    "new enum value": (column("kind", enum=("new", "old", "used")), Weight.minor),
    "no enum": (column("kind", enum=()), Weight.minor),
    "field described anew": (column("code", description="Other words."), Weight.patch),
    "other example": (column("code", example="xyz"), Weight.patch),
    "other description": (contract(description="All orders."), Weight.patch),
    "other freshness": (contract(freshness_seconds=30), Weight.patch),
    "other retention": (contract(retention_seconds=30), Weight.patch),
    "other order of fields": (lambda c: replace(c, columns=c.columns[::-1]), Weight.patch),
}


@pytest.mark.parametrize(("edit", "told"), INCOMPATIBLE.values(), ids=INCOMPATIBLE)
@pytest.mark.parametrize("version", ["1.3.0", "2.0.0"])
def test_incompatible_change_is_refused_in_any_version(edit: Edit, told: str, version: str) -> None:
    with pytest.raises(InputError) as refused:
        check_evolution(CONTRACT, replace(edit(CONTRACT), version=version))
    assert told in str(refused.value)
    assert "a name, a topic and a table of its own" in str(refused.value)


@pytest.mark.parametrize(("edit", "weight"), COMPATIBLE.values(), ids=COMPATIBLE)
def test_compatible_change_needs_its_part_of_the_version(edit: Edit, weight: Weight) -> None:
    new = edit(CONTRACT)
    found = check_evolution(CONTRACT, replace(new, version="1.3.0"))
    assert max(each.weight for each in found) is weight
    for version, is_enough in (
        ("1.2.3", False),
        ("1.2.4", weight is Weight.patch),
        ("2.0.0", True),
    ):
        if is_enough:
            check_evolution(CONTRACT, replace(new, version=version))
        else:
            with pytest.raises(InputError, match=r"Raise the version to 1\.(3\.0|2\.4)"):
                check_evolution(CONTRACT, replace(new, version=version))


def test_lower_version_is_refused() -> None:
    with pytest.raises(InputError, match=r"version 1\.2\.2 is lower than 1\.2\.3"):
        check_evolution(CONTRACT, replace(CONTRACT, version="1.2.2"))


def test_versions_are_compared_as_numbers() -> None:
    tenth = replace(CONTRACT, version="1.10.0")
    assert check_evolution(replace(CONTRACT, version="1.9.0"), tenth) == []


def test_every_part_of_a_contract_is_compared() -> None:
    compared = {*evolution._IDENTITY, *evolution._PROMISES, "columns"}
    assert {each.name for each in fields(Contract)} - compared == {"stream", "version", "file"}


def test_same_contract_changes_nothing() -> None:
    assert list(changes(CONTRACT, CONTRACT)) == []


_EDITS = st.lists(
    st.sampled_from([edit for edit, _ in [*INCOMPATIBLE.values(), *COMPATIBLE.values()]]),
    min_size=1,
    max_size=3,
)
_MESSAGES = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["a", "b", ""]),
        "at": st.sampled_from(
            ["2000-01-01T00:00:00Z", "2000-06-01T00:00:00Z", "2020-01-01T00:00:00Z",
             "2040-01-01T00:00:00Z"]
        ),
        "amount": st.sampled_from([0, 0.5, 1, 8, 8.5, 9, 10]),
        "code": st.sampled_from(["a", "ab", "abc", "abcde", "abcdef", "bcd", "B"]),
    },
    optional={"kind": st.sampled_from(["new", "old", "used", None])},
)  # fmt: skip


def _accepts(contract: Contract, message: dict[str, object]) -> bool:
    try:
        Codec(contract).copy_line(json.dumps(message).encode())
    except Rejection:
        return False
    return True


@given(_EDITS, st.lists(_MESSAGES, min_size=5, max_size=30))
def test_every_message_of_the_old_contract_keeps_an_accepted_new_one(
    edits: list[Edit], messages: list[dict[str, object]]
) -> None:
    new = CONTRACT
    for edit in edits:
        new = edit(new)
    try:
        check_evolution(CONTRACT, replace(new, version="3.0.0"))
    except InputError:
        return
    for message in messages:
        assert _accepts(new, message) or not _accepts(CONTRACT, message)
