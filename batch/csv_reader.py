"""Comma-separated files: UTF-8 with or without BOM, any line end, quoted fields."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate, chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from batch.row_batch import BATCH_ROWS, RowBatch, Table
from insight.errors import InputError

if TYPE_CHECKING:
    from _csv import _reader

LONGEST_HEADER = 100_000
OTHER_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "bars"}
WORKBOOK_START = b"PK\x03\x04"


@contextmanager
def open_csv(path: Path) -> Iterator[Table]:
    """The file as a table; only one batch of it is in memory at a time.

    Raises InputError, also while the batches are read, when the file is empty, is not UTF-8, not
    CSV or not separated by commas.
    """
    _refuse_workbook(path)
    with open(path, encoding="utf-8-sig", newline="") as file, _decode_errors_located(path):
        first = file.readline(LONGEST_HEADER)
        _refuse_unreadable_header(path, first)
        physical = _PhysicalLines(chain([first], file))
        reader = csv.reader(chain.from_iterable(physical.chunks()), strict=True)
        with _csv_errors_located(path, reader):
            yield Table(next(reader), _batches(reader, physical))


def _refuse_workbook(path: Path) -> None:
    with open(path, "rb") as file:
        if file.read(len(WORKBOOK_START)) == WORKBOOK_START:
            raise InputError(
                "is an Excel workbook, not a CSV file",
                where=str(path),
                next_step="Rename it to .xlsx",
            )


def _refuse_unreadable_header(path: Path, line: str) -> None:
    if not line.strip():
        raise InputError(
            "is empty" if not line else "has an empty first line",
            where=str(path),
            next_step="Its first line must hold the column names",
        )
    if len(line) == LONGEST_HEADER:
        raise InputError(f"has no line end in {LONGEST_HEADER:,} characters", where=str(path))
    for delimiter, name in OTHER_DELIMITERS.items():
        if line.count(delimiter) > line.count(","):
            raise InputError(
                f"is separated by {name} ({delimiter!r}), not by commas",
                where=str(path),
                next_step="Save it as comma-separated CSV",
            )


class _PhysicalLines:
    """The lines of a file on their way to the CSV reader, and the latest of them again.

    A bad row is shown as it stands in the file; lines before the batch at hand are forgotten.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._kept: list[str] = []
        self._first = 1

    def chunks(self) -> Iterator[list[str]]:
        while chunk := list(islice(self._lines, BATCH_ROWS)):
            self._kept += chunk
            yield chunk

    def since(self, line: int) -> list[str]:
        """The lines from number `line` on that were passed so far; those before are dropped."""
        del self._kept[: line - self._first]
        self._first = line
        return self._kept.copy()


def _batches(reader: "_reader", physical: _PhysicalLines) -> Iterator[RowBatch]:
    while True:
        before = reader.line_num
        rows = list(islice(reader, BATCH_ROWS))
        if not rows:
            return
        yield _batch(before + 1, reader.line_num, rows, physical.since(before + 1))


def _batch(first: int, last: int, rows: list[list[str]], physical: list[str]) -> RowBatch:
    starts: Sequence[int] = range(first, last + 1)
    if len(starts) > len(rows):
        starts = list(accumulate(map(_line_count, rows[:-1]), initial=first))

    def original(index: int) -> str:
        end = starts[index + 1] if index + 1 < len(starts) else last + 1
        return "".join(physical[starts[index] - first : end - first]).rstrip("\r\n")

    return RowBatch(starts, rows, original)


def _line_count(row: list[str]) -> int:
    """How many lines a row takes: quoted fields may hold line ends of every kind."""
    ends = (f.count("\n") + f.count("\r") - f.count("\r\n") for f in row)
    return 1 + sum(ends)


@contextmanager
def _csv_errors_located(path: Path, reader: "_reader") -> Iterator[None]:
    try:
        yield
    except csv.Error as error:
        raise InputError(
            f"is not valid CSV: {error}",
            where=f"{path}:{reader.line_num}",
            next_step="Check the quotes in this line and before it",
        ) from error


@contextmanager
def _decode_errors_located(path: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        raise InputError(
            "is not UTF-8 text",
            where=f"{path}:{_first_undecodable_line(path)}",
            next_step="Save the file as UTF-8",
        ) from error


def _first_undecodable_line(path: Path) -> int:
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        for number, line in enumerate(file, start=1):
            if not line.isascii() and any("\udc80" <= char <= "\udcff" for char in line):
                return number
    raise AssertionError("a file that cannot be decoded has a line that cannot")
