"""Flagged rows as a frame that people read: direction as a word, reason as a sentence."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ml_pipeline.anomalies.learning import UP
from ml_pipeline.anomalies.scoring import SCALES, Scores
from ml_pipeline.anomalies.seasons import TITLES
from ml_pipeline.anomalies.tails import Floats

SPIKE, DROP = "spike", "drop"
COLUMNS = ("series", "time", "expected", "actual", "score", "direction", "reason")
_UNITS = ((60.0, "minute"), (3600.0, "hour"), (86_400.0, "day"))
_LARGEST_EXPONENT = 9


def flagged_rows(
    names: Sequence[str], times: pd.DatetimeIndex, values: Floats, scores: Scores, step: float
) -> pd.DataFrame:
    """The flagged rows of `scores`, by series and time, with `COLUMNS`.

    `names` are the S columns of `values` (T, S), `times` their T rows, `step` their distance in
    seconds. An empty frame has the columns too.
    """
    columns, rows = np.nonzero(scores.direction.T)
    reasons = [
        reason(scores, row, column, values[row, column], step)
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
    ]
    is_up = scores.direction[rows, columns] == UP
    frame = {
        "series": np.asarray(names, dtype=object)[columns],
        "time": times[rows],
        "expected": scores.expected[rows, columns],
        "actual": values[rows, columns],
        "score": scores.score[rows, columns],
        "direction": np.where(is_up, SPIKE, DROP).astype(object),
        "reason": pd.Series(reasons, dtype=object).to_numpy(),
    }
    return pd.DataFrame(frame, columns=list(COLUMNS))


def reason(scores: Scores, row: int, column: int, actual: float, step: float) -> str:
    """One sentence without a full stop: what came, what is usual then, and how rare that is."""
    scale = SCALES[scores.scale[row, column]]
    unit = unit_of(step)
    usual = TITLES[scores.candidate[row, column]]
    if scale == 1:
        what = f"{shown(actual)} where {shown(scores.expected[row, column])} is usual {usual}"
    else:
        what = (
            f"{shown(scores.window_actual[row, column])} in {scale} {unit}s"
            f" where {shown(scores.window_expected[row, column])} is usual {usual}"
        )
    return f"{what}: as rare as once in {_rows(scores.score[row, column])} {unit}s"


def unit_of(step: float) -> str:
    """minute, hour or day for rows at that distance in seconds, else row."""
    return next((name for seconds, name in _UNITS if abs(step - seconds) < seconds / 100), "row")


def shown(value: float) -> str:
    """A value for people: two decimals, below 1 three figures."""
    size = abs(value)
    if size >= 100 or value == 0:
        return f"{value:,.2f}".removesuffix(".00")
    return f"{value:,.2f}" if size >= 1 else f"{value:.3g}"


def _rows(score: float) -> str:
    if score >= _LARGEST_EXPONENT:
        return "more than a billion"
    size = 10.0 ** int(score)
    return f"{int(10**score // size * size):,}"
