"""What is measured, and how much of it."""

from dataclasses import dataclass

CUSTOMERS = 100_000


@dataclass(frozen=True)
class Options:
    """Requests a second, seconds of a run, and rounds in which both sides take their turn."""

    rate: int = 1_000
    seconds: int = 20
    rounds: int = 3

    def __post_init__(self) -> None:
        if min(self.rate, self.seconds, self.rounds) < 1:
            raise ValueError("rate, seconds and rounds are at least 1")

    @property
    def is_whole(self) -> bool:
        return self == Options()
