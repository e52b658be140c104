"""Scores of series: what was expected, how rare what came is, and which points are anomalies.

Causal: a row is judged by rows before it alone, beside its own value. Rows are taken in blocks.
What is usual, how much it varies and how often surprises come is learned from whole blocks, after
they were judged; inside a block only sums over the newest rows move on. So the work is O(rows),
and all series go side by side.

A row is judged at several scales (Renz et al. 2023 on series with low counts): alone, and at the
end of its last 5, 20 and 80 rows, where a lack of sales can be seen that no single minute shows.
Its surprise at a scale is -ln of the chance of such a sum (`tails`), corrected by what the series
did until then. Of the candidates for what is usual (`seasons`) the one with the smallest squared
error until then is taken, for each series. What is flagged is not learned from, unless most of a
block is flagged or flags come often: then that is how the series is.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml_pipeline.anomalies.learning import DOWN, UP, Choices, Family, Habits, Spread
from ml_pipeline.anomalies.seasons import (
    DAY,
    DAY_SECONDS,
    DAY_SMOOTH,
    RECENT,
    RECENT_ROWS,
    WEEK,
    Expectations,
)
from ml_pipeline.anomalies.tails import Calibration, Flags, Floats, of_estimated, surprises

SCALES = (1, 5, 20, 80)
SHORTEST_WARM_UP = 50
HIGHEST_SCORE = 20.0
_SHORTEST_BLOCK, _LONGEST_BLOCK = 32, 1440
# Share of the squared errors of the warm-up that is kept.
_OF_WARM_UP = 0.1
# Spreads and surprises remember a week, of short series at least so many rows; at first a third of
# the rows that were seen, but so many at least.
_DAYS_REMEMBERED, _FEWEST_REMEMBERED, _LEAST_REMEMBERED = 7, 2000, 100
# A flow is nowhere expected below this share of its mean: a quiet hour is not an impossible one.
_LEAST_FLOW = 0.05
# A row counts as deviating with its window when the newest quarter deviates half as much.
_NEWEST, _STILL = 4, 0.5
_CHANGED_SHARE = 0.5
# The values just before are expected only where that is better by this factor.
_ADVANTAGE = 1.25
_CANDIDATES = 6
_NOT_FLAGGED = len(SCALES)

Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Options:
    """`false_alarms` is how many in a million rows a series without anomalies may give, at each
    scale and to each side; `floor` the least standard deviation, as a share of the mean size of
    the values. `warm_up_rows` are learned from only; by default a day, but at least 50 rows.
    """

    false_alarms: float = 2.0
    floor: float = 0.01
    warm_up_rows: int | None = None

    @property
    def alarm_score(self) -> float:
        """From this score on a row is flagged."""
        return 6.0 - float(np.log10(self.false_alarms))


@dataclass(frozen=True)
class Scores:
    """One row a time, one column a series, all arrays (T, S).

    `score` is log10 of the number of rows in which such a value comes once, 0 for an unremarkable
    one; NaN, as `expected`, where nothing was known yet or the value is missing. `direction` is
    1 or -1 for a flagged row, else 0; `scale` indexes SCALES, `candidate` indexes seasons.TITLES;
    `window_actual` and `window_expected` are sums over the rows of the scale.
    """

    expected: Floats
    score: Floats
    direction: Choices
    scale: Choices
    candidate: Choices
    window_actual: Floats
    window_expected: Floats

    @classmethod
    def empty(cls, rows: int, series: int) -> "Scores":
        """Nothing is known, nothing flagged."""
        shape = (rows, series)
        unknown = [np.full(shape, np.nan) for _ in range(4)]
        none = [np.zeros(shape, dtype=np.int8) for _ in range(3)]
        return cls(
            expected=unknown[0],
            score=unknown[1],
            direction=none[0],
            scale=none[1],
            candidate=none[2],
            window_actual=unknown[2],
            window_expected=unknown[3],
        )


def score_series(
    seconds: Floats, values: Floats, options: Options | None = None, *, step: float | None = None
) -> Scores:
    """Score `values` (T, S) at `seconds` (T,) since 1970, ascending, evenly spaced or not.

    NaN is a missing value. `step` is the usual distance of rows in seconds, by default the median
    of the first thousand distances. Values times a constant above 0 have the same scores.
    """
    step = step or usual_step(seconds)
    scorer = _Scorer(seconds, values, options or Options(), step)
    longest = int(np.clip(round(DAY_SECONDS / step), _SHORTEST_BLOCK, _LONGEST_BLOCK))
    first = 0
    while first < len(seconds):
        # Short blocks first, so that also a short series is judged.
        last = min(max(2 * first, SHORTEST_WARM_UP), first + longest, len(seconds))
        if first < scorer.warm_up < last:
            last = scorer.warm_up
        scorer.take(first, last)
        first = last
    return scorer.scores


def usual_step(seconds: Floats) -> float:
    """Median distance in seconds of the first thousand rows; a minute for a single row."""
    return float(np.median(np.diff(seconds[:1001]))) if len(seconds) > 1 else 60.0


def warm_up_rows(options: Options, step: float) -> int:
    """How many of the first rows are learned from only."""
    return options.warm_up_rows or max(round(DAY_SECONDS / step), SHORTEST_WARM_UP)


class _Scorer:
    def __init__(self, seconds: Floats, values: Floats, options: Options, step: float):
        series = values.shape[1]
        self._seconds, self._values = seconds, values
        self._known = ~np.isnan(values)
        self._filled = _carried_forward(values)
        self.warm_up = warm_up_rows(options, step)
        self._options = options
        self._starts = [_window_starts(seconds, scale, step) for scale in SCALES]
        self._most_remembered = max(_DAYS_REMEMBERED * DAY_SECONDS / step, _FEWEST_REMEMBERED)
        self._remembered = self._most_remembered
        self._expectations = Expectations(step, series, int(self._remembered))
        self._spreads = [Spread((_CANDIDATES, series)) for _ in SCALES]
        self._calibrations = {
            (number, side): Calibration(scale, series)
            for number, scale in enumerate(SCALES)
            for side in (UP, DOWN)
        }
        self._is_negative = np.zeros(series, dtype=bool)
        self._family = Family(series)
        self._habits = Habits(series)
        # Of the rows before the block, as far as windows reach back.
        self._reach = max(SCALES) - 1
        self._candidates = np.zeros((_CANDIDATES, self._reach, series))
        self._flag_scales = np.full((self._reach, series), _NOT_FLAGGED, dtype=np.int8)
        self.scores = Scores.empty(*values.shape)

    def take(self, first: int, last: int) -> None:
        """Judge rows from `first` up to, not including, `last`, then learn from them."""
        block = slice(first, last)
        candidates = self._expectations.of(self._seconds[block], self._before(first, last))
        self._candidates = np.concatenate([self._candidates[:, -self._reach :], candidates], axis=1)
        shape = (last - first, candidates.shape[2])
        unflagged = np.full(shape, _NOT_FLAGGED, dtype=np.int8)
        self._flag_scales = np.concatenate([self._flag_scales[-self._reach :], unflagged])
        self._outliers = np.zeros((len(SCALES), *shape), dtype=bool)
        # At first expectations are poor: how poor is soon forgotten.
        self._remembered = float(np.clip(first / 3, _LEAST_REMEMBERED, self._most_remembered))
        chosen = self._chosen()
        if first == self.warm_up:
            # Until then no day was there to compare with: those errors say little.
            for spread in self._spreads:
                spread.forget(_OF_WARM_UP)
        if first >= self.warm_up:
            self._judge(block, chosen)
        self._learn(block)

    def _before(self, first: int, last: int) -> Floats:
        missing = max(RECENT_ROWS - first, 0)
        held = self._filled[max(first - RECENT_ROWS, 0) : last]
        return np.concatenate([np.full((missing, held.shape[1]), np.nan), held])

    def _chosen(self) -> Places:
        """The candidate with the smallest squared error until now, for each series."""
        penalties = np.where(np.arange(_CANDIDATES) == RECENT, _ADVANTAGE, 1.0)
        best: Places = np.argmin(self._spreads[0].per_row() * penalties[:, None], axis=0)
        return best

    def _judge(self, block: slice, chosen: Places) -> None:
        series = np.arange(len(chosen))
        expected = self._candidates[chosen, :, series].T
        is_flow = ~self._is_negative & (self._habits.is_sparse() | self._family.is_flow())
        usual = np.where(
            is_flow, np.maximum(expected, _LEAST_FLOW * self._expectations.overall), expected
        )
        rows = slice(self._reach, None)
        best = np.zeros_like(self.scores.score[block])
        result = {name: getattr(self.scores, name)[block] for name in self.scores.__dict__}
        judged = self._known[block] & (self._expectations.magnitude > 0)
        itself = self._values[block] - expected[rows]
        result["candidate"][:] = chosen
        is_new = {side: ~self._has_come_before(block, side, itself) for side in (UP, DOWN)}
        usual_sums = _running(usual)
        held = self._values_from_reach(block)
        deviations = _running(np.where(np.isnan(held), 0.0, held - usual))
        for number in range(len(SCALES)):
            actual, means, counts = self._sums(block, number, usual, usual_sums)
            newest = self._newest_deviation(block, number, deviations)
            variances = self._variances(number, chosen, is_flow, means, counts)
            for side, surprise in zip(
                (UP, DOWN), surprises(actual, means, variances, is_flow), strict=True
            ):
                surprise = of_estimated(surprise, self._spreads[number].rows[0] / SCALES[number])
                calibration = self._calibrations[number, side]
                chance = calibration.correct(surprise)
                score = np.where(surprise > 0, chance / np.log(10) + np.log10(SCALES[number]), 0.0)
                deviates = side * newest > _STILL * side * (actual - means) / counts
                taken = judged & deviates & (side * itself > 0) & (score > best)
                taken &= is_new[side]
                best[taken] = score[taken]
                flagged = taken & (score >= self._options.alarm_score)
                first_flag = flagged & (result["direction"] == 0)
                result["direction"][first_flag] = side
                self._flag_scales[rows][first_flag] = number
                self._outliers[number] |= calibration.learn(surprise, judged, self._remembered)
                result["scale"][taken] = number
                result["window_actual"][taken] = actual[taken]
                result["window_expected"][taken] = means[taken]
        result["expected"][:] = np.where(judged, expected[rows], np.nan)
        result["score"][:] = np.where(judged, np.minimum(best, HIGHEST_SCORE), np.nan)

    def _has_come_before(self, block: slice, side: int, itself: Floats) -> Flags:
        """Whether half of a row's deviation was there at that minute of other days or weeks too.

        Where most minutes are zero, zeros of other days say nothing about a lack.
        """
        own = self._candidates[[DAY, WEEK], self._reach :]
        nearest = (side * (self._values[block] - own)).min(axis=0)
        has_come: Flags = nearest <= _STILL * side * itself
        return has_come if side == UP else has_come & ~self._habits.is_sparse()

    def _sums(
        self, block: slice, number: int, usual: Floats, usual_sums: Floats
    ) -> tuple[Floats, Floats, Floats]:
        """(actual, expected, rows) of the window that ends at each row of the block.

        What a smaller scale has flagged counts as expected: it is told already.
        """
        values = self._values_from_reach(block)
        is_told = (self._flag_scales < number) | np.isnan(values)
        actual = np.where(is_told, usual, values)
        starts = self._starts[number][block] - block.start + self._reach
        ends = np.arange(self._reach, self._reach + len(starts)) + 1
        counts = (ends - starts).astype(float)[:, None]
        return _between(_running(actual), starts, ends), _between(usual_sums, starts, ends), counts

    def _newest_deviation(self, block: slice, number: int, deviations: Floats) -> Floats:
        """Mean deviation of the newest quarter of the window, from running sums."""
        ends = np.arange(self._reach, len(deviations) - 1) + 1
        starts = np.maximum(
            ends - max(SCALES[number] // _NEWEST, 1),
            self._starts[number][block] - block.start + self._reach,
        )
        mean: Floats = _between(deviations, starts, ends) / (ends - starts)[:, None]
        return mean

    def _values_from_reach(self, block: slice) -> Floats:
        missing = max(self._reach - block.start, 0)
        held = self._values[max(block.start - self._reach, 0) : block.stop]
        return np.concatenate([np.full((missing, held.shape[1]), np.nan), held])

    def _variances(
        self,
        number: int,
        chosen: Places,
        is_flow: Flags,
        means: Floats,
        counts: Floats,
    ) -> Floats:
        spread, series = self._spreads[number], np.arange(len(chosen))
        unit = np.maximum(
            spread.per_mean()[chosen, series], self._spreads[0].per_mean()[chosen, series]
        )
        of_flow = np.maximum(unit, self._habits.least_unit()) * means
        of_level = spread.per_row()[chosen, series] * counts / SCALES[number]
        floor = (self._options.floor * self._expectations.magnitude * counts) ** 2
        return np.maximum(np.where(is_flow, of_flow, of_level), floor)

    def _learn(self, block: slice) -> None:
        values, known = self._values[block], self._known[block]
        flagged = self._flag_scales[self._reach :] < _NOT_FLAGGED
        self._habits.learn(values, self.scores.direction[block], self._remembered)
        is_usual = self._habits.flag_often(UP) | self._habits.flag_often(DOWN)
        is_usual |= flagged.sum(axis=0) > _CHANGED_SHARE * np.maximum(known.sum(axis=0), 1)
        left_out = flagged & ~is_usual
        capped = np.where(left_out, self._habits.cap(values), values)
        self._is_negative |= (values < 0).any(axis=0)
        if block.start == 0:
            # There was no expectation for the first block: its own mean has to do.
            self._expectations.learn(self._seconds[block], values, capped)
            self._candidates[:, self._reach :] = self._expectations.overall
        self._learn_spread(block, capped, known, known & ~left_out, is_usual)
        self._learn_family(values, known & ~left_out)
        if block.start > 0:
            self._expectations.learn(
                self._seconds[block], np.where(left_out, np.nan, values), capped
            )

    def _learn_spread(
        self, block: slice, capped: Floats, known: Flags, kept: Flags, is_usual: Flags
    ) -> None:
        candidates = self._candidates[:, self._reach :]
        # With the flagged rows: else an expectation that flags much would look good, and in a
        # series of few sales every sale would be an anomaly.
        errors = np.where(known, capped - candidates, 0.0)
        self._spreads[0].learn(errors, candidates, known, self._remembered)
        values = self._values_from_reach(block)
        is_told = (self._flag_scales < _NOT_FLAGGED) & ~is_usual | np.isnan(values)
        residuals = _running(np.where(is_told, 0.0, values - self._candidates))
        means = _running(self._candidates)
        ends = np.arange(self._reach, len(values)) + 1
        for number, spread in enumerate(self._spreads[1:], start=1):
            starts = self._starts[number][block] - block.start + self._reach
            spread.learn(
                _between(residuals, starts, ends),
                _between(means, starts, ends),
                kept & ~(self._outliers[number] & ~is_usual),
                self._remembered,
            )

    def _learn_family(self, values: Floats, kept: Flags) -> None:
        expected = self._candidates[DAY_SMOOTH, self._reach :]
        squares = np.where(kept, (values - expected) ** 2, 0.0)
        means = np.where(kept, expected, 0.0)
        self._family.learn(squares, means, kept, self._remembered)


def _carried_forward(values: Floats) -> Floats:
    """The newest known value at each row; NaN before the first."""
    rows = np.where(np.isnan(values), 0, np.arange(len(values))[:, None])
    return np.take_along_axis(values, np.maximum.accumulate(rows, axis=0), axis=0)


def _window_starts(seconds: Floats, rows: int, step: float) -> Places:
    """First row of each row's window: at most `rows` rows, none older than as many steps."""
    by_row = np.arange(len(seconds)) - rows + 1
    # Half a step more, for times that are not exact.
    by_time = np.searchsorted(seconds, seconds - (rows - 0.5) * step)
    return np.maximum(np.maximum(by_row, by_time), 0)


def _running(values: Floats) -> Floats:
    """Sums of (..., rows, series) over all rows before each, and at last over all."""
    sums = np.zeros((*values.shape[:-2], values.shape[-2] + 1, values.shape[-1]))
    np.cumsum(values, axis=-2, out=sums[..., 1:, :])
    return sums


def _between(sums: Floats, starts: Places, ends: Places) -> Floats:
    """From running sums: those over rows from each start up to, not including, its end."""
    return sums[..., ends, :] - sums[..., starts, :]
