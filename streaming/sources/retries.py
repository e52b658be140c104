"""How often a request is tried, how long each try may take, and what Retry-After asks for."""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_LONGEST_RETRY_AFTER = 86_400


@dataclass(frozen=True)
class RetryPolicy:
    """`connect`, `read` and `total` seconds for a try; delays double from `base` up to `cap`."""

    attempts: int = 5
    base: float = 0.5
    cap: float = 60.0
    connect: float = 3.0
    read: float = 10.0
    total: float = 20.0
    body_bytes: int = 8 * 1024 * 1024


def retry_after_seconds(header: str | None, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks for, written as a number or as a date.

    None when it is absent or not understood; a moment in the past gives a number below 0, and
    nothing gives more than a day.
    """
    if header is None:
        return None
    try:
        return float(max(-1, min(int(header.strip()), _LONGEST_RETRY_AFTER)))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min((moment - now).total_seconds(), _LONGEST_RETRY_AFTER)
