"""Bytes of a message in, one line of COPY text or a named rejection out.

The message is decoded to check it, and its original text is copied: a number keeps all its
digits and no time is spent on formatting.

A key that stands twice in an object has its last value, as in most JSON readers: finding that out
would take a second, slower decoder for every message.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from typing import Annotated, Any, Literal, cast

import msgspec

from streaming.contract import Column, Contract

VERSION_HEADER = "contract_version"

Headers = list[tuple[str, bytes | None]]

# Without these bounds a time that Python can hold could fall outside what a client of Postgres
# can read back, once its offset is taken off.
_EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)

_INTEGER_BITS = {"smallint": 16, "integer": 32, "bigint": 64}
_NULL = r"\N"
_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})
_PATH = re.compile(r" - at `\$?\.?([^`]*)`$")


class Rejection(Exception):  # noqa: N818 (a verdict on a message, not a failure of the loader)
    """The message breaks its contract.

    `code` is one word for counting, `path` the field, `text` the reason in a sentence.
    """

    def __init__(self, code: str, text: str, path: str | None = None):
        super().__init__(text)
        self.code = code
        self.text = text
        self.path = path


@dataclass(frozen=True)
class _TimeRange:
    column: str
    earliest: datetime
    latest: datetime
    value: Callable[[Any], datetime | None]

    def check(self, message: object) -> None:
        value = self.value(message)
        if value is not None and not self.earliest <= value <= self.latest:
            raise Rejection("out_of_range", f"{value.isoformat()} is out of range", self.column)


class Codec:
    """Decodes and checks the messages of one contract."""

    def __init__(self, contract: Contract):
        self._columns = contract.column_names
        self._version = _version_number(contract.version)
        self._check = msgspec.json.Decoder(_message_type(contract)).decode
        self._texts = msgspec.json.Decoder(_text_type(contract)).decode
        self._values = attrgetter(*self._columns)
        self._event_time = attrgetter(contract.event_time)
        self._tabs = len(self._columns) - 1
        self._time_ranges = _time_ranges(contract)

    def copy_line(self, value: bytes | None) -> tuple[str, datetime]:
        """The columns of a message as COPY text (tab-separated, no line end), and its event time.

        Raises Rejection when the message breaks the contract.
        """
        if not value:
            raise _absent(value)
        try:
            message = self._check(value)
            texts = self._values(self._texts(value))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _rejection(error) from error
        for time_range in self._time_ranges:
            time_range.check(message)
        return self._line([_text(each) for each in texts]), self._event_time(message)

    def check_version(self, headers: Headers | None) -> None:
        """Raises Rejection for a message written under a newer contract than ours.

        Its unknown fields would be refused anyway; what must not happen is that a known field
        with a new meaning lands unnoticed.
        """
        for name, value in headers or ():
            if name == VERSION_HEADER and _version_number(_ascii(value)) > self._version:
                text = f"written under contract {_ascii(value)}, newer than ours"
                raise Rejection("future_version", text)

    def _line(self, texts: list[str]) -> str:
        line = "\t".join(texts)
        if "\0" in line:
            index = next(index for index, text in enumerate(texts) if "\0" in text)
            raise Rejection("nul_character", "text holds a NUL character", self._columns[index])
        plain = (
            line.count("\t") == self._tabs
            and "\\" not in line
            and "\n" not in line
            and "\r" not in line
        )
        return line if plain else "\t".join([_escaped(each) for each in texts])


def _text(value: object) -> str:
    if type(value) is str:
        return value
    if value is None:
        return _NULL
    text = bytes(cast(msgspec.Raw, value)).decode()
    return _NULL if text == "null" else text


def _escaped(text: str) -> str:
    # By identity: a message whose text reads \N means these two characters, not NULL.
    return text if text is _NULL else text.translate(_ESCAPES)


def _message_type(contract: Contract) -> type[msgspec.Struct]:
    """A struct that a message decodes into only when it keeps the contract."""
    fields: list[Any] = []
    for column in contract.columns:
        checked = _checked_type(column)
        fields.append(
            (column.name, checked) if column.required else (column.name, checked | None, None)
        )
    return msgspec.defstruct(_type_name(contract), fields, forbid_unknown_fields=True, kw_only=True)


def _text_type(contract: Contract) -> type[msgspec.Struct]:
    """A struct that keeps the text of every value as it was written."""
    fields: list[Any] = []
    for column in contract.columns:
        if column.logical_type in ("string", "timestamp"):
            fields.append((column.name, str | None, None))
        else:
            fields.append((column.name, msgspec.Raw, msgspec.Raw(b"null")))
    return msgspec.defstruct(f"{_type_name(contract)}Text", fields, kw_only=True)


def _type_name(contract: Contract) -> str:
    return "".join(part.capitalize() for part in re.split(r"[^A-Za-z0-9]+", contract.stream))


def _checked_type(column: Column) -> Any:
    if column.enum:
        return Literal[column.enum]
    if column.logical_type == "string":
        return _constrained(str, column, pattern="pattern", min_length="minLength",
                            max_length="maxLength")  # fmt: skip
    if column.logical_type == "timestamp":
        return Annotated[datetime, msgspec.Meta(tz=True)]
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


def _constrained(kind: type, column: Column, **options: str) -> Any:
    meta: dict[str, Any] = {
        name: column.options[odcs] for name, odcs in options.items() if odcs in column.options
    }
    return Annotated[kind, msgspec.Meta(**meta)] if meta else kind


def _time_ranges(contract: Contract) -> list[_TimeRange]:
    ranges = []
    for column in contract.columns:
        if column.logical_type == "timestamp":
            earliest = column.options.get("minimum", _EARLIEST)
            latest = column.options.get("maximum", _LATEST)
            assert isinstance(earliest, datetime)
            assert isinstance(latest, datetime)
            ranges.append(_TimeRange(column.name, earliest, latest, attrgetter(column.name)))
    return ranges


def _absent(value: bytes | None) -> Rejection:
    if value is None:
        return Rejection("tombstone", "the message has no value")
    return Rejection("empty", "the value has no bytes")


def _rejection(error: Exception) -> Rejection:
    """Sort a decoding error; msgspec tells kind and field in its sentence only."""
    text = " ".join(str(error).split())
    if isinstance(error, UnicodeDecodeError):
        return Rejection("invalid_utf8", text)
    if not isinstance(error, msgspec.ValidationError):
        return Rejection("invalid_json", text)
    found = _PATH.search(text)
    path = found.group(1) if found else None
    return Rejection(_validation_code(text), text, path)


def _validation_code(text: str) -> str:
    if "unknown field" in text:
        return "unknown_field"
    if "missing required field" in text:
        return "missing_field"
    if "RFC3339" in text or "timezone" in text:
        return "bad_timestamp"
    return "wrong_type" if ", got `" in text else "out_of_range"


def _ascii(value: bytes | None) -> str:
    return (value or b"").decode("ascii", "replace")[:50]


def _version_number(version: str) -> tuple[int, int]:
    """(major, minor): a patch changes no meaning. Raises Rejection when it is no version."""
    parts = version.split(".")
    try:
        return int(parts[0]), int(parts[1])
    except (ValueError, IndexError):
        raise Rejection("bad_version", f"{version!r} is not a contract version") from None
