"""What is measured, and how much of it."""

from dataclasses import dataclass

from benchmarks.year_of_sales import EVENTS_A_CUSTOMER

# So many sales of so much bring a customer into the standing example.
PROBE_SALES, PROBE_AMOUNT = 6, 200.0
PROBES_A_SECOND = 10


@dataclass(frozen=True)
class Options:
    """`events` of the year before, active `rules`, then `rate` sales a second for `seconds`.

    Then `faster` sales a second and a quarter more each time, until it falls behind. In the end
    `backlog` sales lie there that came while the role was away. Rules are about customers with more
    than `regular` sales in 90 days: with fewer, more of them enter and leave for each sale.
    """

    events: int = 10_000_000
    rules: int = 100
    rate: int = 5_000
    seconds: int = 60
    faster: int = 6_250
    backlog: int = 300_000
    regular: int = 7

    def __post_init__(self) -> None:
        """Raises ValueError for sizes that leave nothing to measure."""
        if self.events < 10_000 or min(self.rules, self.backlog, self.regular) < 1:
            raise ValueError("it takes 10,000 events, a rule and a backlog at least")
        if min(self.rate, self.faster) < 100 or self.seconds < 10:
            raise ValueError("it takes 100 events a second for 10 seconds at least")

    @property
    def is_whole(self) -> bool:
        return self == Options()

    @property
    def customers(self) -> int:
        return self.events // EVENTS_A_CUSTOMER


def probe(run: str, number: int) -> str:
    """The customer id of a probe."""
    return f"probe-{run}-{number:06d}"
