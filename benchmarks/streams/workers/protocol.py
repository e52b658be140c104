"""How a measured process talks to the benchmark: a request, `ready`, `go`, and the end of input.

Imports and connections to nothing are done before `ready`, so that no start of Python is measured.
"""

import json
import os
import sys
import threading
from typing import Any


def request() -> dict[str, Any]:
    """What to do, as the benchmark wrote it into the first line of the standard input."""
    found: dict[str, Any] = json.loads(sys.stdin.readline())
    return found


def wait_for_go() -> None:
    """Tell that everything is imported, and wait until the measurement begins."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    if sys.stdin.readline() != "go\n":
        sys.exit("the benchmark went away")


def end_with_the_benchmark() -> None:
    """Without it a process whose benchmark was killed would wait for messages for ever."""

    def watch() -> None:
        _wait_for_end_of_input()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def stop_at_end_of_input() -> threading.Event:
    """An event that is set when the benchmark closes the standard input, or is gone."""
    stop = threading.Event()

    def watch() -> None:
        _wait_for_end_of_input()
        stop.set()

    threading.Thread(target=watch, daemon=True).start()
    return stop


def _wait_for_end_of_input() -> None:
    # Not sys.stdin: Python cannot end in order while a thread waits in there.
    while os.read(0, 1024):
        pass
