"""What a contract says, ready for use."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class Column:
    """One field of a message and the column it lands in.

    `options` are the ODCS logicalTypeOptions (pattern, lengths, bounds); a bound of a timestamp
    is a datetime.
    """

    name: str
    logical_type: str
    physical_type: str
    required: bool
    primary_key: bool
    description: str
    enum: tuple[str, ...]
    options: Mapping[str, object]
    example: object


@dataclass(frozen=True)
class Contract:
    """One stream: `topic` in Kafka, `streaming.<table>` in Postgres, times in seconds.

    `key` names the column of the event id, `event_time` the one of the event's own time.
    """

    stream: str
    version: str
    domain: str
    description: str
    table: str
    table_description: str
    columns: tuple[Column, ...]
    key: str
    event_time: str
    topic: str
    partitions: int
    freshness_seconds: int
    retention_seconds: int
    poll_interval_seconds: float | None
    source: str | None
    file: Path

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def on_topic(self, topic: str) -> "Contract":
        """The same contract, its messages in another topic."""
        return replace(self, topic=topic)

    def example_event(self) -> dict[str, object]:
        """A valid message, made of the example of each column."""
        return {column.name: column.example for column in self.columns}
