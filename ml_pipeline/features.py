"""What K-means sees: the logarithm of each RFM measure, standardised.

Amounts and counts are strongly skewed: standardised only, a handful of very large customers
becomes a cluster of its own and the rest one lump.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Matrix = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

FEATURES = ("recency_days", "frequency", "monetary", "average_order_value")
# Processors differ in the last bits of a logarithm or a sum; what is stored is rounded, so that
# the same data gives the same model everywhere.
STORED_DECIMALS = 9


@dataclass(frozen=True)
class Scaler:
    """Mean and standard deviation of each log feature, in the order of `FEATURES`."""

    mean: Matrix
    scale: Matrix

    def transform(self, logs: Matrix) -> Matrix:
        """Log units to standard deviations; same shape."""
        scaled: Matrix = (logs - self.mean) / self.scale
        return scaled

    def restore(self, scaled: Matrix) -> Matrix:
        """Standard deviations to log units; same shape."""
        logs: Matrix = scaled * self.scale + self.mean
        return logs


def log_features(rfm: pd.DataFrame) -> Matrix:
    """log(1 + x) of each feature, shape (customers, features).

    Negative net amounts count as zero here; `net_refunders` keeps who they were.
    """
    values = rfm[list(FEATURES)].to_numpy(dtype=np.float64)
    logs: Matrix = np.log1p(np.clip(values, 0.0, None))
    return logs


def from_logs(logs: Matrix) -> Matrix:
    """The raw units (days, orders, money) of log features; same shape."""
    raw: Matrix = np.expm1(logs)
    return raw


def net_refunders(rfm: pd.DataFrame) -> "pd.Series[bool]":
    """Customers whose returns exceed their purchases."""
    return rfm["monetary"] < 0


def fit_scaler(logs: Matrix) -> Scaler:
    """Scaler of non-empty log features; a feature without spread keeps scale 1."""
    mean = np.round(logs.mean(axis=0), STORED_DECIMALS)
    scale = np.round(logs.std(axis=0), STORED_DECIMALS)
    return Scaler(mean, np.where(scale > 0, scale, 1.0))
