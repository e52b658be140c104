"""What one loader did, by stream."""

from dataclasses import dataclass

from insight.errors import IntegrityError
from streaming import progress


@dataclass
class StreamLoad:
    """What one loader did for one stream."""

    rows: int = 0
    quarantined: int = 0
    batches: int = 0
    state: str = progress.RUNNING
    reason: str | None = None

    @property
    def is_halted(self) -> bool:
        return self.state != progress.RUNNING


@dataclass
class LoadReport:
    """What one loader did, by stream."""

    streams: dict[str, StreamLoad]
    seconds: float

    @property
    def rows(self) -> int:
        return sum(each.rows for each in self.streams.values())

    @property
    def quarantined(self) -> int:
        return sum(each.quarantined for each in self.streams.values())

    def raise_if_halted(self) -> None:
        """Raises IntegrityError for the first stream that was halted."""
        for stream, load in sorted(self.streams.items()):
            if load.is_halted:
                raise IntegrityError(
                    f"is halted ({load.state}): {load.reason}",
                    where=f"stream {stream}",
                    next_step="See streaming.stream_status, streaming.quarantine and "
                    "docs/operations.md",
                )
