"""Events that Kafka did not take before the producer ended, on disk for its next start."""

import base64
import json
import os
from collections.abc import Sequence
from pathlib import Path

from streaming.sources import Event


class SpillFile:
    """One file a stream: one event a line."""

    def __init__(self, directory: Path, stream: str):
        self._path = directory / f"{stream}.jsonl"

    @property
    def path(self) -> Path:
        return self._path

    def add(self, events: Sequence[Event]) -> None:
        """Append events; they are on the disk when this returns."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with open(self._path, "a", encoding="ascii") as stream:
            for event in events:
                value = base64.b64encode(event.value).decode()
                stream.write(json.dumps({"key": event.key, "value": value}) + "\n")
            stream.flush()
            os.fsync(stream.fileno())

    def read(self) -> list[Event]:
        """All events in the order in which they were added."""
        if not self._path.exists():
            return []
        events = []
        for line in self._path.read_text(encoding="ascii").splitlines():
            try:
                document = json.loads(line)
            except ValueError:
                continue  # cut off by a crash while it was written; its poll is repeated
            events.append(Event(document["key"], base64.b64decode(document["value"])))
        return events

    def clear(self) -> None:
        """Forget all events, once they were delivered."""
        self._path.unlink(missing_ok=True)
