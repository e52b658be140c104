"""When customers buy again and when they stop: BG/NBD and MBG/NBD.

While a customer is alive, purchases come at random at a rate of the customer's own; after a
purchase the customer may be gone for good, with a probability of the customer's own. Rates are
gamma (r, alpha) and probabilities beta (a, b) distributed over the customers.

- BG/NBD: nobody leaves at the first purchase, so who bought once is alive for certain.
  Fader, Hardie, Lee, "Counting your customers" the easy way, Marketing Science 24 (2005).
- MBG/NBD: one may also leave at the first. Batislam, Denizel, Filiztekin, Empirical validation and
  comparison of models for customer base analysis, Int. J. of Research in Marketing 24 (2007).

Both are one set of formulas in the number of times a customer could have left: the repeat
purchases, and in MBG/NBD the first purchase too. Times are days.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import betaincinv, betaln, expit, gammaln, hyp2f1, psi

from insight.errors import InputError
from ml_pipeline.lifetime_value.maximum import Maximum, Vector, maximise
from ml_pipeline.lifetime_value.summary import HISTORY, check_summary, history_of

Family = Literal["bg_nbd", "mbg_nbd"]
FAMILY_NAMES: dict[Family, str] = {"bg_nbd": "BG/NBD", "mbg_nbd": "MBG/NBD"}
FEWEST_CUSTOMERS = 50
FEWEST_REPEATERS = 10
# Four parameters: from fewer kinds of history they cannot be told.
_FEWEST_HISTORIES = 5
_PARAMETERS = ("r", "alpha_days", "a", "b")
_STARTS = ((1.0, 0.5, 1.0, 2.0), (0.3, 0.1, 0.5, 3.0))


class PurchaseModel(BaseModel):
    """A fitted model. `alpha_days` has the unit day; r, a and b have none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: Family
    r: float = Field(gt=0)
    alpha_days: float = Field(gt=0)
    a: float = Field(gt=0)
    b: float = Field(gt=0)

    @property
    def name(self) -> str:
        """As the literature calls it."""
        return FAMILY_NAMES[self.family]


@dataclass(frozen=True)
class PurchaseFit:
    """A model, how likely it makes the histories, and the parameters that ended at a bound."""

    model: PurchaseModel
    log_likelihood: float
    at_bound: tuple[str, ...]


def reason_not_to_fit(summary: pd.DataFrame) -> str | None:
    """Why the purchases of these customers cannot be modelled, None when they can."""
    repeaters = int((summary["frequency"] > 0).sum())
    histories = len(summary[HISTORY].drop_duplicates())
    if len(summary) < FEWEST_CUSTOMERS:
        return f"{len(summary):,} customers, the models need at least {FEWEST_CUSTOMERS}"
    if repeaters < FEWEST_REPEATERS:
        return (
            f"{repeaters:,} of {len(summary):,} customers bought on a second day, the models need"
            f" at least {FEWEST_REPEATERS}"
        )
    if histories < _FEWEST_HISTORIES:
        return (
            f"{len(summary):,} customers have {histories} different histories between them, the"
            f" models need at least {_FEWEST_HISTORIES}"
        )
    return None


def fit_purchases(summary: pd.DataFrame, family: Family) -> PurchaseFit:
    """Maximum likelihood over the customers of a summary frame; equal histories count together.

    Raises InputError for a frame that is no summary, for customers too few or too much alike, and
    when the likelihood has no maximum.
    """
    check_summary(summary)
    if reason := reason_not_to_fit(summary):
        raise InputError(
            reason, where=FAMILY_NAMES[family], next_step="Take more customers or a longer history"
        )
    grouped = summary.groupby(HISTORY, as_index=False).size()
    weights = grouped["size"].to_numpy(dtype=np.float64)
    # Scaled, so that a year in days and one in seconds are the same search.
    scale = float(np.average(grouped["age_days"], weights=weights))
    best = maximise(
        _Likelihood(grouped, weights, scale, family), _STARTS, _PARAMETERS, FAMILY_NAMES[family]
    )
    return _in_days(best, grouped, weights, scale, family)


