"""BG/NBD and MBG/NBD against their definitions, simulated customers and their limits."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import beta as beta_distribution
from scipy.stats import gamma as gamma_distribution

from insight.errors import InputError
from ml_pipeline.lifetime_value.gamma_gamma import OrderValueModel
from ml_pipeline.lifetime_value.maximum import Vector, maximise
from ml_pipeline.lifetime_value.purchase_model import (
    FAMILY_NAMES,
    Family,
    PurchaseModel,
    expected_purchases,
    fit_purchases,
    log_likelihood,
    probability_alive,
    probability_of_a_purchase,
)
from ml_pipeline.lifetime_value.simulation import simulate_customers
from ml_pipeline.lifetime_value.summary import history_of

FAMILIES = tuple(FAMILY_NAMES)
VALUES = OrderValueModel(p=6.25, q=3.74, gamma=15.44)

_MODELS = st.builds(
    PurchaseModel,
    family=st.sampled_from(FAMILIES),
    r=st.floats(0.05, 5),
    alpha_days=st.floats(1, 200),
    a=st.floats(0.1, 20),
    b=st.floats(0.1, 20),
)
# Frequency, recency and age of a customer who bought on different days.
_HISTORIES = st.one_of(
    st.tuples(st.just(0), st.just(0), st.integers(1, 700)),
    st.integers(1, 60).flatmap(
        lambda count: st.integers(count, 600).flatmap(
            lambda recency: st.tuples(
                st.just(count), st.just(recency), st.integers(recency + 1, 700)
            )
        )
    ),
)


def _model(family: Family = "bg_nbd", a: float = 0.793, b: float = 2.426) -> PurchaseModel:
    """As of the CDNOW sample in Fader, Hardie, Lee (2005), whose weeks are taken for days."""
    return PurchaseModel(family=family, r=0.243, alpha_days=4.414, a=a, b=b)


def _history(frequency: float, recency: float, age: float) -> tuple[Vector, Vector, Vector]:
    return np.array([float(frequency)]), np.array([float(recency)]), np.array([float(age)])


def _slow_likelihood(model: PurchaseModel, frequency: int, recency: int, age: int) -> float:
    """Integral over rate and leaving probability, the way the model's story is told.

    Given both, the gaps between purchases are exponential; the customer stays after each purchase
    but the last, and after that one either stays silent or has left.
    """
    chances = frequency + (1 if model.family == "mbg_nbd" else 0)
    rates = gamma_distribution(model.r, scale=1 / model.alpha_days)
    leaving = beta_distribution(model.a, model.b)

    def of_rates(until: int) -> float:
        # Through the quantiles, because densities of small shapes are infinite at 0.
        def at(share: float) -> float:
            rate = float(rates.ppf(share))
            return rate**frequency * math.exp(-rate * until)

        return float(quad(at, 0, 1, limit=400, epsabs=0, epsrel=1e-9)[0])

    def of_leaving(stays: int, leaves: int) -> float:
        def at(share: float) -> float:
            p = float(leaving.ppf(share))
            return (1 - p) ** stays * p**leaves

        return float(quad(at, 0, 1, limit=400, epsabs=0, epsrel=1e-9)[0])

    alive = of_rates(age) * of_leaving(chances, 0)
    gone = of_rates(recency) * of_leaving(chances - 1, 1) if chances else 0.0
    return math.log(alive + gone)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("history", [(0, 0, 30), (1, 4, 30), (2, 30, 39), (7, 80, 200)])
def test_the_likelihood_is_the_integral_over_all_customers(
    family: Family, history: tuple[int, int, int]
) -> None:
    model = PurchaseModel(family=family, r=0.9, alpha_days=14.0, a=1.3, b=3.5)
    found = log_likelihood(model, *_history(*history))[0]
    assert found == pytest.approx(_slow_likelihood(model, *history), rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(_MODELS, _HISTORIES, st.integers(1, 730))
@example(_model("bg_nbd", a=0.99999), (0, 0, 1), 41)
@example(_model("mbg_nbd", a=1.00009), (3, 5, 9), 365)
def test_expected_purchases_are_the_integral_over_the_leaving_probabilities(
    model: PurchaseModel, history: tuple[int, int, int], horizon: int
) -> None:
    frequency, _, age = history
    chances = frequency + (1 if model.family == "mbg_nbd" else 0)
    r, alpha = model.r + frequency, model.alpha_days + age
    leaving = beta_distribution(model.a, model.b + chances)

    def bought(share: float) -> float:
        p = max(float(leaving.ppf(share)), 1e-300)
        return -math.expm1(-r * math.log1p(p * horizon / alpha)) / p

    alive = probability_alive(model, *_history(*history))[0]
    integral = alive * quad(bought, 0, 1, limit=500, epsabs=0, epsrel=1e-8)[0]
    found = expected_purchases(model, *_history(*history), horizon)[0]
    assert found == pytest.approx(integral, rel=1e-5)


@settings(max_examples=200, deadline=None)
@given(_MODELS, _HISTORIES, st.integers(1, 365))
def test_forecasts_are_possible_numbers_and_grow_with_the_horizon(
    model: PurchaseModel, history: tuple[int, int, int], horizon: int
) -> None:
    told = _history(*history)
    alive = probability_alive(model, *told)[0]
    chance = probability_of_a_purchase(model, *told, horizon)[0]
    expected = expected_purchases(model, *told, horizon)[0]
    never_leaving = (model.r + history[0]) / (model.alpha_days + history[2]) * horizon
    assert 0 <= chance <= alive <= 1
    assert chance <= expected * (1 + 1e-9)
    assert expected <= never_leaving * (1 + 1e-9)
    assert expected <= expected_purchases(model, *told, horizon + 1)[0]
    assert chance <= probability_of_a_purchase(model, *told, horizon + 1)[0]


def test_a_at_one_is_no_hole_in_the_formula() -> None:
    around = [
        expected_purchases(_model(a=a), *_history(3, 40, 60), 90)[0]
        for a in (1 - 3e-4, 1.0, 1 + 3e-4)
    ]
    assert around[1] == pytest.approx((around[0] + around[2]) / 2, rel=1e-6)


def test_a_daily_buyer_of_years_has_a_forecast_where_the_series_overflows() -> None:
    model = PurchaseModel(family="mbg_nbd", r=0.9, alpha_days=2.6, a=0.936, b=380.0)
    found = expected_purchases(model, *_history(2012, 2490, 2496), 1575)[0]
    alive = probability_alive(model, *_history(2012, 2490, 2496))[0]
    leaving = beta_distribution(model.a, model.b + 2013)
    rate = (model.r + 2012) / (model.alpha_days + 2496)
    # With that many purchases the rate is all but known.
    p = leaving.ppf((np.arange(20_000) + 0.5) / 20_000)
    assert found == pytest.approx(alive * np.mean(-np.expm1(-rate * p * 1575) / p), rel=1e-3)


def test_without_leaving_purchases_go_on_at_the_rate() -> None:
    """As a goes to 0 nobody leaves: a gamma-Poisson, whose forecast is the rate times the time."""
    model = _model(a=1e-9, b=1.0)
    told = _history(4, 50, 60)
    assert probability_alive(model, *told)[0] == pytest.approx(1.0)
    assert expected_purchases(model, *told, 30)[0] == pytest.approx(
        (model.r + 4) / (model.alpha_days + 60) * 30, rel=1e-6
    )


def test_whoever_leaves_at_once_does_not_come_back() -> None:
    model = PurchaseModel(family="mbg_nbd", r=1.0, alpha_days=10.0, a=1e6, b=1.0)
    assert probability_alive(model, *_history(0, 0, 50))[0] < 1e-4
    assert expected_purchases(model, *_history(0, 0, 50), 90)[0] < 1e-3


def test_only_mbg_nbd_doubts_customers_who_bought_once() -> None:
    ages = (np.zeros(3), np.zeros(3), np.array([1.0, 100.0, 1000.0]))
    assert probability_alive(_model("bg_nbd"), *ages).tolist() == [1.0, 1.0, 1.0]
    doubted = probability_alive(_model("mbg_nbd"), *ages)
    assert (np.diff(doubted) < 0).all()
    assert doubted[0] < 2.426 / (0.793 + 2.426)


@pytest.mark.parametrize("family", FAMILIES)
def test_parameters_of_simulated_customers_are_found_again(family: Family) -> None:
    truth = PurchaseModel(family=family, r=0.8, alpha_days=20.0, a=1.2, b=3.0)
    made = simulate_customers(truth, VALUES, customers=40_000, age_days=(200, 700), seed=3)
    fit = fit_purchases(made.summary, family)
    found = fit.model
    assert fit.at_bound == ()
    assert (found.r, found.alpha_days) == pytest.approx((truth.r, truth.alpha_days), rel=0.06)
    assert (found.a, found.b) == pytest.approx((truth.a, truth.b), rel=0.12)
    assert fit.log_likelihood >= log_likelihood(truth, *history_of(made.summary)).sum()
    alive = probability_alive(found, *history_of(made.summary))
    assert alive.mean() == pytest.approx(made.is_alive.mean(), abs=0.01)
    later = expected_purchases(found, *history_of(made.summary), 90).sum()
    assert later == pytest.approx(made.later_purchases.sum(), rel=0.03)


def test_the_unit_of_time_changes_alpha_and_nothing_else() -> None:
    truth = PurchaseModel(family="mbg_nbd", r=0.8, alpha_days=20.0, a=1.2, b=3.0)
    days = simulate_customers(truth, VALUES, customers=2_000).summary
    hours = days.assign(recency_days=days["recency_days"] * 24, age_days=days["age_days"] * 24)
    in_days, in_hours = (fit_purchases(each, "mbg_nbd").model for each in (days, hours))
    assert in_hours.alpha_days == pytest.approx(24 * in_days.alpha_days, rel=1e-4)
    assert (in_hours.r, in_hours.a, in_hours.b) == pytest.approx(
        (in_days.r, in_days.a, in_days.b), rel=1e-4
    )


def test_many_customers_of_the_same_history_are_as_good_as_each_alone() -> None:
    truth = PurchaseModel(family="bg_nbd", r=0.8, alpha_days=20.0, a=1.2, b=3.0)
    once = simulate_customers(truth, VALUES, customers=300).summary
    thrice = pd.concat([once] * 3).assign(customer_id=np.arange(900).astype(str))
    one, three = fit_purchases(once, "bg_nbd"), fit_purchases(thrice, "bg_nbd")
    assert three.model.model_dump(exclude={"family"}) == pytest.approx(
        one.model.model_dump(exclude={"family"}), rel=1e-5
    )
    assert three.log_likelihood == pytest.approx(3 * one.log_likelihood)


@pytest.mark.parametrize("family", FAMILIES)
def test_customers_who_hardly_differ_end_at_a_bound_with_a_forecast(family: Family) -> None:
    """One rate for all and nobody leaving: the maximum lies at infinity."""
    draw = np.random.default_rng(1)
    age = draw.integers(300, 400, 500).astype(float)
    frequency = draw.poisson(age / 10)
    summary = pd.DataFrame(
        {
            "customer_id": np.arange(500).astype(str),
            "frequency": frequency,
            "recency_days": np.maximum(frequency > 0, age - draw.integers(1, 9, 500)),
            "age_days": age,
            "mean_order_value": 10.0,
        }
    )
    fit = fit_purchases(summary, family)
    assert fit.at_bound
    expected = expected_purchases(fit.model, *history_of(summary), 30)
    assert expected == pytest.approx(np.full(500, 3.0), rel=0.15)


@pytest.mark.parametrize(
    ("summary", "problem"),
    [
        ({"frequency": [1], "recency_days": [5]}, r"1 customers, the models need at least 50"),
        ({"frequency": [0] * 60, "recency_days": [0] * 60}, r"0 of 60 customers bought on a sec"),
        ({"frequency": [2] * 60, "recency_days": [9] * 60}, r"60 customers have 1 different hist"),
    ],
)
def test_too_few_and_all_equal_customers_are_refused(
    summary: dict[str, list[int]], problem: str
) -> None:
    frame = pd.DataFrame({**summary, "age_days": 20, "mean_order_value": 10.0})
    frame.insert(0, "customer_id", frame.index.astype(str))
    with pytest.raises(InputError, match=problem) as refused:
        fit_purchases(frame, "mbg_nbd")
    assert "more customers" in str(refused.value.next_step)


def test_a_search_that_finds_no_maximum_says_so() -> None:
    def jagged(parameters: Vector) -> tuple[float, Vector]:
        return float(np.sin(parameters[0] * 1e9)), np.ones(1)

    with pytest.raises(InputError, match=r"toy: the likelihood has no maximum.*Look for wrong"):
        maximise(jagged, [[1.0]], ["x"], "toy")
