"""How many requests a minute one caller may make, counted in Redis for all servers together.

A server takes requests from the shared counter in small lots and hands them out by itself, so that
a request seldom costs a round trip. Without Redis each server counts alone.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

_WINDOW_SECONDS = 60
# Of a limit, at most this share lies unused on one server.
_LOTS_A_LIMIT = 50
_LARGEST_LOT = 500
_MOST_CALLERS = 10_000

# Adds to a counter that ends with its window; its new value, or None when Redis is away.
Count = Callable[[str, int, int], Awaitable[int | None]]


@dataclass(frozen=True)
class Verdict:
    """Whether the request may go on; else in how many seconds it may be tried again."""

    is_allowed: bool
    limit: int
    remaining: int
    retry_after: int


@dataclass
class _Budget:
    """One caller in one window: requests handed out here, and taken from the shared counter."""

    window: int
    used: int = 0
    granted: int = 0
    is_exhausted: bool = False


class RateLimiter:
    """Fixed windows of a minute. `count` is the shared counter, `now` the time in seconds."""

    def __init__(self, count: Count | None = None, now: Callable[[], float] = time.time):
        self._count = count
        self._now = now
        self._budgets: OrderedDict[str, _Budget] = OrderedDict()

    async def take(self, caller: str, limit: int) -> Verdict:
        """Take one request of the caller's minute."""
        now = self._now()
        window = int(now // _WINDOW_SECONDS)
        budget = self._budget(caller, window)
        if budget.used >= budget.granted and not budget.is_exhausted:
            await self._take_lot(budget, caller, limit)
        retry_after = max(1, math.ceil((window + 1) * _WINDOW_SECONDS - now))
        if budget.used >= budget.granted:
            return Verdict(False, limit, 0, retry_after)
        budget.used += 1
        return Verdict(True, limit, max(0, limit - budget.used), retry_after)

    def look(self, caller: str, limit: int) -> Verdict:
        """Whether the next request of the caller would go on, as far as this server knows."""
        now = self._now()
        window = int(now // _WINDOW_SECONDS)
        budget = self._budget(caller, window)
        retry_after = max(1, math.ceil((window + 1) * _WINDOW_SECONDS - now))
        is_allowed = not (budget.is_exhausted and budget.used >= budget.granted)
        return Verdict(is_allowed, limit, max(0, limit - budget.used), retry_after)

    def _budget(self, caller: str, window: int) -> _Budget:
        budget = self._budgets.get(caller)
        if budget is None or budget.window != window:
            budget = self._budgets[caller] = _Budget(window)
        self._budgets.move_to_end(caller)
        if len(self._budgets) > _MOST_CALLERS:
            self._budgets.popitem(last=False)
        return budget

    async def _take_lot(self, budget: _Budget, caller: str, limit: int) -> None:
        lot = min(_LARGEST_LOT, max(1, limit // _LOTS_A_LIMIT))
        key = f"insight:requests:{caller}:{budget.window}"
        taken = await self._count(key, lot, 2 * _WINDOW_SECONDS) if self._count else None
        if taken is None:
            budget.granted = max(budget.granted, limit)
            budget.is_exhausted = budget.used >= limit
            return
        budget.granted += max(0, min(lot, limit - (taken - lot)))
        budget.is_exhausted = taken >= limit
