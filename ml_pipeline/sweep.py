"""How many clusters: every k from 2 to 10 measured, and a written rule that chooses."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict
from sklearn.metrics import adjusted_rand_score, calinski_harabasz_score, davies_bouldin_score

from ml_pipeline.clustering import (
    RANDOM_STATE,
    assign_clusters,
    distinct_points,
    fit_centres,
    inertia,
    sample,
)
from ml_pipeline.features import Labels, Matrix
from ml_pipeline.knee import find_knee

DEFAULT_K = 5
SMALLEST_K, LARGEST_K = 2, 10
# Silhouette compares every pair of rows; past this many a sample stands for them.
MOST_ROWS, SAMPLED_ROWS = 20_000, 10_000
RESAMPLES = 20
_N_INIT_OF_RESAMPLES = 3
_MOST_ROWS_OF_A_RESAMPLE = 5_000
_ROWS_AT_ONCE = 500
# Stability of a k, and of one cluster: from here on it counts as valid, up to there as dissolved.
STABLE_ARI = 0.80
VALID_JACCARD, DISSOLVED_JACCARD = 0.75, 0.50
SMALLEST_SHARE = 0.02

RULE = (
    f"Of k = 3 to {LARGEST_K}, keep those with a mean bootstrap ARI of at least {STABLE_ARI:.2f}, "
    f"no cluster below {SMALLEST_SHARE:.0%} of the customers and none that dissolves (a mean "
    f"Jaccard index of {DISSOLVED_JACCARD:.2f} or less). Take the knee of the inertia "
    "if it is among them, else the highest silhouette, the smaller k of equals. "
    f"If none is left, take {DEFAULT_K}. k = 2 is reported but never taken: it tells large "
    "customers from the rest and little else."
)


class KResult(BaseModel):
    """Quality of one k.

    Stability is the adjusted Rand index of refits on bootstrap samples; `jaccard` has for each
    cluster, richest first, how much of it the refits find again (empty in documents of before).
    """

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
    jaccard: tuple[float, ...] = ()


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


@dataclass(frozen=True)
class Stability:
    """Of refits on bootstrap samples: their agreement, and of each cluster what is found again."""

    agreements: tuple[float, ...]
    jaccard: tuple[float, ...]


def sweep_k(points: Matrix) -> Sweep:
    """Measure k = 2 to 10, as far as the distinct rows allow."""
    rows = sampled_rows(points)
    largest = distinct_points(rows, LARGEST_K + 1) - 1
    centres = {k: fit_centres(rows, k) for k in range(SMALLEST_K, largest + 1)}
    labels = {k: assign_clusters(rows, found) for k, found in centres.items()}
    silhouettes = silhouette_scores(rows, list(labels.values()))
    results = tuple(
        _measure(rows, centres[k], labels[k], silhouette)
        for k, silhouette in zip(labels, silhouettes, strict=True)
    )
    knee = find_knee([each.k for each in results], [each.inertia for each in results])
    return Sweep(results=results, knee=knee, rows=len(rows))


def sampled_rows(points: Matrix) -> Matrix:
    """The rows that are measured: all up to `MOST_ROWS`, else the same `SAMPLED_ROWS` each time."""
    return points if len(points) <= MOST_ROWS else sample(points, SAMPLED_ROWS)


def _measure(rows: Matrix, centres: Matrix, labels: Labels, silhouette: float) -> KResult:
    k = len(centres)
    stability = bootstrap_stability(rows, labels, k)
    return KResult(
        k=k,
        inertia=_rounded(inertia(rows, centres)),
        silhouette=_rounded(silhouette),
        davies_bouldin=_rounded(davies_bouldin_score(rows, labels)),
        calinski_harabasz=_rounded(calinski_harabasz_score(rows, labels)),
        stability_mean=_rounded(float(np.mean(stability.agreements))),
        stability_min=_rounded(min(stability.agreements)),
        resamples=len(stability.agreements),
        smallest_share=_rounded(np.bincount(labels, minlength=k).min() / len(rows)),
        jaccard=stability.jaccard,
    )


def silhouette_scores(rows: Matrix, labelings: Sequence[Labels]) -> list[float]:
    """Mean silhouette (Rousseeuw 1987) of each labeling of the same rows.

    The distances, which cost most, are taken once for all labelings and a few rows at a time.
    """
    totals = [0.0] * len(labelings)
    lengths = (rows**2).sum(axis=1)
    members = [np.eye(labels.max() + 1)[labels] for labels in labelings]
    every, ends = np.hstack(members), np.cumsum([each.shape[1] for each in members])[:-1]
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        some = slice(start, start + _ROWS_AT_ONCE)
        squares = lengths[some, np.newaxis] + lengths - 2 * rows[some] @ rows.T
        # Of equal rows it may come out a little below zero.
        distances = np.sqrt(np.maximum(squares, 0.0, out=squares), out=squares)
        for number, sums in enumerate(np.split(distances @ every, ends, axis=1)):
            totals[number] += _silhouettes(sums, labelings[number][some], members[number]).sum()
    return [total / len(rows) for total in totals]


def _silhouettes(sums: Matrix, own: Labels, member: Matrix) -> Matrix:
    """Silhouette of each row from its summed distances to the rows of each cluster."""
    counts = member.sum(axis=0)
    each = np.arange(len(own))
    within = sums[each, own] / np.maximum(1, counts[own] - 1)
    means = sums / np.maximum(1, counts)
    means[each, own] = np.inf
    nearest = means.min(axis=1)
    longer = np.maximum(within, nearest)
    # A cluster of one row has a silhouette of 0, and so have rows that are all equal.
    alone = (counts[own] == 1) | (longer == 0)
    silhouettes: Matrix = np.where(alone, 0.0, (nearest - within) / np.where(longer, longer, 1))
    return silhouettes


def bootstrap_stability(
    rows: Matrix, labels: Labels, k: int, resamples: int = RESAMPLES
) -> Stability:
    """How far refits agree with `labels`, over all rows.

    Each refit sees as many rows, 5,000 at most, drawn with replacement. Agreement is the adjusted
    Rand index (Hubert and Arabie 1985); of each cluster it is the mean over the refits of the
    Jaccard index with the most similar cluster (Hennig 2007).
    """
    draw = np.random.default_rng(RANDOM_STATE)
    agreements, found_again = [], []
    for _ in range(resamples):
        drawn = rows[draw.integers(len(rows), size=min(len(rows), _MOST_ROWS_OF_A_RESAMPLE))]
        if distinct_points(drawn, k) < k:
            agreements.append(0.0)
            found_again.append(np.zeros(k))
            continue
        refit = assign_clusters(rows, fit_centres(drawn, k, n_init=_N_INIT_OF_RESAMPLES))
        agreements.append(float(adjusted_rand_score(labels, refit)))
        found_again.append(_best_jaccard(labels, refit, k))
    means = np.mean(found_again, axis=0)
    return Stability(tuple(agreements), tuple(_rounded(each) for each in means))


def _best_jaccard(labels: Labels, refit: Labels, k: int) -> Matrix:
    """Jaccard index of each cluster with the most similar one of another labeling."""
    both = np.bincount(labels * k + refit, minlength=k * k).reshape(k, k)
    either = both.sum(axis=1, keepdims=True) + both.sum(axis=0) - both
    best: Matrix = (both / np.maximum(1, either)).max(axis=1)
    return best


def choose_k(sweep: Sweep) -> KChoice:
    """Apply `RULE`."""
    fit = [
        each
        for each in sweep.results
        if each.k > SMALLEST_K
        and each.stability_mean >= STABLE_ARI
        and each.smallest_share >= SMALLEST_SHARE
        and min(each.jaccard, default=1.0) > DISSOLVED_JACCARD
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
