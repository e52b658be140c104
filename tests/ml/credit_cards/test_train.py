"""Train: the sum of squared distances of every k, the model of one, and too few customers."""

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans

from insight.errors import InputError
from ml_pipeline.credit_cards.model import CardModel, KResult, assign
from ml_pipeline.credit_cards.options import CUSTOMER, Missing, Scaling
from ml_pipeline.credit_cards.train import choose_k, silhouette, train_kmeans
from ml_pipeline.credit_cards.transform import fit_preparation, prepare
from ml_pipeline.knee import find_knee

FEATURES = ("BALANCE", "PURCHASES")


def _customers(values: list[tuple[float, float]]) -> pd.DataFrame:
    ids = [f"C{number:04}" for number in range(len(values))]
    return pd.DataFrame({CUSTOMER: ids, **dict(zip(FEATURES, np.array(values).T, strict=True))})


def _groups(count: int = 4, members: int = 30, seed: int = 1) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    centres = [(10.0**n, 10.0 ** (n % 2 + 1)) for n in range(1, count + 1)]
    return _customers(
        [tuple(np.exp(draw.normal(np.log(c), 0.05))) for c in centres for _ in range(members)]
    )


def _train(customers: pd.DataFrame, clusters: int | None = None) -> CardModel:
    preparation = fit_preparation(customers, FEATURES, Missing.drop, Scaling.log)
    return train_kmeans(prepare(customers, preparation), preparation, clusters)


def test_every_k_has_the_sse_of_scikit_learn() -> None:
    customers = _groups()
    model = _train(customers)
    points = prepare(customers, model.preparation)[list(FEATURES)].to_numpy()
    for tried in model.sweep:
        plain = KMeans(tried.k, init="k-means++", n_init=10, max_iter=300, random_state=7).fit(
            points
        )
        assert tried.sse == pytest.approx(plain.inertia_, rel=1e-6, abs=1e-8)
    assert [tried.k for tried in model.sweep] == list(range(2, 11))


def test_the_elbow_is_the_number_of_planted_groups_and_its_model_is_kept() -> None:
    model = _train(_groups())
    assert (model.k, model.reason) == (4, "the elbow of the SSE")
    assert len(model.centres) == 4
    assert find_knee([t.k for t in model.sweep], [t.sse for t in model.sweep]) == 4


def test_the_model_that_is_kept_is_that_of_the_k_asked_for() -> None:
    customers = _groups()
    model = _train(customers, clusters=3)
    assert (model.k, model.reason) == (3, "asked for")
    assert set(assign(model, customers)["cluster"]) == {0, 1, 2}


def test_equal_data_gives_an_equal_model() -> None:
    assert _train(_groups(members=8)) == _train(_groups(members=8))


def test_clusters_are_numbered_by_falling_centre_of_the_first_feature() -> None:
    centres = _train(_groups()).centre_matrix
    assert (np.diff(centres[:, 0]) <= 0).all()


def test_without_an_elbow_the_highest_silhouette_decides() -> None:
    sweep = [KResult(k=k, sse=10.0 - k, silhouette=s) for k, s in ((2, 0.3), (3, 0.6), (4, 0.6))]
    straight = find_knee([each.k for each in sweep], [each.sse for each in sweep])
    assert straight is None
    assert choose_k(sweep, straight, None)[0] == 3


def test_two_values_of_k_have_no_elbow() -> None:
    model = _train(_customers([(1, 1), (5, 2), (90, 3), (90, 3)]))
    assert [tried.k for tried in model.sweep] == [2]
    assert (model.k, model.reason) == (2, "the highest silhouette, as the SSE has no elbow")


def test_one_cluster_has_no_silhouette() -> None:
    assert silhouette(np.zeros((5, 2)), np.zeros(5, dtype=np.int64)) is None


@pytest.mark.parametrize(
    ("values", "clusters", "sentence"),
    [
        (
            [(1.0, 2.0)],
            None,
            "1 customer with a value in each of BALANCE, PURCHASES. Clusters",
        ),
        ([(1.0, 2.0), (3.0, 4.0)], None, "2 customers with a value in each of"),
        ([(1.0, 2.0)] * 20, None, "all 20 customers are equal in BALANCE, PURCHASES. Choose"),
        ([(1.0, 2.0), (3.0, 4.0)] * 9, None, "the customers differ in 2 ways only, too few for 2"),
        ([(1.0, 2.0), (3.0, 4.0), (9.0, 9.0)], 5, "the customers differ in 3 ways only, too few"),
        ([(1.0, 2.0), (3.0, 4.0), (9.0, 9.0)], 11, "cannot make 11 clusters. Use 2 to 10"),
        ([(1.0, 2.0), (3.0, 4.0), (9.0, 9.0)], 1, "cannot make 1 clusters. Use 2 to 10"),
    ],
)
def test_too_few_different_customers_are_told(
    values: list[tuple[float, float]], clusters: int | None, sentence: str
) -> None:
    with pytest.raises(InputError) as caught:
        _train(_customers(values), clusters)
    assert str(caught.value).startswith(sentence)


def test_one_feature_may_be_equal_for_all() -> None:
    model = _train(_customers([(float(n), 5.0) for n in range(12)]))
    assert all(centre[1] == 0 for centre in model.centres)
