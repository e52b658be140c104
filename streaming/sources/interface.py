"""The two calls that a producer makes of a source, and the ways in which a poll can fail."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Protocol

Cursor = dict[str, Any]
Headers = list[tuple[str, str | bytes | None]]

_CLOCK_TOLERANCE = timedelta(minutes=10)


def lies_ahead(moment: datetime) -> bool:
    """Whether a source names a time that has not come yet, beyond what clocks may differ.

    A cursor at such a time would make everything that really happens look old.
    """
    return moment > datetime.now(UTC) + _CLOCK_TOLERANCE


class Event(NamedTuple):
    """A message to be produced: `value` is JSON that keeps the stream's contract.

    `headers` stand in for those that name the contract's version. Only a source that misbehaves on
    purpose gives some, or no value.
    """

    key: str
    value: bytes | None
    headers: Headers | None = None


@dataclass(frozen=True)
class Poll:
    """The news since a cursor. `cursor` is where to go on, once all events are delivered.

    `note` tells what the source had and did not give us.
    """

    events: list[Event]
    cursor: Cursor
    note: str | None = None


class Source(Protocol):
    """Something that can be asked for news."""

    @property
    def name(self) -> str:
        """The value of column `source`."""
        ...

    def poll(self, cursor: Cursor | None) -> Poll:
        """All events after `cursor` (None: from the beginning); the same cursor, the same events.

        Raises TransientFailure, SourcePaused or SourceStopped.
        """
        ...


class TransientFailure(Exception):  # noqa: N818 (named by the reaction it wants)
    """Try again: at the next tick, or after `retry_after` seconds when the source named a time."""

    def __init__(self, reason: str, retry_after: float | None = None):
        super().__init__(reason)
        self.retry_after = retry_after


class SourcePaused(Exception):  # noqa: N818
    """Leave the source alone for `seconds`."""

    def __init__(self, reason: str, seconds: float):
        super().__init__(reason)
        self.seconds = seconds


class SourceStopped(Exception):  # noqa: N818
    """A person has to change something first; `state` names what, in one word."""

    def __init__(self, state: str, reason: str):
        super().__init__(reason)
        self.state = state


def event_id(source: str, natural_key: str, source_time: str) -> str:
    """32 hex digits that are the same whenever the same event is seen again."""
    text = "\x1f".join((source, natural_key, source_time))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
