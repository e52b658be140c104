"""How far the customers have moved since the last training."""

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BaseModel, ConfigDict

from ml_pipeline.features import FEATURES

Vector = npt.NDArray[np.float64]

WATCH_PSI, ACT_PSI = 0.10, 0.25
WATCH_MOVED, ACT_MOVED = 0.10, 0.25
WATCH_DISTANCE, ACT_DISTANCE = 1.10, 1.25
_BINS = 10
# An empty bin would make the index infinite.
_SMALLEST_SHARE = 1e-4


class FeatureBins(BaseModel):
    """A feature's distribution: inner edges (raw units) and the share of customers in each bin."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    edges: tuple[float, ...]
    shares: tuple[float, ...]


class Drift(BaseModel):
    """Against the last run: stability index of each feature, customers that moved, distances.

    `moved_share` is over the customers of both runs, None when the last labels are gone.
    `distance_ratio` is the mean squared distance of the customers to their own stored centre, as
    a multiple of that at its training; None when that was zero.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    psi: dict[str, float]
    moved_share: float | None
    distance_ratio: float | None = None

    def advice(self) -> dict[str, str]:
        """'none', 'watch' or 'act' for each measure that is known."""
        told = {name: _advice(value, WATCH_PSI, ACT_PSI) for name, value in self.psi.items()}
        if self.moved_share is not None:
            told["moved_share"] = _advice(self.moved_share, WATCH_MOVED, ACT_MOVED)
        if self.distance_ratio is not None:
            told["distance_ratio"] = _advice(self.distance_ratio, WATCH_DISTANCE, ACT_DISTANCE)
        return told


def _advice(value: float, watch: float, act: float) -> str:
    if value >= act:
        return "act"
    return "watch" if value >= watch else "none"


def bin_features(rfm: pd.DataFrame) -> dict[str, FeatureBins]:
    """Deciles of each feature; equal deciles are one edge. The frame must not be empty."""
    bins = {}
    for feature in FEATURES:
        values = rfm[feature].to_numpy(dtype=np.float64)
        edges = np.unique(np.quantile(values, np.linspace(0, 1, _BINS + 1)[1:-1]))
        bins[feature] = FeatureBins(edges=tuple(edges.tolist()), shares=_shares(values, edges))
    return bins


def population_stability(bins: dict[str, FeatureBins], rfm: pd.DataFrame) -> dict[str, float]:
    """Population stability index of each feature against stored bins.

    0 is no change, from 0.10 watch, from 0.25 act (Siddiqi, Credit Risk Scorecards, 2006).
    """
    indices = {}
    for feature, stored in bins.items():
        now = _shares(rfm[feature].to_numpy(dtype=np.float64), np.array(stored.edges))
        indices[feature] = _psi(np.array(stored.shares), np.array(now))
    return indices


def moved_share(before: pd.DataFrame, now: pd.DataFrame) -> float | None:
    """Share of the customers of both label frames whose segment_id differs; None without any."""
    both = before.merge(now, on="customer_id", suffixes=("_before", "_now"))
    if both.empty:
        return None
    return round(float((both["segment_id_before"] != both["segment_id_now"]).mean()), 6)


def distance_ratio(now: float, before: float) -> float | None:
    """Mean squared distance to the own centre over that at training; None when that was zero."""
    return None if before == 0 else round(now / before, 6)


def _shares(values: Vector, edges: Vector) -> tuple[float, ...]:
    counts = np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1)
    return tuple((counts / len(values)).round(9).tolist())


def _psi(before: Vector, now: Vector) -> float:
    expected, actual = np.maximum(before, _SMALLEST_SHARE), np.maximum(now, _SMALLEST_SHARE)
    return round(float(((actual - expected) * np.log(actual / expected)).sum()), 6)
