"""Events that Kafka did not take before the producer ended, on disk for its next start."""

import base64
import binascii
import json
import logging
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from insight.errors import ServiceError
from streaming.sources import Event

_logger = logging.getLogger(__name__)


class SpillFile:
    """One file a stream: one event a line.

    A line that was cut off by a crash or a full disk is not read, and told; the file is then put
    aside instead of deleted.
    """

    def __init__(self, directory: Path, stream: str):
        self._path = directory / f"{stream}.jsonl"

    @property
    def path(self) -> Path:
        return self._path

    def add(self, events: Sequence[Event]) -> None:
        """Append events; they are on the disk when this returns.

        Raises ServiceError when the disk does not take all of them: those are lost, unless their
        source tells them again.
        """
        try:
            self._append("".join(f"{_line(event)}\n" for event in events))
        except OSError as error:
            raise ServiceError(
                f"{len(events)} events that Kafka did not take cannot be kept ({error.strerror})",
                where=str(self._path),
                next_step="Make room there; the source is asked for them again",
            ) from error

    def read(self) -> list[Event]:
        """All whole events in the order in which they were added."""
        lines = self._lines()
        events = [event for line in lines if (event := _event(line)) is not None]
        if len(events) < len(lines):
            unreadable = len(lines) - len(events)
            _logger.warning("%d lines of %s are cut off or damaged", unreadable, self._path)
        return events

    def clear(self) -> None:
        """Forget all events, once they were delivered; a damaged file is put aside."""
        if any(_event(line) is None for line in self._lines()):
            moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
            self._path.rename(self._path.with_suffix(f".damaged-{moment}"))
        self._path.unlink(missing_ok=True)

    def _lines(self) -> list[bytes]:
        return self._path.read_bytes().splitlines() if self._path.exists() else []

    def _append(self, text: str) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with open(self._path, "a+b") as stream:
            if stream.tell():
                stream.seek(-1, os.SEEK_END)
                # Behind a line that a crash has cut off, ours would be damaged too.
                text = text if stream.read(1) == b"\n" else "\n" + text
            stream.write(text.encode("ascii"))
            stream.flush()
            os.fsync(stream.fileno())


def _line(event: Event) -> str:
    headers = None
    if event.headers is not None:
        headers = [(name, _encoded(value)) for name, value in event.headers]
    return json.dumps({"key": event.key, "value": _encoded(event.value), "headers": headers})


def _event(line: bytes) -> Event | None:
    try:
        document = json.loads(line)
        headers = document.get("headers")
        if headers is not None:
            headers = [(name, _decoded(value)) for name, value in headers]
        return Event(document["key"], _decoded(document["value"]), headers)
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
        return None


def _encoded(value: str | bytes | None) -> str | None:
    value = value.encode() if isinstance(value, str) else value
    return None if value is None else base64.b64encode(value).decode()


def _decoded(value: str | None) -> bytes | None:
    return None if value is None else base64.b64decode(value, validate=True)
