"""Many messages at once into lines of COPY text, when all of them keep the contract.

One call into the decoder for a thousand messages, and one for each column of numbers or times,
costs half of what one call a message does. It tells nothing about a bad message: the caller then
asks `Codec`, which says what is wrong with each.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import numpy as np

from streaming.contract import Column, Contract
from streaming.messages.copy_text import NULL, escaped, is_plain
from streaming.messages.message_types import (
    ABSENT,
    TEXT_TYPES,
    checked_type,
    column_struct,
    time_ranges,
)

# A string in JSON holds no raw line feed and an object no number without a name: so no message,
# however broken, can swallow the mark between itself and the next one.
_MARK = b"\n,0,\n"

_ABSENT_LITERAL = msgspec.Raw(b"null")


@dataclass(frozen=True)
class Chunk:
    """`lines` are tab-separated columns without line end; `newest` is the latest event time."""

    lines: list[str]
    newest: datetime


class ChunkCodec:
    """Decodes and checks the messages of one contract, many at once."""

    def __init__(self, contract: Contract):
        self._struct = column_struct(contract)
        self._decode = msgspec.json.Decoder(list[self._struct | int]).decode  # type: ignore[name-defined]
        ranges = {each.column: each for each in time_ranges(contract)}
        self._columns: list[_Texts] = [
            _Times(column, ranges[column.name].earliest, ranges[column.name].latest)
            if column.logical_type == "timestamp"
            else _Strings(column)
            if column.logical_type in TEXT_TYPES
            else _Literals(column)
            for column in contract.columns
        ]
        self._event_time = contract.column_names.index(contract.event_time)

    def decode(self, values: Sequence[bytes | None], offsets: Sequence[int]) -> Chunk | None:
        """The lines of all messages, each ending with its offset; None when any of them is bad.

        `values` and `offsets` have the same length, above 0.
        """
        try:
            return self._chunk(values, offsets)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, _UnfitError):
            return None
        except TypeError:
            return None  # a message is missing, or a bare number and no object

    def _chunk(self, values: Sequence[bytes | None], offsets: Sequence[int]) -> Chunk:
        body = b"[" + _MARK.join(values) + b"\n,0]"  # type: ignore[arg-type]
        marked: list[Any] = self._decode(body)
        messages = marked[::2]
        if len(marked) != 2 * len(values) or any(marked[1::2]):
            raise _UnfitError
        columns = list(zip(*map(msgspec.structs.astuple, messages), strict=True))
        texts = [
            column.texts(values) for column, values in zip(self._columns, columns, strict=True)
        ]
        self._check_members(body, len(values))
        event_time = self._columns[self._event_time]
        assert isinstance(event_time, _Times)
        return Chunk(
            list(map("\t".join, zip(*texts, map(str, offsets), strict=True))), event_time.newest
        )

    def _check_members(self, body: bytes, messages: int) -> None:
        """Refuse a field that stands twice: the decoder takes the last one and says nothing.

        A message that fits has one colon for each of its fields and those within its texts. A
        colon of a text can also be written as an escape, which would make up for one too many.
        """
        fields = messages * len(self._columns) - sum(column.absent for column in self._columns)
        if _colons(body) != fields + sum(column.colons for column in self._columns):
            raise _UnfitError
        if b"\\" in body and (b"\\u003a" in body or b"\\u003A" in body):
            raise _UnfitError


def _colons(text: bytes) -> int:
    # bytes.count takes five times as long, as much as a tenth of the whole decoding.
    return int(np.count_nonzero(np.frombuffer(text, np.uint8) == ord(":")))


def _text_colons(text: str) -> int:
    return _colons(text.encode()) if ":" in text else 0


class _UnfitError(Exception):
    """The chunk needs a look at each message."""


class _Texts(ABC):
    """One column: its values as they were decoded in, their COPY texts out.

    `absent` of the values given last were no field of their message; the texts of the others
    hold `colons`.
    """

    absent = 0
    colons = 0

    @abstractmethod
    def texts(self, values: Sequence[Any]) -> Sequence[str]:
        """The COPY text of each value. Raises _UnfitError when one of them is not good."""

    def _with_nulls(self, values: Sequence[Any]) -> Sequence[Any]:
        """The values with None for those that are absent, which are counted."""
        self.absent = values.count(ABSENT)
        return [None if each is ABSENT else each for each in values] if self.absent else values


class _Strings(_Texts):
    def __init__(self, column: Column):
        self._required = column.required

    def texts(self, values: Sequence[str | None]) -> Sequence[str]:
        if not self._required:
            values = self._with_nulls(values)
        present: Sequence[str] = values if self._required else [each or "" for each in values]  # type: ignore[assignment]
        together = "".join(present)
        if "\0" in together:
            raise _UnfitError
        self.colons = _text_colons(together)
        if not is_plain(together):
            present = [escaped(each) for each in present]
        if self._required:
            return present
        return [
            NULL if value is None else text for value, text in zip(values, present, strict=True)
        ]


class _Times(_Texts):
    """`newest` is the latest time of the values that were given last."""

    def __init__(self, column: Column, earliest: datetime, latest: datetime):
        self._required = column.required
        self._earliest, self._latest = earliest, latest
        self._decode = msgspec.json.Decoder(list[checked_type(column)]).decode  # type: ignore[misc]
        self.newest = latest

    def texts(self, values: Sequence[str | None]) -> Sequence[str]:
        self.colons = 0
        if not self._required:
            values = self._with_nulls(values)
        present: Sequence[str] = (
            values if self._required else [each for each in values if each is not None]  # type: ignore[assignment]
        )
        if present:
            self._check(present)
        return present if self._required else [NULL if each is None else each for each in values]

    def _check(self, present: Sequence[str]) -> None:
        together = '["' + '","'.join(present) + '"]'
        times = self._decode(together)
        self.newest = max(times)
        if len(times) != len(present) or min(times) < self._earliest or self.newest > self._latest:
            raise _UnfitError
        self.colons = _text_colons(together)


class _Literals(_Texts):
    """Numbers and booleans: checked together, copied as they were written."""

    def __init__(self, column: Column):
        self._required = column.required
        kind = checked_type(column)
        self._check = msgspec.json.Decoder(list[kind if column.required else kind | None]).decode  # type: ignore[misc]

    def texts(self, values: Sequence[msgspec.Raw]) -> Sequence[str]:
        if not self._required:
            values = self._present(values)
        together = b",".join(values)
        if len(self._check(b"[" + together + b"]")) != len(values):
            raise _UnfitError
        texts = together.decode().split(",")
        return texts if self._required else [NULL if each == "null" else each for each in texts]

    def _present(self, values: Sequence[Any]) -> Sequence[msgspec.Raw]:
        self.absent = values.count(ABSENT)
        if not self.absent:
            return values
        return [_ABSENT_LITERAL if each is ABSENT else each for each in values]
