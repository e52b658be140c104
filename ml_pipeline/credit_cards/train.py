"""Train: K-means for each k, the sum of squared distances of each, and the model of one."""

import hashlib
from collections.abc import Sequence
from importlib.metadata import version

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score
from threadpoolctl import threadpool_limits

from insight.errors import InputError
from ml_pipeline.clustering import assign_clusters, distinct_points, inertia, sample
from ml_pipeline.credit_cards.model import CardModel, KResult
from ml_pipeline.credit_cards.options import CUSTOMER, LARGEST_K, SMALLEST_K
from ml_pipeline.credit_cards.transform import Preparation
from ml_pipeline.features import STORED_DECIMALS, Labels, Matrix
from ml_pipeline.knee import find_knee

INIT, N_INIT, MAX_ITER, RANDOM_STATE = "k-means++", 10, 300, 7
# The silhouette compares every pair of rows: a sample will do to compare one k with another.
ROWS_TO_COMPARE, ROWS_TO_EVALUATE = 5_000, 20_000
_LIBRARIES = ("kneed", "numpy", "scikit-learn")


def train_kmeans(
    prepared: pd.DataFrame, preparation: Preparation, clusters: int | None = None
) -> CardModel:
    """The model of the chosen k, from customers scaled by `preparation`.

    Every k from 2 to 10 is tried, as far as the customers differ. `clusters` is the k that is
    kept; None keeps the elbow of the SSE, and without an elbow the k of the highest silhouette.
    Raises InputError when there are too few different customers.
    """
    _check_k(clusters)
    points = prepared[list(preparation.features)].to_numpy(dtype=np.float64)
    largest = _largest_k(points, preparation.features, clusters)
    centres = {k: fit_centres(points, k) for k in range(SMALLEST_K, largest + 1)}
    sweep = tuple(_measure(points, tried) for tried in centres.values())
    elbow = find_knee([each.k for each in sweep], [each.sse for each in sweep])
    k, reason = choose_k(sweep, elbow, clusters)
    return CardModel(
        preparation=preparation,
        centres=tuple(map(tuple, centres[k].tolist())),
        reason=reason,
        sweep=sweep,
        customers=len(points),
        data_sha256=_sha256(prepared, points),
        libraries={name: version(name) for name in _LIBRARIES},
    )


def fit_centres(points: Matrix, k: int) -> Matrix:
    """Centres of k clusters, shape (k, features), by falling value of the first feature."""
    model = KMeans(
        n_clusters=k, init=INIT, n_init=N_INIT, max_iter=MAX_ITER, random_state=RANDOM_STATE
    )
    # Sums over several threads differ in their last bits from run to run.
    with threadpool_limits(limits=1):
        centres = np.round(model.fit(points).cluster_centers_, STORED_DECIMALS)
    # The numbers that K-means gives are arbitrary.
    ordered: Matrix = centres[np.lexsort((-centres).T[::-1])]
    return ordered


def choose_k(sweep: Sequence[KResult], elbow: int | None, asked: int | None) -> tuple[int, str]:
    """The k whose model is kept, and why."""
    if asked is not None:
        return asked, "asked for"
    if elbow is not None:
        return elbow, "the elbow of the SSE"
    best = max(sweep, key=lambda each: (each.silhouette or -1.0, -each.k))
    return best.k, "the highest silhouette, as the SSE has no elbow"


def silhouette(points: Matrix, labels: Labels, most_rows: int = ROWS_TO_EVALUATE) -> float | None:
    """Mean silhouette (Rousseeuw 1987), of a sample of `most_rows` when there are more.

    The same rows each time; None when they are all in one cluster.
    """
    rows = sample(np.column_stack([points, labels]), most_rows)
    if len(np.unique(rows[:, -1])) < 2:
        return None
    return round(float(silhouette_score(rows[:, :-1], rows[:, -1].astype(np.int64))), 6)


def _measure(points: Matrix, centres: Matrix) -> KResult:
    labels = assign_clusters(points, centres)
    return KResult(
        k=len(centres),
        sse=round(inertia(points, centres), STORED_DECIMALS),
        silhouette=silhouette(points, labels, ROWS_TO_COMPARE),
    )


def _check_k(clusters: int | None) -> None:
    if clusters is not None and not SMALLEST_K <= clusters <= LARGEST_K:
        raise InputError(
            f"cannot make {clusters} clusters", next_step=f"Use {SMALLEST_K} to {LARGEST_K}"
        )


def _largest_k(points: Matrix, features: Sequence[str], clusters: int | None) -> int:
    """The largest k to try. Raises InputError when the customers do not allow what is asked."""
    named = ", ".join(features)
    if len(points) <= SMALLEST_K:
        raise InputError(
            f"{len(points)} customer{'s' * (len(points) != 1)} with a value in each of {named}",
            next_step=f"Clusters need at least {SMALLEST_K + 1}; add customers",
        )
    different = distinct_points(points, LARGEST_K + 1)
    if different == 1:
        raise InputError(
            f"all {len(points):,} customers are equal in {named}",
            next_step="Choose features in which they differ",
        )
    wanted = clusters or SMALLEST_K
    if different <= wanted:
        raise InputError(
            f"the customers differ in {different} ways only, too few for {wanted} clusters",
            next_step="Add customers, choose other features or fewer clusters",
        )
    return min(LARGEST_K, different - 1)


def _sha256(prepared: pd.DataFrame, points: Matrix) -> str:
    digest = hashlib.sha256("\n".join(prepared[CUSTOMER]).encode())
    digest.update(points.astype("<f8").tobytes())
    return digest.hexdigest()
