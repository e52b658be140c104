"""What a scorer remembers of each series: spread, family and habits."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ml_pipeline.anomalies.tails import Flags, Floats, are_common, episodes

Choices = npt.NDArray[np.int8]

UP, DOWN = 1, -1
# A flow's squared residuals grow by at least this share of what the mean grows by.
_GROWN = 0.3
# A flagged value counts as so much of the largest unflagged one at most.
_MOST_LEARNED = 1.5
# In a series with fewer values than this that are not zero, the unit is near their size.
_SPARSE_SHARE, _LEAST_UNIT = 0.5, 0.7


@dataclass
class Spread:
    """Squared residuals of sums at one scale, for each candidate and series."""

    shape: tuple[int, int]
    squares: Floats = field(init=False)
    means: Floats = field(init=False)
    rows: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.squares, self.means, self.rows = (np.zeros(self.shape) for _ in range(3))

    def learn(self, residuals: Floats, means: Floats, kept: Flags, remembered: float) -> None:
        self.squares += np.where(kept, residuals**2, 0.0).sum(axis=1)
        self.means += np.where(kept, means, 0.0).sum(axis=1)
        self.rows += kept.sum(axis=0)
        self.forget(np.minimum(1.0, remembered / np.maximum(self.rows, 1.0)))

    def forget(self, kept_share: Floats | float) -> None:
        for each in (self.squares, self.means, self.rows):
            each *= kept_share

    def per_row(self) -> Floats:
        return _ratio(self.squares, self.rows)

    def per_mean(self) -> Floats:
        """The unit of a flow: variance for each unit of the mean."""
        return _ratio(self.squares, self.means)


@dataclass
class Family:
    """Whether squared residuals grow with the mean, as those of a flow do, for S series."""

    series: int
    sums: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.sums = np.zeros((5, self.series))

    def learn(self, squares: Floats, means: Floats, kept: Flags, remembered: float) -> None:
        for total, term in zip(
            self.sums, (kept, means, means**2, squares, squares * means), strict=True
        ):
            total += term.sum(axis=0)
        self.sums *= np.minimum(1.0, remembered / np.maximum(self.sums[0], 1.0))

    def is_flow(self) -> Flags:
        """Whether they grow by a good part of what they would if all were from a flow."""
        rows, means, means_squared, squares, products = self.sums
        rows = np.maximum(rows, 1.0)
        grown = products - squares * means / rows
        of_flow = _ratio(squares, means) * (means_squared - means**2 / rows)
        flags: Flags = grown >= _GROWN * of_flow
        return flags


@dataclass
class Habits:
    """How large values are and how often a series is flagged, for S series."""

    series: int
    largest: Floats = field(init=False)
    totals: Floats = field(init=False)
    rows: Floats = field(init=False)
    episodes: dict[int, Floats] = field(init=False)

    def __post_init__(self) -> None:
        self.largest, self.rows = np.zeros(self.series), np.zeros(self.series)
        self.totals = np.zeros((4, self.series))
        self.episodes = {side: np.zeros(self.series) for side in (UP, DOWN)}

    def learn(self, values: Floats, direction: Choices, remembered: float) -> None:
        """Take in rows (B, S) with their flags."""
        known = ~np.isnan(values)
        sizes = np.where(known, np.abs(values), 0.0)
        unflagged = np.where(direction == 0, sizes, 0.0).max(axis=0)
        self.largest = np.maximum(self.largest, unflagged)
        capped = np.minimum(sizes, self.cap(sizes))
        self.totals += np.stack([known, sizes > 0, capped, capped**2]).sum(axis=1)
        self.rows += len(values)
        forget = np.minimum(1.0, remembered / self.rows)
        self.rows *= forget
        for side, count in self.episodes.items():
            count += episodes(direction == side)
            count *= forget

    def cap(self, values: Floats) -> Floats:
        """The values, none larger than half as much again as the largest unflagged one."""
        most = _MOST_LEARNED * self.largest
        return np.clip(values, -most, most)

    def flag_often(self, side: int) -> Flags:
        """Whether flags come so often that they are the habit of a series."""
        return are_common(self.episodes[side], self.rows)

    def least_unit(self) -> Floats:
        """In a series that is mostly zero, near the size of its other values; else 0."""
        _, _, total, squares = self.totals
        return np.where(self.is_sparse(), _LEAST_UNIT * _ratio(squares, total), 0.0)

    def is_sparse(self) -> Flags:
        """Whether a series is mostly zero."""
        rows, others, _, _ = self.totals
        flags: Flags = others < _SPARSE_SHARE * rows
        return flags


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)
