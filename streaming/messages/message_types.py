"""Python types that a message decodes into only when it keeps its contract."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from typing import Annotated, Any, Literal

import msgspec

from streaming.contract import Column, Contract

# Without these bounds a time that Python can hold could fall outside what a client of Postgres
# can read back, once its offset is taken off.
_EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)

_INTEGER_BITS = {"smallint": 16, "integer": 32, "bigint": 64}

TIME = Annotated[datetime, msgspec.Meta(tz=True)]

TEXT_TYPES = ("string", "timestamp")

# What an optional field of a `column_struct` holds when the message does not name it.
ABSENT = False


@dataclass(frozen=True)
class TimeRange:
    """What the times of a column must lie in, both ends included."""

    column: str
    earliest: datetime
    latest: datetime
    value: Callable[[Any], datetime | None]


def checked_struct(contract: Contract) -> type[msgspec.Struct]:
    """A struct that a message decodes into only when it keeps the contract."""
    kinds = {column.name: checked_type(column) for column in contract.columns}
    return _struct(contract, "", kinds, absent=None)


def text_struct(contract: Contract) -> type[msgspec.Struct]:
    """A struct that keeps the text of every value as it was written, and checks nothing."""
    fields: list[Any] = [
        (column.name, str | None, None)
        if column.logical_type in TEXT_TYPES
        else (column.name, msgspec.Raw, msgspec.Raw(b"null"))
        for column in contract.columns
    ]
    return msgspec.defstruct(_type_name(contract, "Text"), fields, kw_only=True)


def column_struct(contract: Contract) -> type[msgspec.Struct]:
    """A struct that checks fields and strings; times stay strings, the rest stays raw.

    A field that the message does not name is ABSENT, which is not the same as one that is null.
    """
    kinds: dict[str, Any] = {}
    for column in contract.columns:
        if column.logical_type == "string":
            kinds[column.name] = checked_type(column)
        else:
            kinds[column.name] = str if column.logical_type == "timestamp" else msgspec.Raw
    return _struct(contract, "Columns", kinds, absent=ABSENT)


def checked_type(column: Column) -> Any:
    """The type of one present value of a column, with the bounds of its contract."""
    if column.enum:
        return Literal[column.enum]
    if column.logical_type == "string":
        return _constrained(str, column, pattern="pattern", min_length="minLength",
                            max_length="maxLength")  # fmt: skip
    if column.logical_type == "timestamp":
        return TIME
    if column.logical_type == "boolean":
        return bool
    bounds = {"ge": "minimum", "le": "maximum", "gt": "exclusiveMinimum", "lt": "exclusiveMaximum"}
    if column.logical_type == "number":
        return _constrained(float, column, **bounds)
    half = 2 ** (_INTEGER_BITS[column.physical_type] - 1)
    limits: dict[str, Any] = {
        name: column.options[odcs] for name, odcs in bounds.items() if odcs in column.options
    }
    if not limits.keys() & {"ge", "gt"}:
        limits["ge"] = -half
    if not limits.keys() & {"le", "lt"}:
        limits["le"] = half - 1
    return Annotated[int, msgspec.Meta(**limits)]


def time_ranges(contract: Contract) -> list[TimeRange]:
    """The range of each column of times, in the order of the columns."""
    ranges = []
    for column in contract.columns:
        if column.logical_type == "timestamp":
            earliest = column.options.get("minimum", _EARLIEST)
            latest = column.options.get("maximum", _LATEST)
            assert isinstance(earliest, datetime)
            assert isinstance(latest, datetime)
            ranges.append(TimeRange(column.name, earliest, latest, attrgetter(column.name)))
    return ranges


def _struct(
    contract: Contract, suffix: str, kinds: dict[str, Any], *, absent: object
) -> type[msgspec.Struct]:
    fields: list[Any] = []
    for column in contract.columns:
        kind = kinds[column.name]
        if column.required:
            fields.append((column.name, kind))
        else:
            optional = kind if kind is msgspec.Raw else kind | None
            fields.append((column.name, optional, absent))
    return msgspec.defstruct(
        _type_name(contract, suffix), fields, forbid_unknown_fields=True, kw_only=True
    )


def _constrained(kind: type, column: Column, **options: str) -> Any:
    meta: dict[str, Any] = {
        name: column.options[odcs] for name, odcs in options.items() if odcs in column.options
    }
    return Annotated[kind, msgspec.Meta(**meta)] if meta else kind


def _type_name(contract: Contract, suffix: str) -> str:
    parts = re.split(r"[^A-Za-z0-9]+", contract.stream)
    return "".join(part.capitalize() for part in parts) + suffix
