"""The keeper: one background process that owns the embedded services.

It starts them, publishes their addresses, restarts what dies, and stops them all when the last
command that uses them has ended, however that command ended. Run by `insight.services.lease`.
"""

import contextlib
import logging
import os
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from insight import log
from insight.errors import InsightError
from insight.services.endpoints import EmbeddedEndpoints
from insight.services.kafka import EmbeddedKafka
from insight.services.postgres import EmbeddedPostgres
from insight.services.redis import EmbeddedRedis
from insight.services.state import StateDirectory, held_leases, locked, try_lock

_logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.2
_HEALTH_SECONDS = 2.0


class Keeper:
    """The services of one state directory."""

    def __init__(self, state: StateDirectory):
        self._state = state
        self._postgres = EmbeddedPostgres(state.home, state.postgres_log)
        self._redis = EmbeddedRedis(state.home / "redis", state.redis_log)
        self._kafka = EmbeddedKafka()
        self._asked_to_stop = False

    def run(self, keeper_pid: int) -> None:
        """Serve until nobody needs the services any more."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        self._stop_leftovers()
        with ExitStack() as stack:
            # Each is called even when the one before it fails.
            stack.callback(self._postgres.stop)
            stack.callback(self._redis.stop)
            stack.callback(self._state.endpoints.unlink, missing_ok=True)
            self._start(keeper_pid)
            self._serve()

    def _start(self, keeper_pid: int) -> None:
        endpoints = EmbeddedEndpoints(
            keeper_pid=keeper_pid,
            database=self._postgres.start(),
            kafka=self._kafka.endpoint(),
            redis=self._redis.start(),
        )
        endpoints.write(self._state.endpoints)

    def _stop_leftovers(self) -> None:
        """Stop what a killed keeper left; its Postgres is stopped by `EmbeddedPostgres.start`."""
        former = EmbeddedEndpoints.read(self._state.endpoints)
        if former is not None:
            EmbeddedRedis.stop_leftover(former.redis)
        self._state.endpoints.unlink(missing_ok=True)

    def _serve(self) -> None:
        next_health_check = time.monotonic() + _HEALTH_SECONDS
        while not self._may_stop():
            time.sleep(_POLL_SECONDS)
            if time.monotonic() >= next_health_check:
                self._revive()
                next_health_check = time.monotonic() + _HEALTH_SECONDS

    def _may_stop(self) -> bool:
        """True once nobody needs the services; from then on no command can take a lease here."""
        if self._asked_to_stop or self._state.stop_marker.exists():
            return True
        if self._state.keep_marker.exists() or held_leases(self._state):
            return False
        change = try_lock(self._state.change_lock)
        if change is None:
            return False
        with change:
            if held_leases(self._state):
                return False
            # A command that comes now finds no addresses and waits for the lock that we hold.
            self._state.endpoints.unlink(missing_ok=True)
            return True

    def _revive(self) -> None:
        if not self._postgres.is_alive():
            _logger.warning("Postgres died; it is started again")
            self._postgres.start()
        if not self._redis.is_alive():
            _logger.warning("Redis died; it is started again")
            self._redis.start()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._asked_to_stop = True


def main(home: str) -> int:
    """Keep the services of `home`, once no other keeper does; an exit code."""
    log.configure("INFO")
    state = StateDirectory(Path(home))
    state.create()
    with locked(state.keeper_lock):
        try:
            Keeper(state).run(os.getpid())
        # Whatever it is, the command that waits for the services has to tell it to a person.
        except Exception as error:
            if not isinstance(error, InsightError):
                _logger.exception("the keeper failed")
            with contextlib.suppress(OSError):
                state.failure.write_text(str(error))
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
