"""Bytes of a message in, one line of COPY text or a named rejection out.

The message is decoded to check it, and its original text is copied: a number keeps all its
digits and no time is spent on formatting.

A field that stands twice has no value that one could rely on: such a message is rejected.
"""

import json
import re
from datetime import datetime
from operator import attrgetter
from typing import cast

import msgspec

from streaming.contract import Contract
from streaming.messages.copy_text import NULL, escaped, is_plain
from streaming.messages.message_types import TimeRange, checked_struct, text_struct, time_ranges

VERSION_HEADER = "contract_version"

FUTURE_VERSION = "future_version"

Headers = list[tuple[str, bytes | None]]

# Numbers stay texts: Python refuses an integer of thousands of digits that a float can hold.
_MEMBERS = json.JSONDecoder(object_pairs_hook=list, parse_int=str, parse_float=str, strict=False)

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


def storable(text: str) -> str:
    """What a verdict says, as a text column of Postgres can hold it.

    An error can quote the very character that such a column cannot hold.
    """
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")[:2000]


class Codec:
    """Decodes and checks the messages of one contract."""

    def __init__(self, contract: Contract):
        self._columns = contract.column_names
        self._version = _version_number(contract.version)
        self._check = msgspec.json.Decoder(checked_struct(contract)).decode
        self._texts = msgspec.json.Decoder(text_struct(contract)).decode
        self._values = attrgetter(*self._columns)
        self._event_time = attrgetter(contract.event_time)
        self._time_ranges = time_ranges(contract)

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
        _check_fields(value)
        for time_range in self._time_ranges:
            _check_range(time_range, message)
        return self._line([_text(each) for each in texts]), self._event_time(message)

    def check_version(self, headers: Headers | None) -> None:
        """Raises Rejection for a message written under a newer contract than ours.

        Its unknown fields would be refused anyway; what must not happen is that a known field
        with a new meaning lands unnoticed.
        """
        for name, value in headers or ():
            if name == VERSION_HEADER and _version_number(_ascii(value)) > self._version:
                text = f"written under contract {_ascii(value)}, newer than ours"
                raise Rejection(FUTURE_VERSION, text)

    def _line(self, texts: list[str]) -> str:
        line = "\t".join(texts)
        if "\0" in line:
            index = next(index for index, text in enumerate(texts) if "\0" in text)
            raise Rejection("nul_character", "text holds a NUL character", self._columns[index])
        return line if is_plain("".join(texts)) else "\t".join([escaped(each) for each in texts])


def _check_fields(value: bytes) -> None:
    """Refuse a field that stands twice: msgspec takes the last one and says nothing."""
    names = [name for name, _ in _MEMBERS.decode(value.decode())]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise Rejection("duplicate_field", f"field {twice} stands twice", twice)


def _check_range(time_range: TimeRange, message: object) -> None:
    value = time_range.value(message)
    if value is not None and not time_range.earliest <= value <= time_range.latest:
        text = f"{value.isoformat()} is out of range"
        raise Rejection("out_of_range", text, time_range.column)


def _text(value: object) -> str:
    if type(value) is str:
        return value
    if value is None:
        return NULL
    text = bytes(cast(msgspec.Raw, value)).decode()
    return NULL if text == "null" else text


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
