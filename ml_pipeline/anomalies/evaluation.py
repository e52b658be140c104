"""Flags against anomalies that are known to be there: precision, recall, delay, by kind."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from ml_pipeline.anomalies.reasons import DROP, SPIKE

# Flags of a series that are no further apart belong to one alarm.
PAUSE = pd.Timedelta(minutes=15)
# How long after its end an anomaly may still be told: a window over it ends later than it does.
GRACE = pd.Timedelta(minutes=15)


@dataclass(frozen=True)
class Planted:
    """A known anomaly of all series: from `first` up to, not including, `last`."""

    kind: str
    first: datetime
    last: datetime


@dataclass(frozen=True)
class Evaluation:
    """One kind: how many planted (anomaly, series) pairs were found, how many alarms are right.

    `delay_minutes` is the median from the begin of an anomaly to its first flag.
    """

    kind: str
    planted: int
    found: int
    alarms: int
    right: int
    delay_minutes: float | None

    @property
    def recall(self) -> float | None:
        return self.found / self.planted if self.planted else None

    @property
    def precision(self) -> float | None:
        return self.right / self.alarms if self.alarms else None


def evaluate(
    flagged: pd.DataFrame, series: Sequence[str], planted: Sequence[Planted]
) -> tuple[Evaluation, ...]:
    """Spikes, then drops. `flagged` has the columns series, time and direction, in UTC.

    A planted anomaly is found in a series when a row from its begin up to its end is flagged in
    its direction. An alarm, all flags of a series and direction without a longer pause than
    `PAUSE`, is right when it overlaps one, up to `GRACE` after its end.
    """
    return tuple(
        _of_kind(
            kind,
            flagged[flagged["direction"] == kind],
            series,
            [each for each in planted if each.kind == kind],
        )
        for kind in (SPIKE, DROP)
    )


def _of_kind(
    kind: str, flagged: pd.DataFrame, series: Sequence[str], planted: Sequence[Planted]
) -> Evaluation:
    delays: list[float] = []
    alarms = right = 0
    for name in series:
        times = pd.DatetimeIndex(flagged.loc[flagged["series"] == name, "time"]).sort_values()
        for each in planted:
            begin, end = pd.Timestamp(each.first), pd.Timestamp(each.last)
            inside = times[(times >= begin) & (times < end)]
            if len(inside):
                delays.append((inside[0] - begin).total_seconds() / 60)
        for first, last in _alarms(times):
            alarms += 1
            right += any(first < each.last + GRACE and last >= each.first for each in planted)
    return Evaluation(
        kind=kind,
        planted=len(planted) * len(series),
        found=len(delays),
        alarms=alarms,
        right=right,
        delay_minutes=float(np.median(delays)) if delays else None,
    )


def _alarms(times: pd.DatetimeIndex) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    if not len(times):
        return []
    breaks = np.flatnonzero(np.diff(times) > PAUSE) + 1
    return [(part[0], part[-1]) for part in np.split(times, breaks)]


def alarm_count(flagged: pd.DataFrame) -> int:
    """How many alarms the flags of all series and directions make."""
    groups = flagged.groupby(["series", "direction"])["time"]
    return sum(len(_alarms(pd.DatetimeIndex(times).sort_values())) for _, times in groups)
