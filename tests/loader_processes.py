"""A loader that a test starts, stops and kills as a process."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

_SCRIPT = Path(__file__).parent / "streaming" / "faults" / "loader_process.py"


class LoaderProcess:
    """A loader that runs in a process of its own."""

    def __init__(self, request: dict[str, object], log: Path):
        self.log = log
        with open(log, "w") as stream:
            self._process = subprocess.Popen(
                [sys.executable, str(_SCRIPT)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stream,
                text=True,
            )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request))
        self._process.stdin.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    @property
    def is_stopped(self) -> bool:
        """Whether SIGSTOP has reached it."""
        with contextlib.suppress(FileNotFoundError):
            return Path(f"/proc/{self._process.pid}/stat").read_text().split()[2] == "T"
        return False

    @property
    def resident_bytes(self) -> int:
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE")

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self, seconds: float = 60) -> int:
        return self._process.wait(seconds)

    def end(self) -> int:
        """Ask it to stop in order, once it can hear that; returns its exit code."""
        assert self._process.stdout is not None
        self._process.stdout.readline()
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(30)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
