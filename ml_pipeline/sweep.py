"""How many clusters: every k from 2 to 10 measured, and a written rule that chooses."""

import warnings
from dataclasses import dataclass

import numpy as np
from kneed import KneeLocator
from pydantic import BaseModel, ConfigDict
from sklearn.metrics import (
    adjusted_rand_score,
    calinski_harabasz_score,
    davies_bouldin_score,
    silhouette_score,
)

from ml_pipeline.clustering import (
    RANDOM_STATE,
    assign_clusters,
    distinct_points,
    fit_centres,
    inertia,
    sample,
)
from ml_pipeline.features import Labels, Matrix

DEFAULT_K = 5
SMALLEST_K, LARGEST_K = 2, 10
# Silhouette compares every pair of rows; past this many a sample stands for them.
MOST_ROWS, SAMPLED_ROWS = 20_000, 10_000
RESAMPLES = 20
RESAMPLES_OF_OTHERS = 5
_N_INIT_OF_RESAMPLES = 3
STABLE_ARI = 0.80
SMALLEST_SHARE = 0.02

RULE = (
    f"Of k = 3 to {LARGEST_K}, keep those with a mean bootstrap ARI of at least {STABLE_ARI:.2f} "
    f"and no cluster below {SMALLEST_SHARE:.0%} of the customers. Take the knee of the inertia "
    "if it is among them, else the highest silhouette, the smaller k of equals. "
    f"If none is left, take {DEFAULT_K}. k = 2 is reported but never taken: it tells large "
    "customers from the rest and little else."
)


class KResult(BaseModel):
    """Quality of one k. Stability is the adjusted Rand index of refits on bootstrap samples."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    k: int
    inertia: float
    silhouette: float
    davies_bouldin: float
    calinski_harabasz: float
    stability_mean: float
    stability_min: float
    resamples: int
    smallest_share: float


class Sweep(BaseModel):
    """All k that were measured, on `rows` rows of the data; `knee` is None without a knee."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    results: tuple[KResult, ...]
    knee: int | None
    rows: int

    def result(self, k: int) -> KResult | None:
        """The measures of one k, None when it was not measured."""
        return next((each for each in self.results if each.k == k), None)


@dataclass(frozen=True)
class KChoice:
    """The number of clusters and one sentence that says why."""

    k: int
    reason: str


def sweep_k(points: Matrix, *, full_resamples_for: int = DEFAULT_K) -> Sweep:
    """Measure k = 2 to 10, as far as the distinct rows allow.

    `full_resamples_for` gets
    `RESAMPLES` bootstrap samples, every other k `RESAMPLES_OF_OTHERS`.
    """
    rows = sampled_rows(points)
    largest = distinct_points(rows, LARGEST_K + 1) - 1
    results = tuple(
        measure_k(rows, k, RESAMPLES if k == full_resamples_for else RESAMPLES_OF_OTHERS)
        for k in range(SMALLEST_K, largest + 1)
    )
    return Sweep(results=results, knee=find_knee(results), rows=len(rows))


def sampled_rows(points: Matrix) -> Matrix:
    """The rows that are measured: all up to `MOST_ROWS`, else the same `SAMPLED_ROWS` each time."""
    return points if len(points) <= MOST_ROWS else sample(points, SAMPLED_ROWS)


def measure_k(rows: Matrix, k: int, resamples: int) -> KResult:
    """The measures of one k on rows that have more than k distinct values."""
    centres = fit_centres(rows, k)
    labels = assign_clusters(rows, centres)
    stability = bootstrap_stability(rows, labels, k, resamples)
    return KResult(
        k=k,
        inertia=_rounded(inertia(rows, centres)),
        silhouette=_rounded(silhouette_score(rows, labels)),
        davies_bouldin=_rounded(davies_bouldin_score(rows, labels)),
        calinski_harabasz=_rounded(calinski_harabasz_score(rows, labels)),
        stability_mean=_rounded(float(np.mean(stability))),
        stability_min=_rounded(min(stability)),
        resamples=resamples,
        smallest_share=_rounded(np.bincount(labels, minlength=k).min() / len(rows)),
    )


def bootstrap_stability(rows: Matrix, labels: Labels, k: int, resamples: int) -> list[float]:
    """Adjusted Rand index (Hubert and Arabie 1985) of each refit with `labels`, on all rows.

    Each refit sees as many rows, drawn with replacement (Hennig 2007).
    """
    draw = np.random.default_rng(RANDOM_STATE)
    agreements = []
    for _ in range(resamples):
        drawn = rows[draw.integers(len(rows), size=len(rows))]
        if distinct_points(drawn, k) < k:
            agreements.append(0.0)
            continue
        centres = fit_centres(drawn, k, n_init=_N_INIT_OF_RESAMPLES)
        agreements.append(float(adjusted_rand_score(labels, assign_clusters(rows, centres))))
    return agreements


def find_knee(results: tuple[KResult, ...]) -> int | None:
    """Knee of the inertia over k (Satopaa et al. 2011), None when the curve has none.

    It depends on the first k: the sweep always starts at 2.
    """
    if len(results) < 3:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found = KneeLocator(
            [each.k for each in results],
            [each.inertia for each in results],
            curve="convex",
            direction="decreasing",
        ).knee
    return None if found is None else int(found)


def choose_k(sweep: Sweep) -> KChoice:
    """Apply `RULE`."""
    fit = [
        each
        for each in sweep.results
        if each.k > SMALLEST_K
        and each.stability_mean >= STABLE_ARI
        and each.smallest_share >= SMALLEST_SHARE
    ]
    if not fit:
        return KChoice(DEFAULT_K, "no k is stable with clusters large enough; the default is taken")
    if sweep.knee in [each.k for each in fit]:
        assert sweep.knee is not None
        return KChoice(sweep.knee, "the knee of the inertia, stable and without tiny clusters")
    best = max(fit, key=lambda each: (each.silhouette, -each.k))
    return KChoice(best.k, "the highest silhouette of the stable k, none of which is the knee")


def _rounded(value: float) -> float:
    return round(float(value), 6)
