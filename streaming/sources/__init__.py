"""Where events come from: a source is polled, and says from where to go on the next time."""

from streaming.sources.interface import (
    Cursor,
    Event,
    Poll,
    Source,
    SourcePaused,
    SourceStopped,
    TransientFailure,
    event_id,
)

__all__ = [
    "Cursor",
    "Event",
    "Poll",
    "Source",
    "SourcePaused",
    "SourceStopped",
    "TransientFailure",
    "event_id",
]
