"""Messages of one partition, judged: rows to copy on one side, messages to quarantine on the other.

Nothing here touches the network or the database.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from streaming.codec import Codec, Headers, Rejection


class Message(Protocol):
    """What is needed of a consumed Kafka message."""

    def offset(self) -> int: ...
    def key(self) -> bytes | None: ...
    def value(self) -> bytes | None: ...
    def headers(self) -> Headers | None: ...
    def timestamp(self) -> tuple[int, int]: ...


@dataclass(frozen=True)
class BadLimit:
    """When a stream has gone bad: `count` bad ones and `share` of the last `window` messages.

    With these numbers a bad release halts its stream after 500 messages, however many good ones
    came before, while a good stream with a few bad messages goes on for ever.
    """

    count: int = 500
    share: float = 0.5
    window: int = 1_000


@dataclass
class BadMeter:
    """Counts the messages of one stream against its limit.

    `bad` holds the numbers of the bad ones among the last `window` messages.
    """

    limit: BadLimit
    seen: int = 0
    bad: deque[int] = field(default_factory=deque)

    def count_bad(self) -> None:
        """One more message, a bad one. Good ones only add to `seen`."""
        self.seen += 1
        self.bad.append(self.seen)
        self._forget_old()

    def turn_bad(self, ages: Iterable[int]) -> None:
        """Messages that were counted as good are bad; each came `age` messages before the last."""
        self.bad = deque(sorted([*self.bad, *(self.seen - age for age in ages)]))
        self._forget_old()

    @property
    def tripped(self) -> bool:
        return len(self.bad) >= max(self.limit.count, self.limit.share * self._width)

    def reason(self) -> str:
        return f"{len(self.bad):,} of the last {self._width:,} messages were bad"

    @property
    def _width(self) -> int:
        return min(self.seen, self.limit.window)

    def _forget_old(self) -> None:
        while self.bad and self.bad[0] <= self.seen - self.limit.window:
            self.bad.popleft()


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

    def without(self, refused: dict[int, Rejection]) -> "Batch":
        """The same batch with some rows (by their index) moved to the rejected ones."""
        moved = [Rejected(self.rows[index], verdict) for index, verdict in refused.items()]
        return replace(
            self,
            lines=[line for index, line in enumerate(self.lines) if index not in refused],
            rows=[row for index, row in enumerate(self.rows) if index not in refused],
            rejected=sorted(self.rejected + moved, key=lambda each: each.message.offset()),
        )


def judge(codec: Codec, messages: Sequence[Message], lo: int, meter: BadMeter) -> Batch:
    """Decode and check messages in order of offset; ends early where the bad limit trips.

    Each line of the result ends with the message's offset.
    """
    batch = Batch(lo, lo - 1)
    newest: list[datetime] = []
    for message in messages:
        offset = message.offset()
        if offset < lo:
            continue  # fetched before a re-assignment, already loaded
        batch.hi = offset
        try:
            line, event_time = _decode(codec, message)
        except Rejection as verdict:
            batch.rejected.append(Rejected(message, verdict))
            meter.count_bad()
            if meter.tripped:
                batch.limit_reason = meter.reason()
                break
            continue
        batch.lines.append(f"{line}\t{offset}")
        batch.rows.append(message)
        newest.append(event_time)
        meter.seen += 1
    batch.newest_event_at = max(newest, default=None)
    return batch


def _decode(codec: Codec, message: Message) -> tuple[str, datetime]:
    try:
        headers = message.headers()
    except UnicodeDecodeError as error:
        raise Rejection("invalid_headers", str(error)) from error
    if headers:
        codec.check_version(headers)
    return codec.copy_line(message.value())
