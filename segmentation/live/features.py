"""What the clusters are made of: how much, how often and how lately a customer moves money.

All three come from the newest movements, so that a customer who changes is seen to change.
"""

from dataclasses import dataclass

import numpy as np

from segmentation.live.accounts import CENTS_A_DOLLAR, NEVER, Accounts, Floats, Integers

FEATURES = ("recent_transaction_amt", "transaction_freq", "days_from_last_transaction")
AMOUNT, FREQUENCY, DAYS = range(len(FEATURES))

DAY = 86_400_000_000
_DAYS_A_MONTH = 30


def measures(accounts: Accounts, rows: Integers, clock: int) -> Floats:
    """The figures of `FEATURES`, shape (rows, 3), at `clock` (microseconds since 1970).

    Mean size of the newest movements in dollars; movements in 30 days, at their pace up to now;
    days since the last one. For a customer whose last movement lies after `clock`, now is then.
    """
    at, last = accounts.recent_at[rows], accounts.last[rows]
    now = np.maximum(last, clock)
    counts = (at != NEVER).sum(axis=1)
    total = accounts.recent_cents[rows].sum(axis=1)
    oldest = np.where(at != NEVER, at, now[:, None]).min(axis=1)
    # One movement a moment ago is no pace of many a day.
    days_seen = np.maximum((now - oldest) / DAY, 1.0)
    return np.column_stack(
        [
            total / np.maximum(counts, 1) / CENTS_A_DOLLAR,
            counts * _DAYS_A_MONTH / days_seen,
            (now - last) / DAY,
        ]
    )


@dataclass(frozen=True)
class Scaler:
    """Logarithms to standard deviations of the customers of the start; it never moves.

    A scaler that followed the customers would move the centroids under them.
    """

    mean: Floats
    scale: Floats

    def points(self, figures: Floats) -> Floats:
        """Points of shape (rows, 3) in standard deviations of the start."""
        scaled: Floats = (np.log1p(figures) - self.mean) / self.scale
        return scaled

    def figures(self, points: Floats) -> Floats:
        """The figures that a point stands for."""
        figures: Floats = np.expm1(points * self.scale + self.mean)
        return figures


def fit_scaler(figures: Floats) -> Scaler:
    """Means and deviations of the logarithms; a figure that is the same for all has deviation 1."""
    logs = np.log1p(figures)
    scale = logs.std(axis=0)
    return Scaler(logs.mean(axis=0), np.where(scale > 1e-9, scale, 1.0))
