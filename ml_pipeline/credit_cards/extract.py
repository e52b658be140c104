"""Extract: the customers of a CSV text, the last row of each, every cell as it was written."""

import csv
import io
from collections.abc import Iterator

import pandas as pd

from insight.errors import InputError
from ml_pipeline.credit_cards.options import CUSTOMER

# Names from files are upper case, so that no file has this column.
LINE = "_line"


def parse_customers(text: str, source: str) -> pd.DataFrame:
    """All rows of a CSV text in its order: `_line`, then its columns as stripped text.

    Column names lose their case. `source` names the file in errors. Raises InputError with file
    and line for a text that is empty, not CSV, without CUST_ID or without customers.
    """
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise InputError(
            "holds a NUL character", where=f"{source}:{line}", next_step="Save it as plain text"
        )
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        names = _column_names(next(reader, None), source)
        rows = list(_rows(reader, names, source))
    except csv.Error as error:
        raise InputError(
            f"is not valid CSV: {error}",
            where=f"{source}:{reader.line_num}",
            next_step="Check the quotes in this line and before it",
        ) from error
    if not rows:
        raise InputError(
            "holds no customers", where=source, next_step="Give it one line for each customer"
        )
    return pd.DataFrame(rows, columns=[LINE, *names])


def keep_last(customers: pd.DataFrame) -> pd.DataFrame:
    """The last row of each CUST_ID, ordered by CUST_ID: other row orders give the same result."""
    latest = customers.drop_duplicates(CUSTOMER, keep="last")
    return latest.sort_values(CUSTOMER, ignore_index=True)


def _column_names(header: list[str] | None, source: str) -> list[str]:
    names = [name.strip().upper() for name in header or []]
    if not any(names):
        raise InputError(
            "is empty" if header is None else "has an empty first line",
            where=source,
            next_step=f"Its first line must hold the column names, {CUSTOMER} among them",
        )
    if CUSTOMER not in names:
        raise InputError(
            f"has no column {CUSTOMER}, only {_few(names)}",
            where=f"{source}:1",
            next_step=f"Name the column with the customer's id {CUSTOMER}; commas part the columns",
        )
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(
            f"has the column {twice!r} twice",
            where=f"{source}:1",
            next_step="Remove or rename one of them",
        )
    return names


def _rows(
    reader: Iterator[list[str]], names: list[str], source: str
) -> Iterator[tuple[int | str, ...]]:
    position = names.index(CUSTOMER)
    for row in reader:
        if not row:
            continue
        line: int = reader.line_num  # type: ignore[attr-defined]
        if len(row) != len(names):
            raise InputError(
                f"has {len(row)} fields, its first line has {len(names)}",
                where=f"{source}:{line}",
                next_step="Give each line as many fields; quote a field that holds a comma",
            )
        cells = [cell.strip() for cell in row]
        if not cells[position] or not cells[position].isprintable():
            raise InputError(
                f"{CUSTOMER} is empty"
                if not cells[position]
                else f"{CUSTOMER} {cells[position][:60]!r} holds a character that cannot be shown",
                where=f"{source}:{line}",
                next_step="Give the customer an id or remove the line",
            )
        yield line, *cells


def _few(names: list[str]) -> str:
    return ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
