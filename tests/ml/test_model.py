"""The stored model, the seed file, drift."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from insight.errors import IntegrityError
from ml_pipeline.drift import (
    Drift,
    bin_features,
    distance_ratio,
    moved_share,
    population_stability,
)
from ml_pipeline.export import empty_seed, read_seed, seed_bytes, write_atomically
from ml_pipeline.model import (
    SegmentModel,
    assign,
    label_customers,
    load,
    mean_squared_distance,
)
from ml_pipeline.naming import SEGMENT_NAMES
from ml_pipeline.rfm import rfm_from_totals
from ml_pipeline.segmentation import data_sha256, reason_to_skip, summarise, train

Population = Callable[..., pd.DataFrame]


@pytest.fixture(scope="module")
def model(population: Population) -> SegmentModel:
    return train(population(), sweep=False).model


def test_labels_from_the_json_alone_are_the_trained_ones(
    model: SegmentModel, population: Population
) -> None:
    restored = SegmentModel.model_validate_json(model.model_dump_json())
    assert restored == model
    others = population(1_000, seed=8)
    assert (assign(restored, others) == assign(model, others)).all()


def test_anybody_gets_a_segment(model: SegmentModel) -> None:
    strangers = pd.DataFrame(
        {"customer_id": ["a", "b"], "recency_days": [1, 9_999], "frequency": [1, 100_000],
         "monetary": [-500.0, 1e9]}
    )  # fmt: skip
    assert set(assign(model, rfm_from_totals(strangers))) <= set(SEGMENT_NAMES)
    assert assign(model, rfm_from_totals(strangers[:0])).tolist() == []


def test_shuffled_customers_get_the_same_model_and_seed(
    model: SegmentModel, population: Population
) -> None:
    rfm = population()
    shuffled = rfm_from_totals(rfm.sample(frac=1, random_state=3))
    again = train(shuffled, sweep=False).model
    assert again == model
    assert data_sha256(shuffled) == data_sha256(rfm)
    assert seed_bytes(label_customers(again, shuffled)) == seed_bytes(label_customers(model, rfm))


def test_one_cent_changes_the_data_hash(population: Population) -> None:
    rfm = population()
    changed = rfm.assign(monetary=rfm["monetary"] + np.eye(1, len(rfm))[0] / 100)
    assert data_sha256(changed) != data_sha256(rfm)


def test_summaries_add_up_to_all_customers_and_their_revenue(
    model: SegmentModel, population: Population
) -> None:
    rfm = population()
    segments = summarise(model, rfm)
    assert sum(each.customers for each in segments) == len(rfm)
    assert sum(each.revenue for each in segments) == pytest.approx(rfm["monetary"].sum(), abs=0.03)
    assert sum(each.share for each in segments) == pytest.approx(1, abs=1e-5)
    assert [each.revenue for each in segments] == sorted(
        (each.revenue for each in segments), reverse=True
    )
    assert all(each.meets_rule for each in segments)


def test_too_few_or_equal_customers_are_not_segmented(population: Population) -> None:
    assert reason_to_skip(population(50), 5) is None
    assert "at least 50" in str(reason_to_skip(population(49), 5))
    assert "at least 50" in str(reason_to_skip(population(1), 5))
    assert "at least 50" in str(reason_to_skip(population(0), None))
    equal = pd.concat([population(1)] * 60)
    assert "all customers are equal" in str(reason_to_skip(equal, 5))
    few = pd.concat([population(3)] * 20)
    assert "set INSIGHT_SEGMENT_COUNT to 3" in str(reason_to_skip(few, 5))


def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    path = tmp_path / "customer_segmentation-own.json"
    assert load(path) is None
    for content in (b"", b"\x80\x04pickle", b'{"format": 2}', b"[]"):
        path.write_bytes(content)
        with pytest.raises(IntegrityError, match=r"customer_segmentation-own\.json.*afresh"):
            load(path)


def test_a_seed_keeps_ids_as_they_are() -> None:
    labels = pd.DataFrame(
        {"customer_id": ["007", "NA", 'a,"b"'], "segment_id": [0, 1, 2],
         "segment_name": [SEGMENT_NAMES[number] for number in range(3)]}
    )  # fmt: skip
    content = seed_bytes(labels)
    assert content.splitlines()[1] == b"007,0,Big Spenders"
    assert b"\r" not in content
    assert read_seed(content)["customer_id"].tolist() == labels["customer_id"].tolist()
    assert read_seed(empty_seed()).empty


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "seed.csv"
    write_atomically(path, b"old")
    with pytest.raises(TypeError):
        write_atomically(path, "not bytes")  # type: ignore[arg-type]
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("seed.csv", b"old")]


def test_the_same_customers_do_not_drift_and_older_ones_do(population: Population) -> None:
    rfm = population()
    bins = bin_features(rfm)
    assert set(population_stability(bins, rfm).values()) == {0.0}
    aged = rfm.assign(recency_days=rfm["recency_days"] + 100)
    drift = population_stability(bins, aged)
    assert drift["recency_days"] > 0.25
    assert drift["monetary"] == 0.0


def test_bins_of_equal_values_are_one(population: Population) -> None:
    equal = population().assign(frequency=3)
    bins = bin_features(equal)
    assert bins["frequency"].shares == (1.0, 0.0)
    assert population_stability(bins, equal)["frequency"] == 0.0


def test_moved_share_is_over_customers_of_both_runs() -> None:
    before = pd.DataFrame({"customer_id": ["1", "2", "3"], "segment_id": [0, 1, 2]})
    now = pd.DataFrame({"customer_id": ["2", "3", "4"], "segment_id": [1, 0, 3]})
    assert moved_share(before, now) == 0.5
    assert moved_share(before[:1], now) is None


def test_distances_to_the_own_centre_are_those_of_the_training_until_customers_spread(
    population: Population,
) -> None:
    rfm = population()
    training = train(rfm, sweep=False)
    at_training = training.inertia_per_customer
    same = mean_squared_distance(training.model, rfm)
    assert distance_ratio(same, at_training) == pytest.approx(1, abs=1e-5)
    draw = np.random.default_rng(5)
    spread = rfm.assign(monetary=rfm["monetary"] * np.exp(draw.normal(0, 1, len(rfm))))
    ratio = distance_ratio(mean_squared_distance(training.model, spread), at_training)
    assert ratio is not None
    assert ratio > 1.25
    assert distance_ratio(1.0, 0.0) is None


def test_advice_begins_on_the_thresholds() -> None:
    drift = Drift(
        psi={"recency_days": 0.0999, "frequency": 0.10, "monetary": 0.25},
        moved_share=0.10,
        distance_ratio=1.25,
    )
    assert drift.advice() == {
        "recency_days": "none",
        "frequency": "watch",
        "monetary": "act",
        "moved_share": "watch",
        "distance_ratio": "act",
    }
    assert Drift(psi={}, moved_share=None).advice() == {}
