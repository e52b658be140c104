"""Roles, one process each, that are started again when they end by themselves."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from insight.supervision.back_off import BackOff
from insight.supervision.merged_log import MergedLog
from insight.supervision.signals import StopRequest

SUPERVISOR = "up"

_LOOK_SECONDS = 0.05
_LAST_LINES_SECONDS = 2.0


@dataclass(frozen=True)
class Role:
    """A command that is meant to run until it is stopped."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]


class Supervisor:
    """Keeps roles running until a stop is requested.

    A role runs in a session of its own, so that Ctrl-C on the terminal reaches it only through us.
    It has come up when it lasted `up_after` seconds once, or never ended by itself.
    """

    def __init__(
        self,
        roles: Sequence[Role],
        log: MergedLog,
        *,
        back_off: Callable[[], BackOff] = BackOff,
        seconds_to_drain: float = 10.0,
        up_after: float = 10.0,
    ):
        self._log = log
        self._seconds_to_drain = seconds_to_drain
        self._kept = [_Kept(role, log, back_off(), up_after) for role in roles]

    def run(self, request: StopRequest) -> int:
        """Run all roles until `request`; blocks.

        Returns 0 after a clean stop, 1 when a role never came up or had to be killed.
        """
        threads = [
            threading.Thread(target=kept.run, args=(request.stop,), name=kept.name, daemon=True)
            for kept in self._kept
        ]
        for thread in threads:
            thread.start()
        request.stop.wait()
        killed = self._stop(threads, request.hurry)
        never_up = [kept.name for kept in self._kept if not kept.came_up]
        if never_up:
            self._log.write(SUPERVISOR, f"never came up: {', '.join(never_up)}")
        return 1 if killed or never_up else 0

    def _stop(self, threads: list[threading.Thread], hurry: threading.Event) -> list[str]:
        """End all roles; the names of those that had to be killed."""
        self._log.write(SUPERVISOR, "stopping; Ctrl-C again to stop without waiting")
        for kept in self._kept:
            kept.terminate()
        deadline = time.monotonic() + self._seconds_to_drain
        while any(thread.is_alive() for thread in threads):
            if hurry.wait(_LOOK_SECONDS) or time.monotonic() >= deadline:
                break
        killed = [kept.name for kept in self._kept if kept.kill()]
        if killed:
            self._log.write(SUPERVISOR, f"killed, as they did not end: {', '.join(killed)}")
        for thread in threads:
            thread.join(2 * _LAST_LINES_SECONDS)
        return killed


class _Kept:
    """One role and its present process."""

    def __init__(self, role: Role, log: MergedLog, back_off: BackOff, up_after: float):
        self.name = role.name
        self._role = role
        self._log = log
        self._back_off = back_off
        self._up_after = up_after
        self._pid: int | None = None
        self._lock = threading.Lock()
        self._ended = False
        self._lasted = False

    @property
    def came_up(self) -> bool:
        return self._lasted or not self._ended

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            started = time.monotonic()
            end = self._run_once(stop)
            if stop.is_set() or end is None:
                return
            ran = time.monotonic() - started
            self._ended, self._lasted = True, self._lasted or ran >= self._up_after
            pause = self._back_off.pause_after(ran)
            self._log.write(
                SUPERVISOR,
                f"{self.name} {end} after {ran:.0f} s, is started again in {pause:.1f} s",
            )
            stop.wait(pause)

    def terminate(self) -> None:
        """Ask the role's process to end; what it started is the role's own to end."""
        with self._lock:
            if self._pid is not None:
                os.kill(self._pid, signal.SIGTERM)

    def kill(self) -> bool:
        """Kill the process and all it started; False when there is none."""
        with self._lock:
            return self._pid is not None and _kill_group(self._pid)

    def _run_once(self, stop: threading.Event) -> str | None:
        """Run the process to its end and say how it ended; None when a stop came before."""
        with self._lock:
            if stop.is_set():
                return None
            try:
                process = self._start()
            except OSError as error:
                return f"could not be started ({error})"
            self._pid = process.pid
        assert process.stdout is not None
        reader = self._reader(process.stdout)
        # Not reaped yet: until then nothing else can have its number.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with self._lock:
            self._pid = None
            _kill_group(process.pid)
        code = process.wait()
        reader.join(_LAST_LINES_SECONDS)
        return _how_it_ended(code)

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            list(self._role.command),
            env=dict(self._role.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _reader(self, output: IO[bytes]) -> threading.Thread:
        """Reads on its own: a process that outlives the role can hold the pipe open."""
        reader = threading.Thread(target=self._log.follow, args=(self.name, output), daemon=True)
        reader.start()
        return reader


def _kill_group(leader: int) -> bool:
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    known = {each.value: each.name for each in signal.Signals}
    return f"was ended by {known.get(-code, f'signal {-code}')}"
