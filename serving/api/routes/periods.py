"""Periods as filters: from a first day to a last one, both included."""

from datetime import date
from typing import Annotated

from fastapi import Query

from serving.api.problems import InvalidPart, Problem

FirstDay = Annotated[
    date | None, Query(description="From this day on (UTC).", examples=["2019-01-01"])
]
LastDay = Annotated[
    date | None, Query(description="Up to this day, included.", examples=["2019-12-31"])
]


def expect_period(first_day: date | None, last_day: date | None) -> None:
    """Raises Problem 422 when the period ends before it begins."""
    if first_day and last_day and last_day < first_day:
        part = InvalidPart(where="query.last_day", message="is before first_day")
        raise Problem(422, "invalid-request", "The period ends before it begins.", errors=[part])