def log_likelihood(model: PurchaseModel, frequency: Vector, recency: Vector, age: Vector) -> Vector:
    """Of each customer's history, shape (customers,). Equation 6 of Fader, Hardie, Lee (2005)."""
    r, a, b = model.r, model.a, model.b
    chances = _chances_to_leave(model.family, frequency)
    return np.asarray(
        gammaln(r + frequency)
        - gammaln(r)
        + r * np.log(model.alpha_days)
        + betaln(a, b + chances)
        - betaln(a, b)
        - (r + frequency) * np.log(model.alpha_days + age)
        + np.logaddexp(0.0, _log_odds_of_gone(model, frequency, recency, age))
    )


def probability_alive(
    model: PurchaseModel, frequency: Vector, recency: Vector, age: Vector
) -> Vector:
    """Probability that the customer has not left, shape (customers,).

    It is 1 for everybody who bought once under BG/NBD: never rank one-time buyers by it.
    """
    alive: Vector = expit(-_log_odds_of_gone(model, frequency, recency, age))
    return alive


def probability_of_a_purchase(
    model: PurchaseModel, frequency: Vector, recency: Vector, age: Vector, horizon_days: float
) -> Vector:
    """Probability of at least one purchase in the next `horizon_days`, shape (customers,).

    Whoever is alive stays so until the next purchase, so it is the probability to be alive times
    that of a purchase at the customer's rate: a mean of 1 - exp(-rate t) over a gamma.
    """
    waited = np.log1p(horizon_days / (model.alpha_days + age))
    buys: Vector = -np.expm1(-(model.r + frequency) * waited)
    return probability_alive(model, frequency, recency, age) * buys


def expected_purchases(
    model: PurchaseModel, frequency: Vector, recency: Vector, age: Vector, horizon_days: float
) -> Vector:
    """Expected number of purchases in the next `horizon_days`, shape (customers,).

    Equation 10 of Fader, Hardie, Lee (2005), and its like for MBG/NBD. A frequency, recency and
    age of 0 stand for a customer at the first purchase.
    """
    rate_shape, rate_time = model.r + frequency, model.alpha_days + age
    stays = model.b + _chances_to_leave(model.family, frequency)
    alive = probability_alive(model, frequency, recency, age)
    return alive * _purchases_while_alive(rate_shape, rate_time, model.a, stays, horizon_days)


def _chances_to_leave(family: Family, frequency: Vector) -> Vector:
    return frequency + 1.0 if family == "mbg_nbd" else frequency


def _log_odds_of_gone(
    model: PurchaseModel, frequency: Vector, recency: Vector, age: Vector
) -> Vector:
    """Log of P(gone) / P(alive); minus infinity for who had no chance to leave."""
    chances = _chances_to_leave(model.family, frequency)
    silence = np.log1p((age - recency) / (model.alpha_days + recency))
    with np.errstate(divide="ignore", invalid="ignore"):
        left_at_the_last = np.log(model.a) - np.log(model.b + chances - 1.0)
    odds = left_at_the_last + (model.r + frequency) * silence
    return np.where(chances > 0, odds, -np.inf)


def _purchases_while_alive(r: Vector, alpha: Vector, a: float, b: Vector, horizon: float) -> Vector:
    """Mean of (1 - exp(-rate p t)) / p over rate ~ gamma(r, alpha) and p ~ beta(a, b)."""
    # At a = 1 the formula is 0 / 0, and beside it nothing but rounding: a line leads across.
    if abs(a - 1.0) < 1e-4:
        lower, upper = 1 - 2e-4, 1 + 2e-4
        below = _purchases_while_alive(r, alpha, lower, b, horizon)
        above = _purchases_while_alive(r, alpha, upper, b, horizon)
        return np.asarray(below + (above - below) * (a - lower) / (upper - lower))
    share = (alpha / (alpha + horizon)) ** r
    with np.errstate(all="ignore"):
        series = hyp2f1(r, b, a + b - 1.0, horizon / (alpha + horizon))
        purchases: Vector = (a + b - 1.0) / (a - 1.0) * (1.0 - share * series)
    # Who buys daily for years overflows the series; nobody buys more than without ever leaving.
    at_most = r / alpha * horizon
    is_lost = ~np.isfinite(purchases) | (purchases < 0) | (purchases > at_most * (1 + 1e-9))
    if is_lost.any():
        purchases[is_lost] = _by_quadrature(r[is_lost], alpha[is_lost], a, b[is_lost], horizon)
    return purchases


