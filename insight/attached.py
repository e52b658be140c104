"""Child processes that end when their parent does, even when the parent is killed.

The parent holds a lock on a file; the child waits for that lock in a thread, and gets it the
moment the parent is gone. It is a record lock, which belongs to the process alone: a `flock` would
live on in whatever the parent forked.

Run as `python -m insight.attached LOCK module:function [ARGUMENT ...]`.
"""

import fcntl
import importlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_SECONDS_TO_DRAIN = 20


@contextmanager
def lifeline(folder: Path) -> Iterator[Path]:
    """A file whose lock this process holds for the length of the block."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"lifeline-{os.getpid()}-{os.urandom(4).hex()}"
    with open(path, "w") as stream:
        fcntl.lockf(stream, fcntl.LOCK_EX)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)


def command(lock: Path, entry_point: str, arguments: Sequence[str]) -> list[str]:
    """The command line of a child whose life hangs on `lock`."""
    return [sys.executable, "-m", "insight.attached", str(lock), entry_point, *arguments]


def _end_with_parent(lock: Path) -> None:
    try:
        stream = open(lock)  # noqa: SIM115 (the descriptor lives as long as the process)
    except FileNotFoundError:
        os._exit(1)
    fcntl.lockf(stream, fcntl.LOCK_SH)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_SECONDS_TO_DRAIN)
    os._exit(1)


def main() -> None:
    """Run the entry point with the rest of the command line as its arguments."""
    lock, entry_point = Path(sys.argv[1]), sys.argv[2]
    threading.Thread(target=_end_with_parent, args=(lock,), daemon=True).start()
    module, function = entry_point.split(":")
    sys.argv = [module.split(".")[0], *sys.argv[3:]]
    sys.exit(getattr(importlib.import_module(module), function)())


if __name__ == "__main__":
    main()
