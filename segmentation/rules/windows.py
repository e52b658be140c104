"""Durations and windows: which part of the past a condition looks at.

A window is half-open on event time, [start, end), and never reaches `as_of` or beyond. All times
are UTC.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)

TICK = timedelta(microseconds=1)
LONGEST = timedelta(days=3650)

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604_800}
_DURATION = r"[1-9][0-9]{0,9}[smhdw]"
_MOMENT = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[^ ]*"
_TEXT_FORM = (
    rf"^(lifetime|mtd|qtd|ytd|last {_DURATION}|from {_DURATION} to {_DURATION} ago"
    rf"|between {_MOMENT} and {_MOMENT})$"
)


def parse_duration(value: object) -> object:
    """Seconds of `30d`, `12h`, `90m`, `45s` or `2w`; anything that is no text is left alone."""
    if not isinstance(value, str):
        return value
    if not re.fullmatch(_DURATION, value):
        raise ValueError("is no duration: write a number and s, m, h, d or w, such as 30d")
    return timedelta(seconds=int(value[:-1]) * _UNITS[value[-1]])


def duration_text(duration: timedelta) -> str:
    """The shortest way to write it: 30d, 36h, 90m; weeks are written in days."""
    seconds = int(duration.total_seconds())
    unit = next(each for each in ("d", "h", "m", "s") if seconds % _UNITS[each] == 0)
    return f"{seconds // _UNITS[unit]}{unit}"


def _within_bounds(duration: timedelta) -> timedelta:
    if not timedelta(0) < duration <= LONGEST or duration.microseconds:
        raise ValueError(f"must be whole seconds, above 0 and at most {LONGEST.days}d")
    return duration


def parse_moment(value: object) -> object:
    """UTC time of an ISO date or time, UTC if it names no zone; no text is left alone."""
    if not isinstance(value, str):
        return value
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("is no time: write 2019-12-31 or 2019-12-31T18:00:00Z") from None


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("has no time zone")
    return moment.astimezone(UTC)


Duration = Annotated[
    timedelta,
    AfterValidator(_within_bounds),
    BeforeValidator(parse_duration),
    PlainSerializer(duration_text, return_type=str),
    WithJsonSchema({"type": "string", "pattern": f"^{_DURATION}$", "examples": ["30d"]}),
]
Moment = Annotated[
    datetime,
    AfterValidator(_in_utc),
    BeforeValidator(parse_moment),
    PlainSerializer(lambda moment: moment.isoformat(), return_type=str),
    WithJsonSchema({"type": "string", "examples": ["2019-12-31", "2019-12-31T18:00:00Z"]}),
]


class Window(BaseModel, ABC):
    """What every window can be asked.

    `bounds` gives [start, end) at `as_of`, start None for the whole past; `changes` gives, of an
    event at `moment`, the moments of `as_of` from which on it is in, and from which on it is out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @abstractmethod
    def bounds(self, as_of: datetime) -> tuple[datetime | None, datetime]: ...

    @abstractmethod
    def changes(self, moment: datetime) -> Iterator[datetime]: ...

    def holds(self, moment: datetime, as_of: datetime) -> bool:
        """Whether an event at `moment` lies in the window at `as_of`."""
        start, end = self.bounds(as_of)
        return (start is None or start <= moment) and moment < end


class Rolling(Window):
    """The time before `as_of`: last 30d."""

    kind: Literal["rolling"] = "rolling"
    last: Duration

    def bounds(self, as_of: datetime) -> tuple[datetime | None, datetime]:
        return as_of - self.last, as_of

    def changes(self, moment: datetime) -> Iterator[datetime]:
        yield moment + TICK
        yield moment + self.last + TICK


class Offset(Window):
    """A time before a time: from 90d to 30d ago."""

    kind: Literal["offset"] = "offset"
    start: Duration
    end: Duration

    def bounds(self, as_of: datetime) -> tuple[datetime | None, datetime]:
        return as_of - self.start, as_of - self.end

    def changes(self, moment: datetime) -> Iterator[datetime]:
        yield moment + self.end + TICK
        yield moment + self.start + TICK


class Between(Window):
    """From one date to another, the second one not included."""

    kind: Literal["between"] = "between"
    start: Moment
    end: Moment

    def bounds(self, as_of: datetime) -> tuple[datetime | None, datetime]:
        return self.start, min(self.end, as_of)

    def changes(self, moment: datetime) -> Iterator[datetime]:
        if self.start <= moment < self.end:
            yield moment + TICK


class ToDate(Window):
    """From the start of the month, quarter or year of `as_of`: mtd, qtd, ytd."""

    kind: Literal["to_date"] = "to_date"
    period: Literal["month", "quarter", "year"]

    @property
    def _months(self) -> int:
        return {"month": 1, "quarter": 3, "year": 12}[self.period]

    def _start(self, moment: datetime) -> datetime:
        first_month = (moment.month - 1) // self._months * self._months + 1
        return datetime(moment.year, first_month, 1, tzinfo=UTC)

    def bounds(self, as_of: datetime) -> tuple[datetime | None, datetime]:
        return self._start(as_of.astimezone(UTC)), as_of

    def changes(self, moment: datetime) -> Iterator[datetime]:
        yield moment + TICK
        start = self._start(moment.astimezone(UTC))
        months = start.month - 1 + self._months
        yield start.replace(year=start.year + months // 12, month=months % 12 + 1)


class Lifetime(Window):
    """Everything before `as_of`."""

    kind: Literal["lifetime"] = "lifetime"

    def bounds(self, as_of: datetime) -> tuple[datetime | None, datetime]:
        return None, as_of

    def changes(self, moment: datetime) -> Iterator[datetime]:
        yield moment + TICK


_TO_DATE = {"mtd": "month", "qtd": "quarter", "ytd": "year"}


def parse_window(value: object) -> object:
    """The structured form of a window's text; anything that is no text is left alone."""
    if not isinstance(value, str):
        return value
    words = value.split()
    match words:
        case ["lifetime"]:
            return {"kind": "lifetime"}
        case [("mtd" | "qtd" | "ytd") as period]:
            return {"kind": "to_date", "period": _TO_DATE[period]}
        case ["last", duration]:
            return {"kind": "rolling", "last": duration}
        case ["from", start, "to", end, "ago"]:
            return {"kind": "offset", "start": start, "end": end}
        case ["between", start, "and", end]:
            return {"kind": "between", "start": start, "end": end}
    raise ValueError(
        "is no window: write `last 30d`, `from 90d to 30d ago`, `between 2019-01-01 and"
        " 2019-02-01`, mtd, qtd, ytd or lifetime"
    )


class _WindowSchema:
    """The text form beside the structured one in the published schema."""

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> dict[str, Any]:
        text = {"type": "string", "pattern": _TEXT_FORM, "examples": ["last 30d", "mtd"]}
        return {"anyOf": [text, handler(core)]}

    def __hash__(self) -> int:
        return hash(type(self))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self))


AnyWindow = Annotated[
    Rolling | Offset | Between | ToDate | Lifetime,
    Field(discriminator="kind"),
    BeforeValidator(parse_window),
    _WindowSchema(),
]


def is_empty(window: Window) -> bool:
    """Whether nothing can ever lie in it."""
    if isinstance(window, Offset):
        return window.start <= window.end
    return isinstance(window, Between) and window.start >= window.end
