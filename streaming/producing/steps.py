"""Marks in the producer's loop, for tests that kill it there."""

from collections.abc import Callable
from enum import StrEnum


class Step(StrEnum):
    """Moments at which a test can kill the producer."""

    POLLED = "polled"
    DELIVERED = "delivered"
    SAVED = "saved"


OnStep = Callable[[Step], None]


def ignore_step(_step: Step) -> None:
    """The mark that does nothing."""
