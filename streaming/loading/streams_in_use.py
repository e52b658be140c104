"""Which streams a loader loads at this moment: the registry, looked at once a second."""

import time
from collections.abc import Sequence

from insight.database import Connection
from streaming.contract import Contract
from streaming.registry import active_contracts, paused_streams, registry_revision

_LOOK_SECONDS = 1.0


class StreamsInUse:
    """The contracts of the package and of the registry, as they were read last."""

    def __init__(self, files: Sequence[Contract]):
        self.paused_topics: set[str] = set()
        self._files = files
        self._revision = -1
        self._looked_at = 0.0

    def read(self, connection: Connection) -> list[Contract]:
        """The contracts in use; remembers which topics are paused."""
        # Asked first: a change that comes in between is seen again at the next look.
        self._revision = registry_revision(connection)
        contracts = active_contracts(connection, self._files)
        paused = paused_streams(connection)
        self.paused_topics = {each.topic for each in contracts if each.stream in paused}
        return contracts

    def have_changed(self, connection: Connection, *, now: bool) -> bool:
        """Whether something was registered, paused or resumed; looks each second, or `now`."""
        if not now and time.monotonic() - self._looked_at < _LOOK_SECONDS:
            return False
        self._looked_at = time.monotonic()
        return registry_revision(connection) != self._revision
