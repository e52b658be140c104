"""Rows of text to COPY text: good rows checked and encoded, bad rows with their reason."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import compress, repeat
from typing import cast

from batch.formats import text
from batch.row_batch import RowBatch
from batch.sources import Column, Source

# Values seen before are not checked again. Sales have few distinct values a column, except ids;
# these bound what is remembered of those, and of long texts.
REMEMBERED_VALUES = 20_000
REMEMBERED_CHARACTERS = 2_000_000
NULL = "\\N"
LONGEST_QUOTED_VALUE = 60
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


@dataclass(frozen=True)
class Rejection:
    """A row that is not loaded: the line it starts on, the column (None: the row's shape)."""

    line: int
    column: str | None
    reason: str
    original: str


@dataclass(frozen=True)
class CheckedBatch:
    """COPY text of the good rows, how many they are, and the bad rows."""

    copy_text: str
    good: int
    rejections: list[Rejection]


class ValueEncoder:
    """COPY text of one column's values; remembers the good ones."""

    def __init__(self, column: Column) -> None:
        self.column = column
        self._encoded: dict[str, str] = {}
        self._characters = 0

    def encode(self, values: Sequence[str]) -> tuple[list[str | None], dict[str, str]]:
        """The COPY text of each value (None where it is bad) and the reason of each bad value."""
        if len(self._encoded) > REMEMBERED_VALUES or self._characters > REMEMBERED_CHARACTERS:
            self._encoded.clear()
            self._characters = 0
        texts = list(map(self._encoded.get, values))
        if None not in texts:
            return texts, {}
        new = {value for value, known in zip(values, texts, strict=True) if known is None}
        reasons = self._learn(new)
        return list(map(self._encoded.get, values)), reasons

    def _learn(self, values: Iterable[str]) -> dict[str, str]:
        reasons: dict[str, str] = {}
        for value in values:
            stripped = value.strip()
            reason = self._reason(stripped)
            if reason is None:
                self._encoded[value] = encode(stripped)
                self._characters += len(value)
            else:
                reasons[value] = reason
        return reasons

    def _reason(self, value: str) -> str | None:
        if not value:
            return "is empty"
        problem = text(value) or self.column.check(value)
        return f"{quoted(value)} {problem}" if problem else None


class RowValidator:
    """Checks and encodes the batches of one file."""

    def __init__(self, source: Source, positions: Sequence[int], width: int, file: str) -> None:
        self._positions = positions
        self._width = width
        self._file = encode(file)
        self._encoders = [ValueEncoder(column) for column in source.columns]

    def check(self, batch: RowBatch) -> CheckedBatch:
        """Good rows end with the file's name and the line number; blank rows are left out."""
        rows = batch.rows
        indexes: Sequence[int] = range(len(rows))
        rejections: list[Rejection] = []
        if set(map(len, rows)) != {self._width}:
            rows, indexes, rejections = self._rows_of_right_width(batch)
        if not rows:
            return CheckedBatch("", 0, rejections)
        encoded, bad = self._encode_columns(rows)
        lines = list(map(str, map(batch.lines.__getitem__, indexes)))
        good: Iterable[tuple[str, ...]] = zip(*encoded, repeat(self._file), lines, strict=False)
        if bad:
            good = compress(good, [row not in bad for row in range(len(rows))])
            rejections += [
                _rejection(batch, indexes[row], column, reason)
                for row, (column, reason) in bad.items()
                if not _blank(rows[row])
            ]
            rejections.sort(key=lambda rejection: rejection.line)
        copy_lines = list(map("\t".join, good))
        return CheckedBatch("\n".join([*copy_lines, ""]), len(copy_lines), rejections)

    def _encode_columns(
        self, rows: list[list[str]]
    ) -> tuple[list[list[str]], dict[int, tuple[str, str]]]:
        """The source's columns as COPY text, and column and reason of each bad row."""
        columns = list(zip(*rows, strict=True))
        encoded = []
        bad: dict[int, tuple[str, str]] = {}
        for encoder, position in zip(self._encoders, self._positions, strict=True):
            texts, reasons = encoder.encode(columns[position])
            encoded.append(texts)
            if reasons:
                _note_bad_rows(bad, encoder.column.header, columns[position], reasons)
        # Only bad rows hold None, and these are left out before they are joined.
        return cast(list[list[str]], encoded), bad

    def _rows_of_right_width(
        self, batch: RowBatch
    ) -> tuple[list[list[str]], list[int], list[Rejection]]:
        indexes: list[int] = []
        rejections: list[Rejection] = []
        for index, row in enumerate(batch.rows):
            if len(row) == self._width:
                indexes.append(index)
            elif not _blank(row):
                fields = "1 field" if len(row) == 1 else f"{len(row)} fields"
                reason = f"has {fields}, the header has {self._width}"
                rejections.append(_rejection(batch, index, None, reason))
        return [batch.rows[index] for index in indexes], indexes, rejections


def _blank(row: Sequence[str]) -> bool:
    return not any(map(str.strip, row))


def _note_bad_rows(
    bad: dict[int, tuple[str, str]], header: str, values: Sequence[str], reasons: dict[str, str]
) -> None:
    for row, value in enumerate(values):
        if value in reasons:
            bad.setdefault(row, (header, reasons[value]))


def _rejection(batch: RowBatch, index: int, column: str | None, reason: str) -> Rejection:
    return Rejection(batch.lines[index], column, reason, batch.original(index))


def encode(value: str | None) -> str:
    """A value in the text format of COPY; None and the empty text become NULL."""
    return value.translate(_ESCAPES) if value else NULL


def quoted(value: str) -> str:
    """A value as it is shown in a one-line message."""
    cut = value if len(value) <= LONGEST_QUOTED_VALUE else value[:LONGEST_QUOTED_VALUE] + "..."
    return repr(cut)
