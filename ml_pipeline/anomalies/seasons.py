"""What to expect at a time: the past values at that time of day, of the week, or just before.

Each expectation is learned block by block, so that none has seen the block that it is asked for.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

DAY_SECONDS = 86_400
_MOST_SLOTS_A_DAY = 1440
# How many visits of a slot its mean remembers: two weeks of days, two months of weeks.
_DAYS_REMEMBERED, _WEEKS_REMEMBERED = 14, 8
# Half the width of the smoothing over the times of day, in seconds.
_SMOOTH_SECONDS = 1800
RECENT_ROWS = 5

OVERALL, RECENT, DAY, DAY_SMOOTH, WEEK, WEEK_SMOOTH = range(6)
TITLES = (
    "on average",
    "after the values just before",
    "at this time of day",
    "around this time of day",
    "at this time of the week",
    "around this time of the week",
)


@dataclass
class Season:
    """Means by slot of a day or week, for S series; `slots` of them, `span` on each side smoothed.

    A mean is that of its newest visits: `memory` of them, weighted exponentially.
    """

    slots: int
    span: int
    memory: int
    series: int
    means: Floats = field(init=False)
    visits: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.means = np.zeros((self.slots, self.series))
        self.visits = np.zeros((self.slots, self.series))

    def learn(self, slots: Integers, values: Floats) -> None:
        """Take in rows (B, S); NaN is no visit."""
        touched, values = _mean_by_slot(slots, values)
        seen = ~np.isnan(values)
        visits = self.visits[touched] + seen
        self.visits[touched] = visits
        rate = 1.0 / np.clip(visits, 1.0, self.memory)
        means = self.means[touched]
        self.means[touched] = np.where(seen, means + rate * (values - means), means)

    def own(self, slots: Integers, otherwise: Floats) -> Floats:
        """Mean of the slot of each row (B, S); `otherwise` (S,) where it was never visited."""
        return np.where(self.visits[slots] > 0, self.means[slots], otherwise)

    def smooth(self, slots: Integers, otherwise: Floats) -> Floats:
        """Mean of the slots around that of each row, by their visits."""
        weights = np.minimum(self.visits, self.memory)
        weight, total = self._around(weights), self._around(weights * self.means)
        # Running sums leave a rest of rounding where there is nothing.
        known = weight > 0.5
        means = np.divide(total, weight, out=np.zeros_like(total), where=known)
        return np.where(known[slots], means[slots], otherwise)

    def _around(self, values: Floats) -> Floats:
        if self.span == 0:
            return values
        wrapped = np.concatenate([values[-self.span :], values, values[: self.span]])
        sums = np.concatenate([np.zeros((1, self.series)), np.cumsum(wrapped, axis=0)])
        width = 2 * self.span + 1
        around: Floats = sums[width:] - sums[:-width]
        return around


def _mean_by_slot(slots: Integers, values: Floats) -> tuple[Integers, Floats]:
    """(slots, mean of their rows); NaN is no row."""
    touched, place = np.unique(slots, return_inverse=True)
    if len(touched) == len(slots):
        return slots, values
    known = ~np.isnan(values)
    sums, counts = (np.zeros((len(touched), values.shape[1])) for _ in range(2))
    np.add.at(sums, place, np.where(known, values, 0.0))
    np.add.at(counts, place, known)
    return touched, np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


class Expectations:
    """All candidates for what is usual; the caller picks one for each series by its past errors."""

    def __init__(self, step_seconds: float, series: int, rows_remembered: int):
        self._a_day = int(np.clip(round(DAY_SECONDS / step_seconds), 1, _MOST_SLOTS_A_DAY))
        span = min(round(_SMOOTH_SECONDS * self._a_day / DAY_SECONDS), (self._a_day - 1) // 2)
        self._day = Season(self._a_day, span, _DAYS_REMEMBERED, series)
        self._week = Season(7 * self._a_day, span, _WEEKS_REMEMBERED, series)
        self._rows_remembered = rows_remembered
        self._rows = np.zeros(series)
        self.overall = np.zeros(series)
        self.magnitude = np.zeros(series)

    def of(self, seconds: Floats, before: Floats) -> Floats:
        """Candidates (6, B, S) for rows at `seconds` since 1970.

        `before` (B + 5, S) are the values from five rows before the first to the last row; no row
        is given its own.
        """
        day, week = self._slots(seconds)
        rows = len(seconds)
        recent = np.median(
            np.stack([before[each : each + rows] for each in range(RECENT_ROWS)]), axis=0
        )
        overall = np.broadcast_to(self.overall, (rows, len(self.overall)))
        return np.stack(
            [
                overall,
                np.where(np.isnan(recent), overall, recent),
                self._day.own(day, self.overall),
                self._day.smooth(day, self.overall),
                self._week.own(week, self._day.own(day, self.overall)),
                self._week.smooth(week, self._day.smooth(day, self.overall)),
            ]
        )

    def learn(self, seconds: Floats, values: Floats, capped: Floats) -> None:
        """Take in rows (B, S); NaN is a missing value.

        In `values`, for the times, flagged rows are missing too; in `capped`, for the mean of
        all, they are not.
        """
        day, week = self._slots(seconds)
        self._day.learn(day, values)
        self._week.learn(week, values)
        known = ~np.isnan(capped)
        counts = known.sum(axis=0)
        self._rows = np.minimum(self._rows + counts, self._rows_remembered)
        share = np.divide(counts, self._rows, out=np.zeros(len(counts)), where=self._rows > 0)
        filled = np.where(known, capped, 0.0)
        for mean, sums in ((self.overall, filled), (self.magnitude, np.abs(filled))):
            newest = sums.sum(axis=0) / np.maximum(counts, 1)
            mean += np.minimum(share, 1.0) * (newest - mean)

    def _slots(self, seconds: Floats) -> tuple[Integers, Integers]:
        slot = np.floor(seconds * self._a_day / DAY_SECONDS).astype(np.int64)
        return slot % self._a_day, slot % (7 * self._a_day)
