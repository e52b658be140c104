"""Excel workbooks: the first sheet, each cell as the text that the CSV file would hold."""

import csv
import io
import logging
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from batch.row_batch import BATCH_ROWS, RowBatch, Table
from insight.errors import InputError

logger = logging.getLogger(__name__)

# What openpyxl and the standard library raise on a file that was cut or changed.
DAMAGE = (
    zipfile.BadZipFile, zlib.error, EOFError, OSError, SyntaxError, ValueError, LookupError,
    TypeError, AttributeError, ArithmeticError, RuntimeError,
)  # fmt: skip


@contextmanager
def open_xlsx(path: Path) -> Iterator[Table]:
    """The first sheet as a table, read as a stream.

    Raises InputError, also while the batches are read, when the file is not a workbook, is
    damaged or its first sheet is empty.
    """
    with _openpyxl_silenced():
        workbook = _open_workbook(path)
        try:
            yield _first_sheet(path, workbook)
        finally:
            workbook.close()


def _first_sheet(path: Path, workbook: Any) -> Table:
    if len(workbook.sheetnames) > 1:
        logger.warning("%s: only its first sheet %r is read", path, workbook.sheetnames[0])
    sheet = workbook.worksheets[0]
    # Some programs write a wrong sheet size, after which openpyxl would drop cells.
    sheet.reset_dimensions()
    rows = _rows(path, sheet)
    header = next(rows, [])
    if not any(header):
        raise InputError(
            "is empty",
            where=str(path),
            next_step="The first row of its first sheet must hold the column names",
        )
    return Table(header, _batches(rows, len(header)))


def _rows(path: Path, sheet: Any) -> Iterator[list[str]]:
    # Only what the reading of a row raises is damage, never what is done with the row.
    with _damage_located(path):
        for cells in sheet.rows:
            yield _texts(cells)


@contextmanager
def _openpyxl_silenced() -> Iterator[None]:
    """It warns about styles, which do not matter, and about values that are checked later."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="openpyxl")
        yield


@contextmanager
def _damage_located(path: Path) -> Iterator[None]:
    try:
        yield
    except DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"is a damaged Excel workbook ({reason})", where=str(path)) from error


def _open_workbook(path: Path) -> Any:
    reason: Exception | None = None
    with _damage_located(path):
        try:
            workbook = openpyxl.load_workbook(path, read_only=True, data_only=True)
            if workbook.worksheets:
                return workbook
        except (zipfile.BadZipFile, InvalidFileException, KeyError, OSError) as error:
            reason = error
    raise InputError(
        "is not an Excel workbook (.xlsx)",
        where=str(path),
        next_step="Save it from Excel as .xlsx, or as CSV with the ending .csv",
    ) from reason


def _batches(rows: Iterator[list[str]], width: int) -> Iterator[RowBatch]:
    """Rows without empty cells at the end are filled up to the header's width."""
    line = 2
    while batch := [row + [""] * (width - len(row)) for row in islice(rows, BATCH_ROWS)]:
        yield _batch(line, batch)
        line += len(batch)


def _batch(first_line: int, rows: list[list[str]]) -> RowBatch:
    return RowBatch(
        list(range(first_line, first_line + len(rows))), rows, lambda index: _joined(rows[index])
    )


def _joined(row: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(row)
    return line.getvalue()


def _texts(cells: Iterable[Any]) -> list[str]:
    # Looking up a cell's format is slow, and only numbers need it.
    texts = [
        value if isinstance(value := cell.value, str) else cell_text(value, cell.number_format)
        for cell in cells
    ]
    while texts and not texts[-1]:
        texts.pop()
    return texts


def cell_text(value: object, number_format: str | None = None) -> str:
    """A cell as in the published CSV: a date as 1/31/2019, 18 percent as 18%, 5.0 as 5."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return _day_text(value) if value.time() == time() else value.isoformat(" ")
    if isinstance(value, date):
        return _day_text(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if number_format and "%" in number_format:
        # Without this, 100 % (a cell value of 1) would read as 1, which means one percent.
        return f"{_number_text(value * 100)}%"
    return _number_text(value)


def _day_text(day: date) -> str:
    return f"{day.month}/{day.day}/{day.year}"


def _number_text(value: float) -> str:
    """Excel shows 15 significant digits: 0.1 + 0.2 is 0.3 there."""
    return format(Decimal(f"{value:.15g}"), "f") if isinstance(value, float) else str(value)
