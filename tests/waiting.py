"""Waiting for what another process does."""

import time
from collections.abc import Callable


def eventually(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait until it is true; an outage that is under way counts as not yet."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.03)
