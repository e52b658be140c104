"""What a purchase is worth: the gamma-gamma model.

Purchases of a customer vary around a mean of the customer's own, and the means vary over the
customers, independently of how often they buy. Fader, Hardie, The gamma-gamma model of monetary
value (2013, brucehardie.com/notes/025). Money has the currency of the orders.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import gammaln, psi

from insight.errors import InputError
from ml_pipeline.lifetime_value.maximum import Likelihood, Vector, maximise
from ml_pipeline.lifetime_value.purchase_model import FEWEST_REPEATERS
from ml_pipeline.lifetime_value.summary import check_summary

NAME = "gamma-gamma"
# From here on customers who buy more often spend so much more or less at a time that the two
# cannot be modelled apart.
HIGHEST_CORRELATION = 0.3
_PARAMETERS = ("p", "q", "gamma")
_STARTS = ((2.0, 3.0, 1.0), (6.0, 4.0, 0.5))


class OrderValueModel(BaseModel):
    """A fitted model. `gamma` has the currency as its unit; p and q have none. The mean is finite
    because q is above 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    p: float = Field(gt=0)
    q: float = Field(gt=1)
    gamma: float = Field(gt=0)

    @property
    def mean(self) -> float:
        """Mean value of a purchase over all customers."""
        return self.p * self.gamma / (self.q - 1.0)


@dataclass(frozen=True)
class OrderValueFit:
    """A model; `correlation` is that of frequency and mean order value, which it takes for 0."""

    model: OrderValueModel
    log_likelihood: float
    customers: int
    correlation: float
    at_bound: tuple[str, ...]


def fit_order_values(summary: pd.DataFrame) -> OrderValueFit:
    """Maximum likelihood over the repeat buyers whose purchases are worth more than 0.

    Raises InputError for a frame that is no summary, for too few of them, when the likelihood has
    no maximum, and when q is so near 1 or below it that the mean would be infinite, negative or
    above the largest that was seen.
    """
    check_summary(summary)
    buyers = summary[(summary["frequency"] > 0) & (summary["mean_order_value"] > 0)]
    if len(buyers) < FEWEST_REPEATERS:
        raise InputError(
            f"{len(buyers):,} customers have repeat purchases worth more than 0, the model needs"
            f" at least {FEWEST_REPEATERS}",
            where=NAME,
            next_step="Take more customers or a longer history",
        )
    count = buyers["frequency"].to_numpy(dtype=np.float64)
    value = buyers["mean_order_value"].to_numpy(dtype=np.float64)
    # Of the right size also where a few huge values make up the mean.
    scale = float(np.exp(np.log(value).mean()))
    best = maximise(_likelihood_of(count, value / scale), _STARTS, _PARAMETERS, NAME)
    p, q, gamma = (float(each) for each in best.parameters)
    if q <= 1.0 or p * gamma / (q - 1.0) > 1.01 * value.max() / scale:
        raise _no_finite_mean(q)
    model = OrderValueModel(p=p, q=q, gamma=gamma * scale)
    return OrderValueFit(
        model=model,
        log_likelihood=float(log_likelihood(model, count, value).sum()),
        customers=len(buyers),
        correlation=_correlation(count, value),
        at_bound=best.at_bound,
    )


def log_likelihood(model: OrderValueModel, frequency: Vector, mean_order_value: Vector) -> Vector:
    """Of each repeat buyer's mean order value, shape (customers,). Equation 1a of the note."""
    p, q, gamma = model.p, model.q, model.gamma
    shape = p * frequency
    return np.asarray(
        gammaln(shape + q)
        - gammaln(shape)
        - gammaln(q)
        + q * np.log(gamma)
        + (shape - 1.0) * np.log(mean_order_value)
        + shape * np.log(frequency)
        - (shape + q) * np.log(gamma + frequency * mean_order_value)
    )


def expected_order_value(
    model: OrderValueModel, frequency: Vector, mean_order_value: Vector
) -> Vector:
    """Expected value of a customer's next purchases, shape (customers,). Equation 5 of the note.

    Between the customer's own mean and that of all; without a repeat purchase, where
    `mean_order_value` is NaN, it is that of all.
    """
    own = np.where(frequency > 0, mean_order_value, 0.0)
    spent = model.p * (model.gamma + frequency * own)
    value: Vector = spent / (model.p * frequency + model.q - 1.0)
    return value


def _likelihood_of(count: Vector, value: Vector) -> Likelihood:
    """Gamma functions depend on the frequency alone: they are computed once for each."""
    distinct, which = np.unique(count, return_inverse=True)
    share = np.bincount(which) / len(count)
    spent = count * value
    log_spent = float((count * np.log(spent)).mean())
    log_value = float(np.log(value).mean())

    def average(parameters: Vector) -> tuple[float, Vector]:
        p, q, gamma = (float(each) for each in parameters)
        shape, log_all = p * distinct, np.log(gamma + spent)
        mean_log_all, weighted_log_all = float(log_all.mean()), float((count * log_all).mean())
        terms = share @ (gammaln(shape + q) - gammaln(shape)) - gammaln(q) + q * np.log(gamma)
        spread = p * (log_spent - weighted_log_all) - q * mean_log_all - log_value
        both = psi(shape + q)
        by_p = share @ (distinct * (both - psi(shape))) + log_spent - weighted_log_all
        by_q = share @ both - mean_log_all - psi(q) + np.log(gamma)
        by_gamma = q / gamma - float(((p * count + q) / (gamma + spent)).mean())
        return float(terms + spread), np.array([by_p, by_q, by_gamma])

    return average


def _no_finite_mean(q: float) -> InputError:
    return InputError(
        "order values are spread so widely that their mean is infinite or above all that was seen"
        f" (q = {q:.2f}, it must be well above 1)",
        where=NAME,
        next_step="Look for wrong amounts, mixed currencies or a few huge orders, and leave them"
        " out",
    )


def _correlation(count: Vector, value: Vector) -> float:
    if np.ptp(count) == 0 or np.ptp(value) == 0:
        return 0.0
    return float(np.corrcoef(count, value)[0, 1])
