"""K-means: the start, the decayed update, and names that stay."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation.live.features import fit_scaler
from segmentation.live.kmeans import decayed_update, fit, mean_squared_distance, nearest
from segmentation.live.naming import AT_RISK, BUDGET, HIGH_VALUE, matched, names_by_rule

_CENTRES = np.array([[0.0, 0, 0], [6, 0, 1], [0, 6, 5]])


def _three_groups(seed: int, size: int = 90) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.repeat(_CENTRES, size // 3, axis=0) + rng.normal(0, 0.3, (size, 3))


@pytest.mark.parametrize("seed", range(10))
def test_three_groups_are_found_from_any_seed(seed: int) -> None:
    points = _three_groups(seed)
    found = fit(points, 3, seed)
    clusters = nearest(points, found).reshape(3, -1)
    assert (clusters == clusters[:, :1]).all()
    assert len(set(clusters[:, 0].tolist())) == 3


def test_the_fit_is_as_good_as_that_of_scikit_learn() -> None:
    from sklearn.cluster import KMeans

    points = np.random.default_rng(1).normal(size=(500, 3))
    other = KMeans(3, n_init=10, random_state=0).fit(points)
    ours = mean_squared_distance(points, fit(points, 3, 1)) * len(points)
    assert ours <= other.inertia_ * 1.001


def test_the_same_seed_gives_the_same_bits() -> None:
    points = _three_groups(0)
    assert fit(points, 3, 5).tobytes() == fit(points.copy(), 3, 5).tobytes()


def test_points_that_are_equal_but_for_three_are_three_clusters() -> None:
    points = np.array([[1.0, 1, 1]] * 50 + [[2.0, 1, 1], [1, 2, 1]])
    assert mean_squared_distance(points, fit(points, 3, 0)) == 0


_floats = st.floats(-10, 10)


@given(
    old=st.lists(st.tuples(_floats, _floats), min_size=1, max_size=20),
    new=st.lists(st.tuples(_floats, _floats), min_size=1, max_size=20),
    decay=st.floats(0, 1),
)
def test_an_update_is_the_weighted_mean_of_what_was_and_what_came(old, new, decay) -> None:
    before, after = np.array(old), np.array(new)
    centroid, weight = before.mean(axis=0, keepdims=True), np.array([float(len(before))])
    clusters = np.zeros(len(after), np.int64)
    moved, total = decayed_update(centroid, weight, after, clusters, decay)
    expected = np.average(
        np.concatenate([before, after]),
        axis=0,
        weights=[decay] * len(before) + [1.0] * len(after),
    )
    assert moved[0] == pytest.approx(expected, abs=1e-9)
    assert total[0] == pytest.approx(decay * len(before) + len(after))


def test_a_cluster_without_points_stays_where_it_is() -> None:
    points = np.array([[1.0, 1.0]])
    centroids, weights = decayed_update(
        np.array([[0.0, 0.0], [9.0, 9.0]]), np.array([1.0, 0.0]), points, np.array([0]), 0.5
    )
    assert centroids[1].tolist() == [9.0, 9.0]
    assert weights.tolist() == [1.5, 0.0]


def test_names_follow_silence_first_and_money_moved_next() -> None:
    figures = np.array([[55.0, 60, 0.2], [260, 3, 20], [3200, 70, 0.1]])
    names = {0: BUDGET, 1: AT_RISK, 2: HIGH_VALUE}
    for order in itertools.permutations(range(3)):
        assert names_by_rule(figures[list(order)]) == tuple(names[each] for each in order)
    # The most silent is at risk, however rich.
    assert names_by_rule(np.array([[9e6, 60, 30], [260, 3, 2.0], [300, 3, 0.1]]))[0] == AT_RISK


def test_centroids_are_matched_whatever_their_order() -> None:
    for order in itertools.permutations(range(3)):
        found, distance = matched(_CENTRES[list(order)] + 0.1, _CENTRES)
        assert np.allclose(found, _CENTRES + 0.1)
        assert distance == pytest.approx(0.1 * 3**0.5)


def test_a_figure_that_is_the_same_for_all_does_not_count() -> None:
    figures = np.array([[1.0, 5, 0], [2, 5, 0], [3, 5, 0]])
    points = fit_scaler(figures).points(figures)
    assert np.isfinite(points).all()
    assert np.abs(points[:, 1:]).max() < 1e-9
