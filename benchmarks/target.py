"""What the design asks for beside what came out."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.readme import table


@dataclass(frozen=True)
class Target:
    """One line of a table of numbers, with what came out."""

    what: str
    limit: float
    value: float
    at_most: bool = False
    unit: str = " x"

    @property
    def is_met(self) -> bool:
        return self.value <= self.limit if self.at_most else self.value >= self.limit

    @property
    def wanted(self) -> str:
        return f"{'at most' if self.at_most else 'at least'} {self.limit:g}{self.unit}"

    @property
    def measured(self) -> str:
        return f"{self.value:.2f}{self.unit}"

    @property
    def verdict(self) -> str:
        return "met" if self.is_met else "missed"


def verdicts(targets: Sequence[Target]) -> str:
    """One line a target."""
    rows = [(each.what, each.wanted, each.measured, each.verdict) for each in targets]
    return table(("target", "wanted", "measured", "verdict"), rows)
