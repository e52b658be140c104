"""K-means, the measures of k and the rule that chooses."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import silhouette_score
from threadpoolctl import threadpool_limits

from insight.errors import InputError
from ml_pipeline.clustering import assign_clusters, distinct_points, fit_centres, inertia
from ml_pipeline.features import Matrix, fit_scaler, log_features
from ml_pipeline.knee import find_knee
from ml_pipeline.segmentation import train
from ml_pipeline.sweep import (
    DEFAULT_K,
    RESAMPLES,
    KResult,
    Sweep,
    bootstrap_stability,
    choose_k,
    sampled_rows,
    silhouette_scores,
    sweep_k,
)

Population = Callable[..., pd.DataFrame]


@pytest.fixture(scope="module")
def points(population: Population) -> Matrix:
    logs = log_features(population(300))
    return fit_scaler(logs).transform(logs)


@pytest.fixture(scope="module")
def sweep(points: Matrix) -> Sweep:
    return sweep_k(points)


def _result(
    k: int,
    *,
    silhouette: float = 0.3,
    stability: float = 0.9,
    smallest: float = 0.1,
    jaccard: float = 0.9,
) -> KResult:
    return KResult(
        k=k, inertia=100 / k, silhouette=silhouette, davies_bouldin=1, calinski_harabasz=1,
        stability_mean=stability, stability_min=stability, resamples=20, smallest_share=smallest,
        jaccard=(0.9, jaccard),
    )  # fmt: skip


def _sweep(*results: KResult, knee: int | None) -> Sweep:
    return Sweep(results=results, knee=knee, rows=300)


def test_centres_are_the_same_for_any_number_of_threads(points: Matrix) -> None:
    with threadpool_limits(limits=2):
        two = fit_centres(points, 5)
    assert (two == fit_centres(points, 5)).all()


def test_other_seeds_find_the_same_clusters_in_the_same_order(points: Matrix) -> None:
    first = fit_centres(points, 5, random_state=1)
    assert first == pytest.approx(fit_centres(points, 5, random_state=2), abs=1e-6)
    assert (np.diff(first[:, 2]) <= 0).all()


def test_a_sample_finds_the_starts_of_many_rows(population: Population) -> None:
    logs = log_features(population(21_000))
    many = fit_scaler(logs).transform(logs)
    labels = assign_clusters(many, fit_centres(many, 5))
    assert np.bincount(labels).min() / len(many) > 0.19
    assert len(sampled_rows(many)) == 10_000
    assert len(sampled_rows(many[:20_000])) == 20_000


def test_nearest_centre_wins_and_of_equals_the_first() -> None:
    centres = np.array([[0.0, 0, 0, 0], [2.0, 0, 0, 0]])
    rows = np.array([[0.4, 0, 0, 0], [1.0, 0, 0, 0], [1.6, 0, 0, 0]])
    assert assign_clusters(rows, centres).tolist() == [0, 0, 1]
    assert inertia(rows, centres) == pytest.approx(0.16 + 1 + 0.16)


def test_distinct_rows_are_counted_beyond_a_uniform_beginning() -> None:
    rows = np.zeros((5_000, 4))
    rows[-3:, 0] = [1, 2, 3]
    assert distinct_points(rows, 10) == 4
    assert distinct_points(rows, 3) == 3


def test_the_sweep_measures_two_to_ten_and_finds_the_planted_five(sweep: Sweep) -> None:
    assert [each.k for each in sweep.results] == list(range(2, 11))
    five = sweep.result(5)
    assert five is not None
    assert {each.resamples for each in sweep.results} == {RESAMPLES}
    assert [len(each.jaccard) for each in sweep.results] == list(range(2, 11))
    assert min(five.jaccard) > 0.95
    assert five.stability_mean > 0.95
    assert five.silhouette == max(each.silhouette for each in sweep.results)
    assert choose_k(sweep).k == 5


def test_the_sweep_ends_where_the_distinct_rows_do() -> None:
    rows = np.repeat(np.eye(4), 20, axis=0)
    assert [each.k for each in sweep_k(rows).results] == [2, 3]


def test_the_knee_is_taken_when_it_is_stable_and_has_no_tiny_cluster() -> None:
    four = _result(4, silhouette=0.2)
    assert choose_k(_sweep(_result(3), four, knee=4)).k == 4
    unstable = _result(4, stability=0.79)
    assert choose_k(_sweep(_result(3), unstable, knee=4)).k == 3
    tiny = _result(4, smallest=0.01)
    assert choose_k(_sweep(_result(3), tiny, knee=4)).k == 3
    dissolves = _result(4, jaccard=0.5)
    assert choose_k(_sweep(_result(3), dissolves, knee=4)).k == 3


def test_without_a_knee_the_best_silhouette_counts_and_of_equals_the_smaller_k() -> None:
    results = [_result(2, silhouette=0.9), _result(3), _result(6, silhouette=0.5)]
    assert choose_k(_sweep(*results, _result(7, silhouette=0.5), knee=None)).k == 6


def test_two_is_never_taken_and_the_default_is_when_nothing_is_left() -> None:
    assert choose_k(_sweep(_result(2), _result(3, stability=0.1), knee=2)).k == DEFAULT_K


def test_a_straight_line_has_no_knee() -> None:
    ks = range(2, 11)
    assert find_knee(ks, [100.0 - k for k in ks]) is None
    assert find_knee(ks[:2], [9.0, 1.0]) is None


def test_silhouettes_of_many_labelings_are_those_of_scikit_learn(points: Matrix) -> None:
    labelings = [assign_clusters(points, fit_centres(points, k)) for k in (2, 5, 9)]
    labelings.append(np.where(np.arange(len(points)) == 7, 1, 0))
    expected = [silhouette_score(points, labels) for labels in labelings]
    assert silhouette_scores(points, labelings) == pytest.approx(expected, abs=1e-9)


def test_equal_rows_have_a_silhouette_of_zero() -> None:
    rows = np.ones((40, 4))
    assert silhouette_scores(rows, [np.arange(40) % 2]) == [0.0]


def test_a_cluster_that_is_none_is_found_again_less_than_the_others(points: Matrix) -> None:
    labels = assign_clusters(points, fit_centres(points, 5))
    # Half of one planted group is called a cluster of its own.
    split = np.where((labels == 0) & (np.arange(len(labels)) % 2 == 0), 5, labels)
    whole = bootstrap_stability(points, labels, 5)
    halved = bootstrap_stability(points, split, 6)
    assert min(whole.jaccard) > 0.95
    assert sorted(range(6), key=lambda cluster: halved.jaccard[cluster])[:2] == [0, 5] or (
        max(halved.jaccard[0], halved.jaccard[5]) < 0.75
    )
    assert len(halved.agreements) == RESAMPLES


def test_an_impossible_k_is_refused(population: Population) -> None:
    with pytest.raises(InputError, match="11 clusters"):
        train(population(60), k=11)
    with pytest.raises(InputError, match="sweep"):
        train(population(60), k=None, sweep=False)


@pytest.mark.parametrize("customers", [0, 1, 4])
def test_fewer_customers_than_clusters_are_refused(population: Population, customers: int) -> None:
    expected = rf"5 clusters of {customers} customers.*at least 5 customers that differ"
    with pytest.raises(InputError, match=expected):
        train(population(customers), k=5, sweep=False)


def test_equal_customers_are_refused(population: Population) -> None:
    equal = pd.concat([population(1)] * 60).assign(customer_id=[str(n) for n in range(60)])
    with pytest.raises(InputError, match="5 clusters of 60 customers, 1 of them different"):
        train(equal, sweep=False)
