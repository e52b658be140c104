"""Forecasts against what happened: sums, groups, and which number ranks who comes back."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.errors import InputError
from ml_pipeline.lifetime_value.calibration import (
    Calibration,
    area_under_curve,
    calibrate,
    choose_holdout_days,
)
from ml_pipeline.lifetime_value.forecast import by_fifths, forecast
from ml_pipeline.lifetime_value.gamma_gamma import OrderValueModel, fit_order_values
from ml_pipeline.lifetime_value.purchase_model import PurchaseModel, fit_purchases
from ml_pipeline.lifetime_value.simulation import SimulatedCustomers, simulate_customers

HOLDOUT = 90
VALUES = OrderValueModel(p=6.25, q=3.74, gamma=15.44)


def _now(made: SimulatedCustomers) -> pd.DataFrame:
    """The summary frame of the same customers after the holdout, purchases worth their mean."""
    before, later = made.summary, made.later_purchases
    has_bought = later > 0
    return before.assign(
        frequency=before["frequency"] + later.astype(int),
        recency_days=np.where(has_bought, before["age_days"] + 1, before["recency_days"]),
        age_days=before["age_days"] + HOLDOUT,
        mean_order_value=np.where(
            (before["frequency"] == 0) & has_bought, VALUES.mean, before["mean_order_value"]
        ),
    )


@pytest.fixture(scope="module")
def made() -> SimulatedCustomers:
    """Customers of whom half never come back: the case in which P(alive) of BG/NBD fails."""
    truth = PurchaseModel(family="mbg_nbd", r=0.6, alpha_days=30.0, a=0.8, b=1.2)
    return simulate_customers(truth, VALUES, customers=30_000, later_days=HOLDOUT, seed=11)


@pytest.fixture(scope="module")
def found(made: SimulatedCustomers) -> Calibration:
    return calibrate(made.summary, _now(made), HOLDOUT)


def test_the_outcome_is_counted_from_the_two_summaries(
    made: SimulatedCustomers, found: Calibration
) -> None:
    later = made.later_purchases
    assert found.actual_purchases == later.sum()
    assert found.returned == (later > 0).sum()
    worth = made.summary["mean_order_value"].fillna(VALUES.mean)
    assert found.actual_value == pytest.approx((worth * later).sum(), abs=1)
    for family in found.families:
        assert sum(each.customers for each in family.groups) == found.customers == len(later)
        assert sum(each.customers for each in family.tenths) == found.customers
        actual = sum(each.customers * each.actual for each in family.groups)
        assert actual == pytest.approx(found.actual_purchases, abs=0.1)
        predicted = sum(each.customers * each.predicted for each in family.groups)
        assert predicted == pytest.approx(family.predicted_purchases, abs=0.1)


def test_the_model_of_the_customers_forecasts_them(found: Calibration) -> None:
    mbg = found.of("mbg_nbd")
    assert mbg.predicted_purchases == pytest.approx(found.actual_purchases, rel=0.05)
    assert mbg.predicted_value == pytest.approx(found.actual_value, rel=0.15)
    assert mbg.log_likelihood > found.of("bg_nbd").log_likelihood
    for tenth in mbg.tenths:
        assert tenth.predicted == pytest.approx(tenth.returned, abs=0.03)


def test_churn_by_probability_of_a_purchase_beats_bg_nbd_alive(found: Calibration) -> None:
    alive = found.of("bg_nbd").auc_probability_alive
    assert alive is not None
    for family in found.families:
        assert family.auc_probability_of_purchase is not None
        assert family.auc_expected_purchases is not None
        assert family.auc_probability_of_purchase > alive + 0.3
        assert family.auc_expected_purchases > alive + 0.3
    chosen = found.of("mbg_nbd").auc_probability_of_purchase
    assert chosen is not None
    assert chosen > 0.8


def test_bg_nbd_takes_one_time_buyers_for_alive_and_mbg_nbd_does_not(found: Calibration) -> None:
    once = {each.model.family: each.groups[0] for each in found.families}
    assert once["bg_nbd"].label == "0"
    assert once["bg_nbd"].alive == 1.0
    assert once["mbg_nbd"].alive < 0.5
    assert once["bg_nbd"].returned < 0.2
    off = {name: abs(group.predicted - group.actual) for name, group in once.items()}
    assert off["mbg_nbd"] < off["bg_nbd"]


def test_a_holdout_is_as_long_as_the_horizon_or_half_of_the_history() -> None:
    for longest, wanted in ((365, 90), (180, 90), (100, 50), (0, 0)):
        assert choose_holdout_days(longest, 90) == wanted


def test_a_holdout_of_days_is_refused(made: SimulatedCustomers) -> None:
    with pytest.raises(InputError, match="holdout of 6 days is too short"):
        calibrate(made.summary, _now(made), 6)


_SCORED = st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=40)


@given(_SCORED)
def test_the_area_under_the_curve_is_the_share_of_pairs_in_order(
    scored: list[tuple[int, bool]],
) -> None:
    score = np.array([float(value) for value, _ in scored])
    happened = np.array([is_true for _, is_true in scored])
    area = area_under_curve(score, happened)
    pairs = [(yes, no) for yes in score[happened] for no in score[~happened]]
    if not pairs:
        assert area is None
    else:
        in_order = sum(1.0 if yes > no else 0.5 if yes == no else 0.0 for yes, no in pairs)
        assert area == pytest.approx(in_order / len(pairs), abs=1e-6)


def test_a_forecast_without_order_values_has_purchases_only(made: SimulatedCustomers) -> None:
    model = fit_purchases(made.summary, "mbg_nbd").model
    without = forecast(made.summary, model, None, HOLDOUT)
    values = fit_order_values(made.summary).model
    with_values = forecast(made.summary, model, values, HOLDOUT)
    assert without["expected_value"].isna().all()
    assert with_values["expected_value"].notna().all()
    assert (without["expected_purchases"] == with_values["expected_purchases"]).all()
    assert {each.expected_value for each in by_fifths(without)} == {None}


def test_fifths_hold_all_customers_and_the_first_brings_most(made: SimulatedCustomers) -> None:
    model = fit_purchases(made.summary, "mbg_nbd").model
    forecasts = forecast(made.summary, model, fit_order_values(made.summary).model, HOLDOUT)
    fifths = by_fifths(forecasts)
    assert [each.customers for each in fifths] == [6_000] * 5
    values = [each.expected_value or 0.0 for each in fifths]
    assert values == sorted(values, reverse=True)
    assert sum(values) == pytest.approx(forecasts["expected_value"].sum(), abs=0.1)
    assert [each.customers for each in by_fifths(forecasts[:3])] == [1, 1, 1]
