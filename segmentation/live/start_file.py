"""The file of customers from which live segments start, in the shape of customer_segments_full.csv.

One row a customer. `segment` is not read: segments are found, not taken over. The figures of a
customer's past stand for movements that nobody has any more: as many as are remembered, of mean
size, evenly spaced at the customer's pace up to the last one.
"""

import csv
import hashlib
import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

import numpy as np

from insight.errors import InputError
from segmentation.live.accounts import (
    CENTS_A_DOLLAR,
    RECENT,
    VALUE_UNITS_A_DOLLAR,
    Accounts,
    Integers,
    no_movements,
)
from segmentation.live.features import DAY

KEY = "customer_id"
AS_OF = "last_updated"
# What a customer is and has, beside its movements: kept as it stands in the file.
PROFILE = (
    "income",
    "debt",
    "tenure",
    "credit_default",
    "digital_engagement_score",
    "total_products_owned",
)
FIGURES = (
    "balance",
    "customer_lifetime_value",
    "days_from_last_transaction",
    "avg_transaction_amt",
    "num_transactions",
    "transaction_freq",
)
COLUMNS = (
    KEY, "income", "balance", "customer_lifetime_value", "debt", "tenure", "credit_default",
    "days_from_last_transaction", "avg_transaction_amt", "num_transactions",
    "digital_engagement_score", "total_products_owned", "transaction_freq", AS_OF,
)  # fmt: skip

_DAYS_A_MONTH = 30
_WHOLE = ("tenure", "num_transactions", "total_products_owned")
_MAY_BE_NEGATIVE = ("balance",)
_TRUTHS = {"0": "0", "1": "1", "0.0": "0", "1.0": "1", "no": "0", "yes": "1", "false": "0",
           "true": "1"}  # fmt: skip
# Beyond these a sum of cents could leave 64 bits, or a date the calendar.
_MOST = {
    "balance": 10**12,
    "customer_lifetime_value": 10**12,
    "avg_transaction_amt": 10**8,
    "num_transactions": 10**6,
    "days_from_last_transaction": 36_500,
    "transaction_freq": 10**6,
    "tenure": 12_000,
}
_MOST_OF_ANY = 10**12
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")
_MOST_ID_LENGTH = 64


@dataclass(frozen=True)
class StartFile:
    """The customers of a start file; `profile` has the columns of `PROFILE`, None where empty."""

    name: str
    sha256: str
    as_of: int
    customers: list[str]
    profile: list[tuple[Decimal | None, ...]]
    accounts: Accounts


def read_start_file(path: Path, as_of: datetime | None = None) -> StartFile:
    """Read and check a file of customers.

    `as_of` is when the figures were true; without it the column `last_updated` says so. Raises
    InputError with file, line and column.
    """
    content = _content(path)
    rows = list(_rows(content, path))
    if not rows:
        raise InputError(
            "holds no customer", where=str(path), next_step="Add rows below the header"
        )
    return _started(rows, _as_of(rows, path, as_of), path, content)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"cannot be read ({error.strerror or error})",
            where=str(path),
            next_step="Give the file of customers with --start",
        ) from error


@dataclass(frozen=True)
class _Row:
    line: int
    customer: str
    numbers: dict[str, Decimal | None]
    as_of: datetime | None


def _rows(content: bytes, path: Path) -> Iterator[_Row]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(
            "is not UTF-8 text", where=f"{path}, line {line}", next_step="Save it as UTF-8"
        ) from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    seen: dict[str, int] = {}
    columns: list[str] = []
    try:
        for values in reader:
            if not columns:
                columns = _columns(values, path)
            elif any(each.strip() for each in values):
                yield _row(columns, values, reader.line_num, path, seen)
    except csv.Error as error:
        raise InputError(
            f"is not CSV ({error})", where=f"{path}, line {reader.line_num}",
            next_step="Mend the quotes of that line",
        ) from error  # fmt: skip


def _columns(header: Sequence[str], path: Path) -> list[str]:
    columns = [each.strip().lower() for each in header]
    needed = (KEY, *FIGURES)
    if missing := [each for each in needed if each not in columns]:
        raise InputError(
            f"has no column {', '.join(missing)}",
            where=f"{path}, line 1",
            next_step=f"The first line must name {', '.join(needed)}",
        )
    if doubled := sorted({each for each in columns if columns.count(each) > 1}):
        raise InputError(
            f"names column {', '.join(doubled)} twice",
            where=f"{path}, line 1",
            next_step="Remove one of them",
        )
    return columns


