"""How rare a sum is: tail probabilities of a flow of things or of a level, and their correction.

A flow (revenue, visits) is never negative and varies more where it is large: a sum with mean M and
variance V is taken as V / M units times a Poisson number with mean M^2 / V. That holds for counts
and for sums of prices with many zeros, and tends to the normal distribution where M is large. A
level (temperature, price) varies alike everywhere and is taken as normal.

Neither is true of all data: the surprises that a series gave until now say how far they can be
trusted (peaks over a threshold with an exponential tail, Pickands 1975; Siffer et al. 2017).
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.special import gammainc, gammaincc, log_ndtr

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

# Smaller deviations are not looked at: they are no surprise in any series.
_LEAST_DEVIATION = 1.5
_SMALLEST = 1e-300

# A surprise of 3 is a chance of 5 %.
_PEAK = 3.0
_PEAKS_AT_FIRST = 20.0
# A larger surprise (0.25 %) is not learned from, as long as such ones are rare.
_OUTLIER = 6.0
# What comes more often than once in so many rows is no anomaly but a habit of the series.
_ROWS_AN_EPISODE = 1000
_PAUSE = 80


def surprises(
    sums: Floats, means: Floats, variances: Floats, is_flow: Flags
) -> tuple[Floats, Floats]:
    """(upward, downward) -ln of the chance of such a sum or a more extreme one; (B, S) each.

    0 where the deviation is small or to the other side. `variances` are above 0 where it matters;
    `is_flow` (S,) says how each series is taken.
    """
    deviation = np.divide(
        sums - means, np.sqrt(variances), out=np.zeros_like(sums), where=variances > 0
    )
    up, down = np.zeros_like(sums), np.zeros_like(sums)
    flow = np.broadcast_to(is_flow, sums.shape)
    for side, wanted in ((up, deviation > _LEAST_DEVIATION), (down, deviation < -_LEAST_DEVIATION)):
        level = wanted & ~flow
        side[level] = -log_ndtr(-np.abs(deviation[level]))
        rows = wanted & flow
        unit = variances[rows] / means[rows]
        number, mean = np.maximum(sums[rows], 0.0) / unit, means[rows] / unit
        chance = gammainc(number, mean) if side is up else gammaincc(number + 1.0, mean)
        side[rows] = -np.log(np.maximum(chance, _SMALLEST))
    return up, down


def of_estimated(surprise: Floats, observations: Floats) -> Floats:
    """The surprise when the variance is itself estimated, from so many independent sums (S,).

    The tail of Student's distribution beside that of the normal one.
    """
    half = np.maximum(observations, 2.0) / 2
    corrected: Floats = half * np.log1p(surprise / half)
    return corrected


@dataclass
class Calibration:
    """What surprises at one scale were like until now, for S series; corrects what comes too often.

    Windows overlap, so of each `scale` rows only the largest surprise tells how far peaks go.
    """

    scale: int
    series: int
    rows: Floats = field(init=False)
    peak_rows: Floats = field(init=False)
    peaks: Floats = field(init=False)
    excess: Floats = field(init=False)
    outliers: Floats = field(init=False)

    def __post_init__(self) -> None:
        # As if a series had been seen that does as it should.
        self.peaks, self.excess, self.peak_rows = (
            np.full(self.series, _PEAKS_AT_FIRST) for _ in range(3)
        )
        self.rows = self.peak_rows * np.exp(_PEAK)
        self.outliers = np.zeros(self.series)

    def correct(self, surprise: Floats) -> Floats:
        """-ln of the chance by what was seen; never above the surprise itself."""
        common = np.log(np.maximum(self.peak_rows / self.rows, np.exp(-_PEAK)))
        beyond = np.maximum(surprise - _PEAK, 0.0) / np.maximum(self.excess / self.peaks, 1.0)
        return np.where(surprise > _PEAK, beyond - common, np.minimum(surprise, -common))

    def learn(self, surprise: Floats, kept: Flags, remembered: float) -> Flags:
        """Take in the rows (B, S) that are `kept`, and forget what is older than `remembered`.

        The rows that share a window with an outlier are left out and returned, as long as outliers
        are rare.
        """
        surprise = np.where(kept, surprise, 0.0)
        is_outlier = surprise > _OUTLIER
        self.outliers += episodes(is_outlier)
        left_out = widened(is_outlier, self.scale - 1) & ~are_common(self.outliers, self.rows)
        surprise = np.where(left_out, 0.0, surprise)
        highest = self._highest(surprise)
        self.rows += kept.sum(axis=0)
        self.peak_rows += (surprise > _PEAK).sum(axis=0)
        self.peaks += (highest > _PEAK).sum(axis=0)
        self.excess += np.maximum(highest - _PEAK, 0.0).sum(axis=0)
        forget = np.minimum(1.0, remembered / self.rows)
        for each in (self.rows, self.peak_rows, self.peaks, self.excess, self.outliers):
            each *= forget
        return left_out

    def _highest(self, surprise: Floats) -> Floats:
        missing = -len(surprise) % self.scale
        padded = np.concatenate([surprise, np.zeros((missing, self.series))])
        highest: Floats = padded.reshape(-1, self.scale, self.series).max(axis=1)
        return highest


def are_common(counts: Floats, rows: Floats) -> Flags:
    """Whether so many episodes in so many rows are more than anomalies can be."""
    flags: Flags = counts * _ROWS_AN_EPISODE > np.maximum(rows, _ROWS_AN_EPISODE)
    return flags


def episodes(flagged: Flags) -> Floats:
    """How many runs of flags (B, S) begin in each column; a short pause does not end a run."""
    rows = np.where(flagged, np.arange(len(flagged))[:, None], -_PAUSE - 1)
    newest = np.maximum.accumulate(rows, axis=0)
    before = np.concatenate([np.full((1, rows.shape[1]), -_PAUSE - 1), newest[:-1]])
    counts: Floats = (flagged & (rows - before >= _PAUSE)).sum(axis=0).astype(float)
    return counts


def widened(flagged: Flags, rows: int) -> Flags:
    """Flags (B, S) with so many rows before and after each of them."""
    sums = np.concatenate([np.zeros((1, flagged.shape[1]), dtype=int), np.cumsum(flagged, axis=0)])
    places = np.arange(len(flagged))
    ends, starts = np.minimum(places + rows + 1, len(flagged)), np.maximum(places - rows, 0)
    flags: Flags = sums[ends] > sums[starts]
    return flags
