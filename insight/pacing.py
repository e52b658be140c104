"""Work in the background that leaves room for those who wait for an answer."""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def at_half_speed(pieces: Iterable[T]) -> Iterator[T]:
    """The same pieces; after the work on each it rests as long as that took."""
    for piece in pieces:
        began = time.monotonic()
        yield piece
        time.sleep(time.monotonic() - began)
