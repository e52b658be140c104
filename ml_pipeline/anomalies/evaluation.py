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

    Planted anomalies of one kind follow each other without overlap.

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
        firsts, lasts = _alarms(times)
        alarms += len(firsts)
        right += _right(firsts, lasts, planted)
    return Evaluation(
        kind=kind,
        planted=len(planted) * len(series),
        found=len(delays),
        alarms=alarms,
        right=right,
        delay_minutes=float(np.median(delays)) if delays else None,
    )


def _alarms(times: pd.DatetimeIndex) -> tuple[pd.DatetimeIndex, pd.DatetimeIndex]:
    """(first, last) flag of each alarm of ascending flags."""
    breaks = np.diff(times.asi8) > PAUSE // pd.Timedelta(1, unit=times.unit)
    begins, ends = np.ones(len(times), dtype=bool), np.ones(len(times), dtype=bool)
    begins[1:], ends[:-1] = breaks, breaks
    return times[begins], times[ends]


def _right(firsts: pd.DatetimeIndex, lasts: pd.DatetimeIndex, planted: Sequence[Planted]) -> int:
    """How many alarms overlap an anomaly; those of one kind follow each other."""
    if not planted or not len(firsts):
        return 0
    begins = pd.DatetimeIndex([each.first for each in planted])
    ends = pd.DatetimeIndex([each.last for each in planted]) + GRACE
    # The first that is not over when the alarm begins.
    place = ends.searchsorted(firsts, side="right")
    is_there = place < len(begins)
    nearest = begins[np.minimum(place, len(begins) - 1)]
    return int((is_there & (nearest <= lasts)).sum())


def alarm_count(flagged: pd.DataFrame) -> int:
    """How many alarms the flags of all series and directions make."""
    groups = flagged.groupby(["series", "direction"])["time"]
    return sum(len(_alarms(pd.DatetimeIndex(times).sort_values())[0]) for _, times in groups)
