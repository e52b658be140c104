"""The history that a snapshot must have, reckoned without SQL."""

from dataclasses import dataclass, field

Values = tuple[str | None, str, int]
Customers = dict[str, Values]
Version = tuple[str, Values, int, int | None]


@dataclass
class Reckoning:
    """What the history must be: versions with the numbers of the runs that began and ended them."""

    versions: list[Version] = field(default_factory=list)
    runs: int = 0

    def see(self, customers: Customers) -> None:
        """A run that found these customers."""
        self.runs += 1
        kept = {
            key: values
            for key, values, _, ended in self.versions
            if ended is None and customers.get(key) == values
        }
        self.versions = [
            (key, values, began, self.runs if ended is None and key not in kept else ended)
            for key, values, began, ended in self.versions
        ]
        self.versions += [
            (key, values, self.runs, None) for key, values in customers.items() if key not in kept
        ]
