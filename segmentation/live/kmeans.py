"""K-means that starts once and then forgets slowly, in plain arithmetic.

Sums go row by row and distances feature by feature, never by matrix products, whose last bits
depend on the number of rows: the same points give the same bits, wherever a run was interrupted.
"""

import numpy as np

from segmentation.live.accounts import Floats, Integers

STARTS = 10
_MOST_ROUNDS = 100


def squared_distances(points: Floats, centroids: Floats) -> Floats:
    """Shape (points, centroids)."""
    total = np.zeros((len(points), len(centroids)))
    for feature in range(points.shape[1]):
        total += (points[:, feature, None] - centroids[None, :, feature]) ** 2
    return total


def nearest(points: Floats, centroids: Floats) -> Integers:
    """The cluster of each point: the nearest centroid, the first of equals."""
    clusters: Integers = squared_distances(points, centroids).argmin(axis=1)
    return clusters


def mean_squared_distance(points: Floats, centroids: Floats) -> float:
    """Of the points to their nearest centroids."""
    return float(squared_distances(points, centroids).min(axis=1).mean())


def fit(points: Floats, k: int, seed: int) -> Floats:
    """Centroids of k clusters, shape (k, features): the best of ten starts.

    k-means++ (Arthur and Vassilvitskii 2007), then Lloyd's rounds until no point changes its
    cluster. `points` must have k different rows.
    """
    rng = np.random.default_rng(seed)
    fitted = [_settled(points, _start(points, k, rng)) for _ in range(STARTS)]
    return min(fitted, key=lambda centroids: mean_squared_distance(points, centroids))


def _start(points: Floats, k: int, rng: np.random.Generator) -> Floats:
    chosen = [points[rng.integers(len(points))]]
    while len(chosen) < k:
        # A point that is a centroid already has distance zero, and is never drawn again.
        edges = np.cumsum(squared_distances(points, np.array(chosen)).min(axis=1))
        drawn = np.searchsorted(edges, rng.random() * edges[-1], side="right")
        chosen.append(points[min(int(drawn), len(points) - 1)])
    return np.array(chosen)


def _settled(points: Floats, centroids: Floats) -> Floats:
    clusters = nearest(points, centroids)
    for _ in range(_MOST_ROUNDS):
        centroids = decayed_update(centroids, np.zeros(len(centroids)), points, clusters, 0.0)[0]
        before, clusters = clusters, nearest(points, centroids)
        if (clusters == before).all():
            break
    return centroids


def decayed_update(
    centroids: Floats, weights: Floats, points: Floats, clusters: Integers, decay: float
) -> tuple[Floats, Floats]:
    """Centroids and weights after a mini-batch of points.

    For each cluster c' = (a n c + sum of its points) / (a n + m) and n' = a n + m, with a the
    `decay`, n the weight and m the number of its points: MLlib's streaming k-means. A cluster
    without weight and points stays.
    """
    k = len(centroids)
    counts = np.bincount(clusters, minlength=k).astype(float)
    sums = np.column_stack(
        [np.bincount(clusters, column, minlength=k) for column in np.ascontiguousarray(points.T)]
    )
    kept = decay * weights
    total = kept + counts
    moved = (kept[:, None] * centroids + sums) / np.where(total > 0, total, 1.0)[:, None]
    return np.where(total[:, None] > 0, moved, centroids), total
