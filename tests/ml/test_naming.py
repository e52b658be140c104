"""Names follow from profiles and last over retraining."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from insight.errors import IntegrityError
from ml_pipeline import clustering
from ml_pipeline.clustering import fit_centres
from ml_pipeline.features import Matrix, Scaler, fit_scaler, log_features
from ml_pipeline.model import SegmentModel, assign
from ml_pipeline.naming import (
    AT_RISK,
    BIG_SPENDERS,
    CHAMPIONS,
    LOYAL,
    OCCASIONAL,
    SEGMENT_NAMES,
    check_rules_still_hold,
    match_to_reference,
    name_by_rules,
)
from ml_pipeline.rfm import rfm_from_totals
from ml_pipeline.segmentation import train

Population = Callable[..., pd.DataFrame]

# recency, frequency, monetary, order value in standard deviations
_PROFILES = {
    CHAMPIONS: [-2.0, 1.8, 1.6, 0.3],
    LOYAL: [-0.5, 0.8, 0.6, 0.0],
    BIG_SPENDERS: [0.2, -1.0, 0.3, 1.9],
    AT_RISK: [0.9, -0.2, -0.1, 0.1],
    OCCASIONAL: [0.2, -0.9, -1.3, -1.0],
}


def _centres(*segments: int) -> Matrix:
    return np.array([_PROFILES[segment] for segment in segments])


def _grown(rfm: pd.DataFrame, **factors: float) -> pd.DataFrame:
    grown = rfm.copy()
    for column, factor in factors.items():
        grown[column] = np.maximum(1, (grown[column] * factor).round())
    return rfm_from_totals(grown)


def _share_with_the_same_name(before: SegmentModel, now: SegmentModel, rfm: pd.DataFrame) -> float:
    return float((assign(before, rfm) == assign(now, rfm)).mean())


@pytest.mark.parametrize("seed", range(10))
def test_each_profile_gets_its_name_in_any_order(seed: int) -> None:
    order = tuple(int(each) for each in np.random.default_rng(seed).permutation(5))
    assert name_by_rules(_centres(*order)) == order


@pytest.mark.parametrize("k", range(2, 11))
def test_other_numbers_of_clusters_use_the_same_names(population: Population, k: int) -> None:
    model = train(population(), k=k, sweep=False).model
    assert model.k == k
    assert CHAMPIONS in model.segment_ids
    assert set(model.segment_ids) <= set(SEGMENT_NAMES)
    if k >= 5:
        assert set(model.segment_ids) == set(SEGMENT_NAMES)


@pytest.mark.parametrize(
    "segments",
    [
        (CHAMPIONS, LOYAL, BIG_SPENDERS, AT_RISK),
        (CHAMPIONS, LOYAL, AT_RISK, OCCASIONAL),
        (CHAMPIONS, BIG_SPENDERS, OCCASIONAL),
        (CHAMPIONS, AT_RISK),
        (CHAMPIONS, OCCASIONAL),
        (CHAMPIONS, OCCASIONAL, OCCASIONAL),
    ],
)
def test_of_few_clusters_each_gets_the_name_that_it_clearly_fits(
    segments: tuple[int, ...],
) -> None:
    assert name_by_rules(_centres(*segments)) == segments


def test_a_sixth_cluster_joins_the_nearest_segment() -> None:
    near_loyal = np.array([[-0.4, 0.7, 0.5, 0.0]])
    centres = np.vstack([_centres(CHAMPIONS, LOYAL, BIG_SPENDERS, AT_RISK, OCCASIONAL), near_loyal])
    assert name_by_rules(centres)[-1] == LOYAL


def test_a_sixth_cluster_does_not_join_a_segment_whose_rule_it_breaks() -> None:
    # Nearest to the lapsed, but it has just bought.
    recent = np.array([[-0.1, 0.3, 0.1, 0.1]])
    centres = np.vstack([_centres(CHAMPIONS, LOYAL, BIG_SPENDERS, AT_RISK, OCCASIONAL), recent])
    centres[1] = [-1.5, 1.4, 1.0, 0.0]
    assert name_by_rules(centres) == (CHAMPIONS, LOYAL, BIG_SPENDERS, AT_RISK, OCCASIONAL, LOYAL)


@pytest.mark.parametrize("run", range(10))
def test_names_survive_a_retraining_with_a_tenth_of_the_customers_exchanged(
    population: Population, run: int
) -> None:
    rfm = population(400)
    before = train(rfm, sweep=False).model
    kept = rfm.sample(frac=0.9, random_state=run)
    newcomers = population(40, seed=100 + run, first_id=90_000)
    now = train(rfm_from_totals(pd.concat([kept, newcomers])), reference=before, sweep=False)
    assert now.match_distances is not None
    assert _share_with_the_same_name(before, now.model, kept) >= 0.95


@pytest.mark.parametrize("seed", range(10))
def test_names_survive_other_seeds_permuted_ids_and_a_tenth_of_other_customers_at_once(
    population: Population, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    rfm = population(400)
    before = train(rfm, sweep=False).model
    kept = rfm.sample(frac=0.9, random_state=seed)
    rows = pd.concat([kept, population(40, seed=200 + seed, first_id=90_000)])
    others = rfm_from_totals(rows.sample(frac=1, random_state=seed))
    # K-means numbers its clusters as it likes; here it gives them any order.
    permuted = np.random.default_rng(seed).permutation(5)
    monkeypatch.setattr(clustering, "in_profile_order", lambda centres: centres[permuted])
    now = train(others, reference=before, sweep=False, random_state=seed)
    assert _share_with_the_same_name(before, now.model, kept) >= 0.95
    assert set(now.model.segment_ids) == set(SEGMENT_NAMES)


@pytest.mark.parametrize("seed", range(10))
def test_names_survive_other_seeds_and_permuted_ids(population: Population, seed: int) -> None:
    rfm = population(400)
    before = train(rfm, sweep=False).model
    logs = log_features(rfm)
    scaler = fit_scaler(logs)
    centres = fit_centres(scaler.transform(logs), 5, random_state=seed)
    permuted = centres[np.random.default_rng(seed).permutation(5)]
    ids, _ = match_to_reference(permuted, before.centre_matrix, before.segment_ids)
    now = SegmentModel.build(scaler, permuted, ids)
    assert _share_with_the_same_name(before, now, rfm) >= 0.95


def test_a_little_growth_keeps_the_names(population: Population) -> None:
    rfm = population()
    before = train(rfm, sweep=False).model
    now = train(_grown(rfm, monetary=1.2), reference=before, sweep=False).model
    assert _share_with_the_same_name(before, now, rfm) >= 0.8
    assert set(now.segment_ids) == set(SEGMENT_NAMES)


def test_customers_who_have_changed_too_much_stop_the_naming(population: Population) -> None:
    rfm = population()
    before = train(rfm, sweep=False).model
    with pytest.raises(IntegrityError, match=r"changed too much.* standard deviations away"):
        train(_grown(rfm, monetary=40), reference=before, sweep=False)


def test_a_match_against_its_own_rule_stops_the_naming() -> None:
    segments = (CHAMPIONS, LOYAL, BIG_SPENDERS, AT_RISK, OCCASIONAL)
    before = _centres(*segments)
    check_rules_still_hold(segments, before, segments, before)
    now = before.copy()
    now[3, 0] = -0.1
    with pytest.raises(IntegrityError, match=r"At-Risk.*breaks the rule of that name \(longest"):
        check_rules_still_hold(segments, now, segments, before)
    # A name that never fitted its rule is reported in the card, and that is all.
    check_rules_still_hold(segments, now, segments, now)


def test_a_reference_with_another_k_is_no_reference(population: Population) -> None:
    rfm = population()
    four = train(rfm, k=4, sweep=False).model
    five = train(rfm, k=5, reference=four, sweep=False)
    assert five.match_distances is None
    assert set(five.model.segment_ids) == set(SEGMENT_NAMES)


def test_distances_are_measured_in_the_old_scale() -> None:
    old = Scaler(np.zeros(4), np.full(4, 2.0))
    centre = old.transform(np.array([[1.0, 0, 0, 0], [5.0, 0, 0, 0]]))
    stored = np.array([[2.5, 0, 0, 0], [0.0, 0, 0, 0]])
    ids, distances = match_to_reference(centre, stored, (0, 1))
    assert ids == (1, 0)
    assert distances.tolist() == [0.5, 0.0]
