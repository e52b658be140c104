"""The text formats that the five files may use: the one definition of each.

A check takes a value without surrounding white space, never empty, and returns None when the
value has the format, else the reason as the end of the sentence "<value> ...". The macros of
`dbt_pipeline/macros` (parse_date, parse_month, parse_percentage) read exactly what passes here.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

Check = Callable[[str], str | None]

MONTH_NAMES = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
FIRST_YEAR, LAST_YEAR = 1970, 2099
# The tests of dbt's staging models (_ecommerce__models.yml) have the same bounds.
FIRST_SALE_DAY = date(1990, 1, 1)
LONGEST_TENURE_MONTHS = 1200

_COMPACT_DATE = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})")
_ISO_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_US_DATE = re.compile(r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})")
_DIGITS = re.compile(r"[0-9]{1,9}")
_IDENTIFIER = re.compile(r"[0-9]{1,18}")
_DECIMAL = re.compile(r"(?:[0-9]{1,9}(?:\.[0-9]+)?|\.[0-9]+)")
_PERCENT = re.compile(r"([0-9]{1,9}(?:\.[0-9]+)?)\s*%")


def text(value: str) -> str | None:
    """Any text that Postgres can store: everything but the NUL character."""
    return "holds a NUL character" if "\0" in value else None


def day(value: str) -> str | None:
    """A day from 1970 to 2099 as 20190131, 1/31/2019 (month first) or 2019-01-31."""
    parsed = parse_day(value)
    if parsed is None:
        return "is not a date such as 20190131, 1/31/2019 (month first) or 2019-01-31"
    if not FIRST_YEAR <= parsed.year <= LAST_YEAR:
        return f"is not a date between {FIRST_YEAR} and {LAST_YEAR}"
    return None


def sale_day(value: str) -> str | None:
    """A day, in the forms of `day`, from 1990-01-01 up to tomorrow (a clock may be ahead)."""
    parsed = parse_day(value)
    if parsed is None:
        return day(value)
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    if not FIRST_SALE_DAY <= parsed <= tomorrow:
        return f"is not a date from {FIRST_SALE_DAY} to {tomorrow} (tomorrow)"
    return None


def parse_day(value: str) -> date | None:
    """The day that `value` names in one of the three forms, or None."""
    if match := _COMPACT_DATE.fullmatch(value) or _ISO_DATE.fullmatch(value):
        year, month, number = match.groups()
    elif match := _US_DATE.fullmatch(value):
        month, number, year = match.groups()
    else:
        return None
    try:
        return date(int(year), int(month), int(number))
    except ValueError:
        return None


def month(value: str) -> str | None:
    """A month as Jan, January (any letter case) or 1 to 12."""
    name = value.lower()
    if name in MONTH_NAMES or (len(name) == 3 and any(m.startswith(name) for m in MONTH_NAMES)):
        return None
    if _DIGITS.fullmatch(value) and len(value) <= 2 and 1 <= int(value) <= 12:
        return None
    return "is not a month such as Jan or 1"


def identifier(value: str) -> str | None:
    """A number of at most 18 digits; it stays text, leading zeros included."""
    return None if _IDENTIFIER.fullmatch(value) else "is not a number without sign or decimals"


def whole_number(value: str) -> str | None:
    """A whole number of at most nine digits, without sign or separators; zero is one."""
    return None if _DIGITS.fullmatch(value) else "is not a whole number"


def tenure_months(value: str) -> str | None:
    """A whole number of at most 1,200 months."""
    problem = whole_number(value)
    if problem is None and int(value) > LONGEST_TENURE_MONTHS:
        return f"is more than {LONGEST_TENURE_MONTHS:,} months"
    return problem


def positive_whole_number(value: str) -> str | None:
    """A whole number of at most nine digits above zero."""
    if _DIGITS.fullmatch(value) and int(value) > 0:
        return None
    return "is not a positive whole number"


def amount(value: str) -> str | None:
    """Zero or more, a point before the decimals, no sign, separators or currency."""
    return None if _DECIMAL.fullmatch(value) else "is not a positive number such as 153.71"


def percentage(value: str) -> str | None:
    """From 0 to 100 %: `18%` and `18` mean 0.18, and so does `0.18`.

    A bare number of 1 or more counts in hundredths, one below 1 is the share itself.
    """
    share = parse_percentage(value)
    if share is None:
        return "is not a percentage such as 18%, 18 or 0.18"
    return None if share <= 1 else "is more than 100 %"


def parse_percentage(value: str) -> Decimal | None:
    """The share (0.18 for 18 %) that `value` means, or None."""
    if match := _PERCENT.fullmatch(value):
        return Decimal(match[1]) / 100
    if not _DECIMAL.fullmatch(value):
        return None
    number = Decimal(value)
    return number / 100 if number >= 1 else number


def one_of(*values: str) -> Check:
    """Exactly one of `values`, letter case included."""

    def check(value: str) -> str | None:
        return None if value in values else f"is not one of {', '.join(values)}"

    return check
