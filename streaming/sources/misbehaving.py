"""A source that is told to misbehave: some events come twice, some messages break the contract.

Nothing that the source itself tells is left out or changed.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from streaming.contract import Contract
from streaming.messages.poison import poison_messages
from streaming.sources.interface import Cursor, Event, Poll, Source

_RANGE = 2**32


@dataclass(frozen=True)
class Misbehaviour:
    """Shares of the events, from 0 to 1: sent `duplicates` again, and so many `bad` ones added."""

    duplicates: float = 0.0
    bad: float = 0.0

    def __bool__(self) -> bool:
        return self.duplicates > 0 or self.bad > 0


class MisbehavingSource:
    """A Source on top of another one; which events it adds to depends on the events alone."""

    def __init__(self, source: Source, contract: Contract, misbehaviour: Misbehaviour):
        self._source = source
        self._misbehaviour = misbehaviour
        self._poison = [
            Event(f"bad-{each.name}", each.value, None if each.headers is None else [*each.headers])
            for each in poison_messages(contract)
        ]

    @property
    def name(self) -> str:
        return self._source.name

    def poll(self, cursor: Cursor | None) -> Poll:
        """The source's own poll with what is added; raises what that raises."""
        poll = self._source.poll(cursor)
        return Poll(self._with_additions(poll.events), poll.cursor, poll.note)

    def _with_additions(self, events: Sequence[Event]) -> list[Event]:
        told: list[Event] = []
        for event in events:
            told.append(event)
            draw = zlib.crc32(event.value or b"")
            if draw < self._misbehaviour.bad * _RANGE:
                told.append(self._poison[draw % len(self._poison)])
            if (draw ^ 0x5BD1E995) * 2654435761 % _RANGE < self._misbehaviour.duplicates * _RANGE:
                told.append(event)
        return told
