"""Automatic garbage collection, switched off for a loader that has a process of its own.

A batch makes some hundred thousand objects that are freed when it is done, without a cycle among
them; looking for cycles in them costs as much as decoding them does.
"""

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager

_SECONDS = 60.0


class Collector:
    """Collects once in a while, when asked between two batches."""

    def __init__(self) -> None:
        self._collected_at = time.monotonic()

    def collect_if_due(self) -> None:
        """Collect when the last time is a minute ago and nobody else does."""
        if gc.isenabled() or time.monotonic() - self._collected_at < _SECONDS:
            return
        gc.collect()
        self._collected_at = time.monotonic()


@contextmanager
def no_automatic_collection() -> Iterator[None]:
    """Leave collecting to `Collector` for the block; for a process that does nothing but load."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
