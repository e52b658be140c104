"""What is measured, and how much of it."""

from dataclasses import dataclass

CUSTOMERS = 100_000


@dataclass(frozen=True)
class Options:
    """Requests a second, seconds of a run, rounds in which all sides take turns, WebSockets."""

    rate: int = 1_000
    seconds: int = 20
    rounds: int = 3
    sockets: int = 200

    def __post_init__(self) -> None:
        if min(self.rate, self.seconds, self.rounds, self.sockets) < 1:
            raise ValueError("rate, seconds, rounds and sockets are at least 1")

    @property
    def is_whole(self) -> bool:
        return self == Options()