def _row(
    columns: Sequence[str], values: Sequence[str], line: int, path: Path, seen: dict[str, int]
) -> _Row:
    where = f"{path}, line {line}"
    if len(values) != len(columns):
        raise InputError(
            f"has {len(values)} values for {len(columns)} columns",
            where=where,
            next_step="Mend the commas of that line",
        )
    given = dict(zip(columns, (each.strip() for each in values), strict=True))
    customer = given[KEY]
    if not 0 < len(customer) <= _MOST_ID_LENGTH or "\0" in customer:
        raise InputError(
            f"customer_id {customer[:80]!r} is not 1 to {_MOST_ID_LENGTH} characters",
            where=where,
            next_step="Give the id that the stream account-transactions uses",
        )
    if customer in seen:
        raise InputError(
            f"customer {customer} stands in line {seen[customer]} already",
            where=where,
            next_step="Keep one row a customer",
        )
    seen[customer] = line
    numbers = {name: _number(name, given.get(name, ""), where) for name in (*FIGURES, *PROFILE)}
    return _Row(line, customer, numbers, _time(given.get(AS_OF, ""), where))


def _number(name: str, text: str, where: str) -> Decimal | None:
    """A number of a column. Only what is no figure of movements may be empty."""
    if name == "credit_default":
        text = _truth(text, where)
    if not text:
        if name in FIGURES:
            raise InputError(f"{name} is empty", where=where, next_step="Give a number, 0 if none")
        return None
    try:
        number = Decimal(text) if _NUMBER.fullmatch(text) else None
    except InvalidOperation:
        number = None
    if number is None:
        raise InputError(
            f"{name} {text[:80]!r} is not a number",
            where=where,
            next_step="Write it as 1234.56, without signs of currency or thousands",
        )
    _refuse_impossible(name, number, text, where)
    return number


def _truth(text: str, where: str) -> str:
    if text and text.lower() not in _TRUTHS:
        raise InputError(
            f"credit_default {text[:80]!r} is neither 0 nor 1",
            where=where,
            next_step="Write 1 for a customer in default, else 0",
        )
    return _TRUTHS[text.lower()] if text else text


def _refuse_impossible(name: str, number: Decimal, text: str, where: str) -> None:
    if number < 0 and name not in _MAY_BE_NEGATIVE:
        raise InputError(
            f"{name} {text[:80]} is below zero", where=where, next_step="Give 0 or more"
        )
    if abs(number) > _MOST.get(name, _MOST_OF_ANY):
        raise InputError(
            f"{name} {text[:80]} is out of range",
            where=where,
            next_step=f"Give at most {_MOST.get(name, _MOST_OF_ANY):,}",
        )
    if name in _WHOLE and number != number.to_integral_value():
        raise InputError(
            f"{name} {text[:80]} is not a whole number", where=where, next_step="Round it"
        )


def _time(text: str, where: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            f"{AS_OF} {text[:80]!r} is not a time",
            where=where,
            next_step="Write it as 2019-12-02T00:00:00Z",
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _as_of(rows: Sequence[_Row], path: Path, given: datetime | None) -> int:
    """The one moment at which the figures hold: days are counted back from it."""
    moments = [given] if given else [each.as_of for each in rows if each.as_of]
    if not moments:
        raise InputError(
            f"does not say when its figures were true: there is no {AS_OF}",
            where=str(path),
            next_step="Add that column, or give the day with --as-of 2019-12-02",
        )
    moment = max(moments)
    if not 1990 <= moment.year < 2100:
        raise InputError(
            f"is as of {moment:%Y-%m-%d}, which cannot be", where=str(path),
            next_step="Give a day from 1990 to 2099",
        )  # fmt: skip
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _started(rows: Sequence[_Row], as_of: int, path: Path, content: bytes) -> StartFile:
    def scaled(name: str, factor: int) -> Integers:
        return np.array([_whole(each.numbers[name], factor) for each in rows], np.int64)

    size = scaled("avg_transaction_amt", CENTS_A_DOLLAR)
    movements = scaled("num_transactions", 1)
    last = as_of - scaled("days_from_last_transaction", DAY)
    pace = [float(each.numbers["transaction_freq"] or 0) for each in rows]
    recent_at, recent_cents = _recalled(last, size, movements, pace)
    accounts = Accounts(
        balance=scaled("balance", CENTS_A_DOLLAR),
        movements=movements,
        moved=size * movements,
        value=scaled("customer_lifetime_value", VALUE_UNITS_A_DOLLAR),
        last=last,
        recent_at=recent_at,
        recent_cents=recent_cents,
    )
    profile = [tuple(each.numbers[name] for name in PROFILE) for each in rows]
    customers = [each.customer for each in rows]
    sha256 = hashlib.sha256(content).hexdigest()
    return StartFile(path.name, sha256, as_of, customers, profile, accounts)


def _whole(number: Decimal | None, factor: int) -> int:
    return int(((number or Decimal(0)) * factor).to_integral_value())


def _recalled(
    last: Integers, size: Integers, movements: Integers, pace: Sequence[float]
) -> tuple[Integers, Integers]:
    """The newest movements that the figures stand for; none where there were none."""
    at, cents = no_movements(len(last))
    for row, a_month in enumerate(pace):
        count = min(int(movements[row]), RECENT)
        apart = math.floor(_DAYS_A_MONTH * DAY / a_month) if a_month > 0 else 0
        # A pace of nearly nothing would lead out of the calendar.
        apart = min(apart, 366 * DAY)
        at[row, :count] = last[row] - apart * np.arange(count)
        cents[row, :count] = size[row]
    return at, cents
