"""Where the embedded services keep their files, and the locks that guard them."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from insight.errors import ServiceError

# Everything that the project puts into its home; `remove` touches nothing else.
_KEPT_HERE = ("access.secret", "data", "dbt", "log", "models", "postgres*", "redis", "run", "spill")


@dataclass(frozen=True)
class StateDirectory:
    """The folder `INSIGHT_HOME` (`.insight` by default) and the names inside it."""

    home: Path

    def create(self) -> None:
        """Raises ServiceError when we may not write there."""
        try:
            for folder in (self.home, self.run, self.leases, self.logs):
                folder.mkdir(parents=True, exist_ok=True)
            self.change_lock.touch()
        except OSError as error:
            raise ServiceError(
                f"cannot be used as the project's home ({error.strerror})",
                where=str(self.home),
                next_step="Set INSIGHT_HOME to a folder you can write to",
            ) from error

    def remove(self) -> None:
        """Delete what the project keeps here, and the folder itself when nothing else is in it."""
        for pattern in _KEPT_HERE:
            for path in self.home.glob(pattern):
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
        # A folder with other people's files stays, and so does the root of a mounted volume.
        with contextlib.suppress(OSError):
            self.home.rmdir()

    @property
    def run(self) -> Path:
        return self.home / "run"

    @property
    def leases(self) -> Path:
        return self.run / "leases"

    @property
    def logs(self) -> Path:
        return self.home / "log"

    @property
    def endpoints(self) -> Path:
        return self.run / "endpoints.json"

    @property
    def keeper_lock(self) -> Path:
        """Held by the keeper for as long as it lives."""
        return self.run / "keeper.lock"

    @property
    def change_lock(self) -> Path:
        """Held while a keeper is started or while it decides to stop, so that neither races."""
        return self.run / "change.lock"

    @property
    def keep_marker(self) -> Path:
        """Present from `services start` to `services stop`: no lease is needed to go on."""
        return self.run / "keep"

    @property
    def stop_marker(self) -> Path:
        """Present when the keeper shall stop although leases are held."""
        return self.run / "stop"

    @property
    def failure(self) -> Path:
        """One line that says why the keeper could not start."""
        return self.run / "failure"

    @property
    def keeper_log(self) -> Path:
        return self.logs / "services.log"

    @property
    def postgres_log(self) -> Path:
        return self.logs / "postgres.log"

    @property
    def redis_log(self) -> Path:
        return self.logs / "redis.log"


def try_lock(path: Path) -> IO[str] | None:
    """Take an exclusive lock that the operating system frees when the holder dies.

    None when another process holds it. Close the returned file to let go.
    """
    stream = open(path, "a")  # noqa: SIM115 (the lock lives as long as the file is open)
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.close()
        return None
    return stream


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait for the lock and hold it for the block."""
    with open(path, "a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def held_leases(state: StateDirectory) -> int:
    """Count the commands that use the services; leases of dead commands are removed."""
    held = 0
    for path in state.leases.iterdir():
        lock = try_lock(path)
        if lock is None:
            held += 1
        else:
            path.unlink(missing_ok=True)
            lock.close()
    return held


def new_lease(state: StateDirectory) -> IO[str]:
    """A lease held by this process until the file is closed or the process dies."""
    name = f"{os.getpid()}-{os.urandom(4).hex()}"
    # Locked before it is among the leases: there, who counts them would take it for a dead one.
    lock = try_lock(state.run / f"lease-{name}")
    assert lock is not None, "the name is new, so nobody else can hold it"
    (state.run / f"lease-{name}").rename(state.leases / name)
    return lock


def is_locked(path: Path) -> bool:
    """Whether somebody holds the lock; looking does not disturb others who look."""
    with open(path, "a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
