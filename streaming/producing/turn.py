"""One producer of a stream at a time, whoever started it and on whichever machine.

Two would save cursors and statuses over each other, and one could clear the other's spilled events.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from insight.database import Connection
from streaming.producing.cursor import DatabaseSession

# Any number that no other part of the project locks with two keys.
_LOCK_CLASS = 720_341

_LOOK_AGAIN_SECONDS = 0.2
# Postgres needs a moment to notice that a killed producer is gone.
_GRACE_SECONDS = 2.0

PRODUCED_ELSEWHERE = "produced_elsewhere"


class ProducedElsewhere(Exception):  # noqa: N818 (an outcome)
    """Another producer of the stream is at work."""


def take_turn(connection: Connection, stream: str) -> None:
    """Lock the stream for the life of the connection. Raises ProducedElsewhere when it is taken."""
    row = connection.execute(
        "select pg_try_advisory_lock(%s, hashtext(%s))", (_LOCK_CLASS, stream)
    ).fetchone()
    if row != (True,):
        raise ProducedElsewhere(f"another producer of {stream} is at work")


@dataclass(frozen=True)
class Turn:
    """How long to wait for another producer of the stream; told once when we do not go on."""

    waits: bool = False
    on_progress: Callable[[str], None] = lambda _text: None

    def wait(self, session: DatabaseSession, stop: threading.Event) -> None:
        """Return once the session holds its lock, or `stop` is set.

        Raises ProducedElsewhere when we do not wait; Stopped when the database is away too.
        """
        deadline = time.monotonic() + _GRACE_SECONDS
        told = False
        while True:
            try:
                return session.do(lambda _connection: None)
            except ProducedElsewhere as other:
                gives_up = not self.waits and time.monotonic() > deadline
                if gives_up or (self.waits and not told):
                    self.on_progress(f"{other}, " + ("waiting" if self.waits else "left to it"))
                    told = True
                if gives_up:
                    raise
            if stop.wait(_LOOK_AGAIN_SECONDS):
                return None
