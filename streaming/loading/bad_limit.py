"""When a stream has gone bad: how many of its last messages broke the contract."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field


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
