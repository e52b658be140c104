"""How much of the warehouse is measured."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """`scale` times the default batch files; `times` the default history of the streams."""

    scale: int = 100
    times: int = 100
    sales: int = 43_600
    new_sales: int = 10_000
    increments: int = 3

    def __post_init__(self) -> None:
        """Raises ValueError for a number that leaves nothing to measure."""
        if min(self.scale, self.times, self.sales, self.new_sales, self.increments) < 1:
            raise ValueError("every size must be at least 1")

    @property
    def is_whole(self) -> bool:
        return self == Options()
