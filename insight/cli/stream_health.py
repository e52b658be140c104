"""How one stream does, in the words and numbers of a status table."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Health(StrEnum):
    """How much a state wants a person."""

    good = "good"
    warning = "warning"
    bad = "bad"


_GOOD = frozenset({"running", "caught_up", "finished"})
_WARNING = frozenset({"paused", "stopped", "not_started", "registered", "produced_elsewhere"})
_COLOURS = {Health.good: "green", Health.warning: "yellow", Health.bad: "red"}
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


@dataclass(frozen=True)
class StreamHealth:
    """One row of streaming.stream_status.

    `lag` is in messages, None before a loader saw the stream; `age_seconds` is since the last
    commit, and at most `limit_seconds` by the contract.
    """

    stream: str
    loader: str
    producer: str | None
    reasons: tuple[str, ...]
    lag: int | None
    rows: int
    quarantined: int
    age_seconds: float | None
    limit_seconds: float

    @classmethod
    def of(cls, row: Mapping[str, object]) -> "StreamHealth":
        return cls(
            stream=str(row["stream"]),
            loader=str(row["state"]),
            producer=None if row["producer_state"] is None else str(row["producer_state"]),
            reasons=tuple(
                f"{who}: {row[column]}"
                for who, column in (("loader", "state_reason"), ("producer", "producer_reason"))
                if row[column]
            ),
            lag=None if row["lag"] is None else int(str(row["lag"])),
            rows=int(str(row["rows_total"])),
            quarantined=int(str(row["quarantined_total"])),
            age_seconds=_number(row["seconds_since_commit"]),
            limit_seconds=float(str(row["freshness_seconds"])),
        )

    @property
    def state(self) -> str:
        """The loader's state, or the producer's when that is the worse one."""
        if self.producer and _health(self.producer) > _health(self.loader):
            return self.producer
        return self.loader

    @property
    def health(self) -> Health:
        return Health(list(Health)[_health(self.state)])

    @property
    def is_fresh(self) -> bool:
        return self.age_seconds is not None and self.age_seconds <= self.limit_seconds

    @property
    def freshness(self) -> str:
        """Age of the last commit and what the contract allows, for instance "4 s/15 min"."""
        age = "-" if self.age_seconds is None else for_people(self.age_seconds)
        return f"{age}/{for_people(self.limit_seconds)}"


def colour_of(health: Health) -> str:
    return _COLOURS[health]


def short_number(value: int | None) -> str:
    """At most six characters up to 999 billions: 99,999 then 123 k, 12.3 M, 4.5 G."""
    if value is None:
        return "-"
    if value < 100_000:
        return f"{value:,}"
    number = float(value)
    for unit in ("k", "M", "G"):
        number /= 1000
        if number < 999.5 or unit == "G":
            return f"{number:.0f} {unit}" if number >= 99.95 else f"{number:.1f} {unit}"
    raise AssertionError(value)


def for_people(seconds: float) -> str:
    """A duration in its largest whole unit: 4 s, 15 min, 2 h, 5 d."""
    whole = max(int(seconds), 0)
    size, unit = next(((size, unit) for size, unit in _UNITS if whole >= size), (1, "s"))
    return f"{whole // size} {unit}"


def _health(state: str) -> int:
    return 0 if state in _GOOD else 1 if state in _WARNING else 2


def _number(value: object) -> float | None:
    return None if value is None else float(str(value))
