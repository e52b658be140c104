"""The gamma-gamma model against its definition, simulated customers and its limits."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import gamma as gamma_distribution

from insight.errors import InputError
from ml_pipeline.lifetime_value.gamma_gamma import (
    OrderValueModel,
    expected_order_value,
    fit_order_values,
    log_likelihood,
)
from ml_pipeline.lifetime_value.purchase_model import PurchaseModel
from ml_pipeline.lifetime_value.simulation import simulate_customers

MODEL = OrderValueModel(p=6.25, q=3.74, gamma=15.44)
PURCHASES = PurchaseModel(family="mbg_nbd", r=0.8, alpha_days=20.0, a=1.2, b=3.0)


def _summary(frequency: list[int], value: list[float]) -> pd.DataFrame:
    count = np.array(frequency)
    return pd.DataFrame(
        {
            "customer_id": [str(number) for number in range(len(count))],
            "frequency": count,
            "recency_days": count * 5,
            "age_days": 900,
            "mean_order_value": value,
        }
    )


@pytest.mark.parametrize(("frequency", "value"), [(1, 20.0), (3, 55.0), (12, 31.5)])
def test_likelihood_and_mean_are_the_integrals_over_all_customers(
    frequency: int, value: float
) -> None:
    """A customer's scale is gamma distributed; given it, the mean of n purchases is gamma too."""
    scales = gamma_distribution(MODEL.q, scale=1 / MODEL.gamma)

    def likelihood(scale: float) -> float:
        own = gamma_distribution(MODEL.p * frequency, scale=1 / (scale * frequency))
        return float(own.pdf(value) * scales.pdf(scale))

    density = quad(likelihood, 0, 5, points=[0.1, 0.5], limit=400, epsabs=0, epsrel=1e-9)[0]
    mean = quad(
        lambda scale: MODEL.p / scale * likelihood(scale), 0, 5, points=[0.1, 0.5], limit=400,
        epsabs=0, epsrel=1e-9,
    )[0]  # fmt: skip
    told = np.array([float(frequency)]), np.array([value])
    assert log_likelihood(MODEL, *told)[0] == pytest.approx(math.log(density), rel=1e-6)
    assert expected_order_value(MODEL, *told)[0] == pytest.approx(mean / density, rel=1e-6)


@given(st.integers(1, 500), st.floats(0, 1e6))
def test_a_forecast_lies_between_the_own_mean_and_that_of_all(count: int, value: float) -> None:
    found = expected_order_value(MODEL, np.array([float(count)]), np.array([value]))[0]
    low, high = sorted((value, MODEL.mean))
    assert low - 1e-9 <= found <= high * (1 + 1e-9)


def test_without_a_repeat_purchase_the_mean_of_all_is_expected() -> None:
    found = expected_order_value(MODEL, np.array([0.0]), np.array([np.nan]))
    assert found.tolist() == pytest.approx([MODEL.mean])
    assert MODEL.mean == pytest.approx(6.25 * 15.44 / 2.74)


def test_the_more_purchases_the_more_the_own_mean_counts() -> None:
    counts = np.array([1.0, 10.0, 10_000.0])
    found = expected_order_value(MODEL, counts, np.full(3, 200.0))
    assert (np.diff(found) > 0).all()
    assert found[-1] == pytest.approx(200.0, rel=1e-3)


def test_parameters_of_simulated_customers_are_found_again() -> None:
    made = simulate_customers(PURCHASES, MODEL, customers=40_000, age_days=(200, 700), seed=5)
    fit = fit_order_values(made.summary)
    assert (fit.model.p, fit.model.q) == pytest.approx((MODEL.p, MODEL.q), rel=0.06)
    assert fit.model.mean == pytest.approx(MODEL.mean, rel=0.02)
    assert abs(fit.correlation) < 0.02
    assert fit.at_bound == ()


def test_the_currency_changes_gamma_and_nothing_else() -> None:
    euros = simulate_customers(PURCHASES, MODEL, customers=3_000).summary
    cents = euros.assign(mean_order_value=euros["mean_order_value"] * 100)
    in_euros, in_cents = fit_order_values(euros).model, fit_order_values(cents).model
    assert in_cents.gamma == pytest.approx(100 * in_euros.gamma, rel=1e-4)
    assert (in_cents.p, in_cents.q) == pytest.approx((in_euros.p, in_euros.q), rel=1e-4)


def test_a_mean_that_is_not_finite_is_refused() -> None:
    """Values without a finite mean: the exponential of an exponential of small rate."""
    value = np.exp(np.random.default_rng(2).exponential(4.0, 2_000))
    with pytest.raises(InputError, match=r"spread so widely.*q = 0\.\d\d.*Look for wrong amounts"):
        fit_order_values(_summary([1] * 2_000, value.tolist()))


def test_equal_values_are_expected_again() -> None:
    summary = _summary([1, 2, 3, 4] * 10, [25.0] * 40)
    fit = fit_order_values(summary)
    count = summary["frequency"].to_numpy(dtype=float)
    assert expected_order_value(fit.model, count, np.full(40, 25.0)) == pytest.approx(
        np.full(40, 25.0), rel=1e-3
    )
    assert fit.correlation == 0.0
    assert fit.at_bound


def test_too_few_repeat_buyers_with_money_are_refused() -> None:
    with pytest.raises(InputError, match=r"9 customers have repeat purchases.*at least 10"):
        fit_order_values(_summary([1] * 60, [0.0] * 51 + [5.0] * 9))


def test_frequency_and_value_that_go_together_are_told() -> None:
    frequency = list(range(1, 101))
    draw = np.random.default_rng(1)
    values = [count * 3 * float(draw.uniform(0.9, 1.1)) for count in frequency]
    assert fit_order_values(_summary(frequency, values)).correlation > 0.9