def _by_quadrature(r: Vector, alpha: Vector, a: float, b: Vector, horizon: float) -> Vector:
    """The same mean by Gauss-Legendre over the quantiles of p; shape of `r`."""
    nodes, weights = np.polynomial.legendre.leggauss(200)
    p = np.maximum(betaincinv(a, b[:, None], (nodes + 1) / 2), 1e-300)
    bought = -np.expm1(-r[:, None] * np.log1p(p * horizon / alpha[:, None])) / p
    mean: Vector = bought @ (weights / 2)
    return mean


class _Likelihood:
    """Average log-likelihood by customer and its gradient, as `maximise` wants them.

    The times are divided by `scale`. Gamma functions depend on the frequency alone: they are
    computed once for each that occurs.
    """

    def __init__(
        self, grouped: pd.DataFrame, weights: Vector, scale: float, family: Family
    ) -> None:
        frequency, recency, age = history_of(grouped)
        self._distinct, self._which = np.unique(frequency, return_inverse=True)
        self._chances = _chances_to_leave(family, self._distinct)
        self._recency, self._age = recency / scale, age / scale
        self._frequency = frequency
        self._family = family
        self._weights = weights / weights.sum()
        self._by_frequency = np.bincount(self._which, self._weights)

    def __call__(self, parameters: Vector) -> tuple[float, Vector]:
        r, alpha, a, b = (float(each) for each in parameters)
        model = PurchaseModel(family=self._family, r=r, alpha_days=alpha, a=a, b=b)
        odds = _log_odds_of_gone(model, self._frequency, self._recency, self._age)
        log_age = np.log(alpha + self._age)
        value = (
            self._by_frequency @ self._of_frequencies(r, a, b)
            + r * np.log(alpha)
            + self._weights @ (np.logaddexp(0.0, odds) - (r + self._frequency) * log_age)
        )
        return float(value), self._gradient(r, alpha, a, b, expit(odds) * self._weights)

    def _of_frequencies(self, r: float, a: float, b: float) -> Vector:
        terms: Vector = (
            gammaln(r + self._distinct) - gammaln(r) + betaln(a, b + self._chances) - betaln(a, b)
        )
        return terms

    def _gradient(self, r: float, alpha: float, a: float, b: float, gone: Vector) -> Vector:
        """By r, alpha, a and b; `gone` is the weighted probability to have left."""
        log_age, log_recency = np.log(alpha + self._age), np.log(alpha + self._recency)
        bought = r + self._frequency
        share, chances = self._by_frequency, self._chances
        gone_by_frequency = np.bincount(self._which, gone, minlength=len(share))
        # Who had no chance to leave has no part in it; the 1 only keeps the division defined.
        stayed = np.where(chances > 0, b + chances - 1.0, 1.0)
        both = psi(a + b + chances) - psi(a + b)
        return np.array(
            [
                share @ (psi(r + self._distinct) - psi(r))
                + np.log(alpha)
                - self._weights @ log_age
                + gone @ (log_age - log_recency),
                r / alpha
                - (self._weights - gone) @ (bought / (alpha + self._age))
                - gone @ (bought / (alpha + self._recency)),
                gone.sum() / a - share @ both,
                share @ (psi(b + chances) - psi(b) - both) - gone_by_frequency @ (1.0 / stayed),
            ]
        )


def _in_days(
    best: Maximum, grouped: pd.DataFrame, weights: Vector, scale: float, family: Family
) -> PurchaseFit:
    r, alpha, a, b = (float(each) for each in best.parameters)
    model = PurchaseModel(family=family, r=r, alpha_days=alpha * scale, a=a, b=b)
    return PurchaseFit(
        model=model,
        log_likelihood=float(weights @ log_likelihood(model, *history_of(grouped))),
        at_bound=best.at_bound,
    )
