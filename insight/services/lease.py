"""How a command gets the embedded services: a lease that ends with the process, at the latest.

The first lease starts the keeper, the end of the last one lets it stop.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from insight.errors import ServiceError
from insight.services.endpoints import EmbeddedEndpoints
from insight.services.state import StateDirectory, held_leases, is_locked, locked, new_lease

_START_SECONDS = 90
_STOP_SECONDS = 60


@contextmanager
def lease(home: Path) -> Iterator[EmbeddedEndpoints]:
    """Running services for the length of the block.

    Raises ServiceError with the reason when they cannot be started.
    """
    state = StateDirectory(home)
    state.create()
    with locked(state.change_lock):
        held = new_lease(state)
        endpoints = _ensure_keeper(state)
    with held:
        yield endpoints


def keep_running(home: Path) -> EmbeddedEndpoints:
    """Start the services and leave them running until `stop`."""
    state = StateDirectory(home)
    state.create()
    with lease(home) as endpoints:
        state.keep_marker.touch()
    return endpoints


def running_endpoints(home: Path) -> EmbeddedEndpoints | None:
    """The addresses of services that run now, without starting any."""
    state = StateDirectory(home)
    if not state.run.exists() or not _keeper_is_alive(state):
        return None
    return EmbeddedEndpoints.read(state.endpoints)


def stop(home: Path, *, now: bool = False) -> int:
    """End `keep_running`. Returns how many commands still use the services.

    They stop when the last of those ends, or at once with `now`.
    """
    state = StateDirectory(home)
    state.create()
    state.keep_marker.unlink(missing_ok=True)
    if now:
        state.stop_marker.touch()
    while _keeper_is_alive(state):
        # Asked again each time: a command that comes meanwhile keeps the services running.
        if not now and (in_use := held_leases(state)):
            return in_use
        time.sleep(0.05)
    state.stop_marker.unlink(missing_ok=True)
    return 0


def _ensure_keeper(state: StateDirectory) -> EmbeddedEndpoints:
    endpoints = running_endpoints(state.home)
    if endpoints is None:
        # A keeper that is about to end holds its lock until its servers are down.
        _wait_for_end(state)
        endpoints = _start_keeper(state)
    return endpoints


def _start_keeper(state: StateDirectory) -> EmbeddedEndpoints:
    state.failure.unlink(missing_ok=True)
    state.stop_marker.unlink(missing_ok=True)
    # What a killed keeper left is stopped by the new one, which then removes these addresses.
    former = EmbeddedEndpoints.read(state.endpoints)
    with open(state.keeper_log, "a") as keeper_log:
        process = subprocess.Popen(
            [sys.executable, "-m", "insight.services.keeper", str(state.home)],
            stdin=subprocess.DEVNULL,
            stdout=keeper_log,
            stderr=keeper_log,
            start_new_session=True,
        )
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        endpoints = EmbeddedEndpoints.read(state.endpoints)
        if endpoints is not None and endpoints != former:
            return endpoints
        time.sleep(0.02)
    silence = "no answer in time" if process.poll() is None else f"exit code {process.returncode}"
    reason = state.failure.read_text() if state.failure.exists() else silence
    raise ServiceError(
        f"the embedded services do not start ({reason})", where=str(state.keeper_log)
    )


def _keeper_is_alive(state: StateDirectory) -> bool:
    return is_locked(state.keeper_lock)


def _wait_for_end(state: StateDirectory) -> None:
    deadline = time.monotonic() + _STOP_SECONDS
    while _keeper_is_alive(state):
        if time.monotonic() > deadline:
            raise ServiceError("the embedded services do not stop", where=str(state.keeper_log))
        time.sleep(0.05)
