"""Periods as filters: from a first day to a last one, both included."""

import re
from datetime import date
from typing import Annotated

from fastapi import Query
from pydantic import AwareDatetime, BeforeValidator

from serving.api.problems import InvalidPart, Problem

_ISO_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_ISO_MOMENT = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


def _iso_day(value: object) -> object:
    """Pydantic also takes numbers, as seconds since 1970: a mistake more often than a date."""
    if isinstance(value, str) and not _ISO_DAY.fullmatch(value):
        raise ValueError("is not a day as 2019-12-31")
    return value


def _iso_moment(value: object) -> object:
    if isinstance(value, str) and not _ISO_MOMENT.fullmatch(value):
        raise ValueError("is not a moment with its zone, as 2026-02-03T00:00:00Z")
    return value


Since = Annotated[
    AwareDatetime | None,
    BeforeValidator(_iso_moment),
    Query(description="From this moment on, with its zone.", examples=["2026-02-03T00:00:00Z"]),
]
FirstDay = Annotated[
    date | None,
    BeforeValidator(_iso_day),
    Query(description="From this day on (UTC).", examples=["2019-01-01"]),
]
LastDay = Annotated[
    date | None,
    BeforeValidator(_iso_day),
    Query(description="Up to this day, included.", examples=["2019-12-31"]),
]


def expect_period(first_day: date | None, last_day: date | None) -> None:
    """Raises Problem 422 when the period ends before it begins."""
    if first_day and last_day and last_day < first_day:
        part = InvalidPart(where="query.last_day", message="is before first_day")
        raise Problem(422, "invalid-request", "The period ends before it begins.", errors=[part])
