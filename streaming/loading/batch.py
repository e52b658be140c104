"""A batch: messages of one partition that were judged and wait for their transaction."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from streaming.messages.codec import Headers, Rejection


class Message(Protocol):
    """What is needed of a consumed Kafka message."""

    def offset(self) -> int: ...
    def key(self) -> bytes | None: ...
    def value(self) -> bytes | None: ...
    def headers(self) -> Headers | None: ...
    def timestamp(self) -> tuple[int, int]: ...


@dataclass(frozen=True)
class Rejected:
    """A message on its way to quarantine."""

    message: Message
    verdict: Rejection


@dataclass
class Batch:
    """Offsets `lo` to `hi` of a partition; `lines[i]` is the COPY text of `rows[i]`."""

    lo: int
    hi: int
    lines: list[str] = field(default_factory=list)
    rows: list[Message] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    newest_event_at: datetime | None = None
    limit_reason: str | None = None

    @property
    def gaps(self) -> int:
        """Offsets without a message: transaction markers, or messages removed by compaction."""
        return self.hi - self.lo + 1 - len(self.lines) - len(self.rejected)

    def gap_ranges(self) -> list[tuple[int, int]]:
        """The offsets without a message, as (first, last) of each range, in their order."""
        found = sorted(
            [each.offset() for each in self.rows]
            + [each.message.offset() for each in self.rejected]
        )
        edges = zip([self.lo - 1, *found], [*found, self.hi + 1], strict=True)
        return [(before + 1, after - 1) for before, after in edges if after - before > 1]

    @property
    def is_empty(self) -> bool:
        return self.hi < self.lo

    def saw(self, event_at: datetime) -> None:
        """Keep the newest event time."""
        if self.newest_event_at is None or event_at > self.newest_event_at:
            self.newest_event_at = event_at

    def without(self, refused: dict[int, Rejection]) -> "Batch":
        """The same batch with some rows (by their index) moved to the rejected ones."""
        moved = [Rejected(self.rows[index], verdict) for index, verdict in refused.items()]
        return replace(
            self,
            lines=[line for index, line in enumerate(self.lines) if index not in refused],
            rows=[row for index, row in enumerate(self.rows) if index not in refused],
            rejected=sorted(self.rejected + moved, key=lambda each: each.message.offset()),
        )
