"""How many customers are measured."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """`customers` of the whole run and of the models; `rounds` of the models, in turn."""

    customers: int = 1_000_000
    rounds: int = 3

    def __post_init__(self) -> None:
        """Raises ValueError for sizes that leave nothing to measure."""
        if self.customers < 1_000 or self.rounds < 1:
            raise ValueError("it takes 1,000 customers and one round at least")

    @property
    def is_whole(self) -> bool:
        return self == Options()
