"""Keeps a producer from running ahead of the loader on the embedded broker.

That broker keeps about 5 MiB a partition and then drops the oldest messages without a word.
"""

import threading
from dataclasses import dataclass, field

from streaming import progress
from streaming.contract import Contract
from streaming.producing.cursor import DatabaseSession
from streaming.producing.delivery import Offsets

_UNLOADED_BYTES = 2 * 1024 * 1024
_UNLOADED_MESSAGES = 30_000
# What the broker stores beside key and value.
_MESSAGE_OVERHEAD = 120
_LOOK_AGAIN_SECONDS = 0.05


@dataclass
class LoaderPace:
    """Waits while too much of a topic is neither loaded nor safe from being dropped."""

    session: DatabaseSession
    cluster_id: str
    contract: Contract
    unloaded_bytes: int = _UNLOADED_BYTES
    unloaded_messages: int = _UNLOADED_MESSAGES
    _next_offsets: dict[int, int] = field(default_factory=dict)

    def wait(self, delivered: Offsets, message_bytes: float, stop: threading.Event) -> bool:
        """Return once the loader is near enough; True when it had to wait."""
        waited = False
        while self._is_ahead(delivered, message_bytes):
            self._next_offsets = self.session.do(
                lambda connection: progress.next_offsets(
                    connection, self.cluster_id, self.contract.topic
                )
            )
            if not self._is_ahead(delivered, message_bytes):
                break
            waited = True
            if stop.wait(_LOOK_AGAIN_SECONDS):
                break
        return waited

    def _is_ahead(self, delivered: Offsets, message_bytes: float) -> bool:
        allowed = min(
            self.unloaded_messages,
            int(self.unloaded_bytes / (message_bytes + _MESSAGE_OVERHEAD)),
        )
        return any(
            newest + 1 - self._next_offsets.get(partition, 0) > allowed
            for partition, newest in delivered.items()
        )
