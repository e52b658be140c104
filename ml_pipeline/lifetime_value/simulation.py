"""Customers whose parameters are known: to try the models on, and to see what they get right."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ml_pipeline.lifetime_value.gamma_gamma import OrderValueModel
from ml_pipeline.lifetime_value.maximum import Vector
from ml_pipeline.lifetime_value.purchase_model import PurchaseModel


@dataclass(frozen=True)
class SimulatedCustomers:
    """A summary frame, what each customer bought after its as-of date, and who was alive then."""

    summary: pd.DataFrame
    later_purchases: Vector
    is_alive: "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]"


def simulate_customers(
    purchases: PurchaseModel,
    values: OrderValueModel,
    *,
    customers: int,
    age_days: tuple[int, int] = (30, 365),
    later_days: int = 90,
    seed: int = 1,
) -> SimulatedCustomers:
    """Customers who behave as the models say, with ages between two days, both included.

    Times are not rounded to days, so the frame has fractions where real orders have none.
    """
    draw = np.random.default_rng(seed)
    age = draw.integers(age_days[0], age_days[1] + 1, customers).astype(np.float64)
    times = _PurchaseTimes(purchases, age, later_days, draw)
    while times.still_buying.any():
        times.next_purchase()
    value = _mean_values(values, times.frequency, draw)
    return SimulatedCustomers(
        summary=pd.DataFrame(
            {
                "customer_id": np.arange(customers).astype(str),
                "frequency": times.frequency.astype(np.int64),
                "recency_days": times.recency,
                "age_days": age,
                "mean_order_value": value,
            }
        ),
        later_purchases=times.later,
        is_alive=times.is_alive,
    )


class _PurchaseTimes:
    """All customers one purchase further at each step."""

    def __init__(
        self, model: PurchaseModel, age: Vector, later_days: int, draw: np.random.Generator
    ) -> None:
        count = len(age)
        rates = draw.gamma(model.r, 1.0 / model.alpha_days, count)
        # A rate of exactly 0 would make the wait for a purchase infinite.
        self._rates = np.maximum(rates, 1e-300)
        self._leaving = draw.beta(model.a, model.b, count)
        self._draw, self._age, self._end = draw, age, age + later_days
        self._now = np.zeros(count)
        self.frequency, self.recency, self.later = (np.zeros(count) for _ in range(3))
        self.is_alive = np.ones(count, dtype=bool)
        self.still_buying = np.ones(count, dtype=bool)
        if model.family == "mbg_nbd":
            self._leave(self.still_buying)

    def next_purchase(self) -> None:
        waits = self._draw.exponential(size=len(self._now)) / self._rates
        self._now = np.where(self.still_buying, self._now + waits, self._now)
        self.still_buying &= self._now <= self._end
        in_time = self.still_buying & (self._now <= self._age)
        self.frequency += in_time
        self.recency = np.where(in_time, self._now, self.recency)
        self.later += self.still_buying & ~in_time
        self._leave(in_time)
        self._leave(self.still_buying & ~in_time, after=True)

    def _leave(
        self, candidates: "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]", *, after: bool = False
    ) -> None:
        gone = candidates & (self._draw.random(len(self._now)) < self._leaving)
        self.still_buying = self.still_buying & ~gone
        if not after:
            self.is_alive = self.is_alive & ~gone


def _mean_values(values: OrderValueModel, frequency: Vector, draw: np.random.Generator) -> Vector:
    """The mean of n purchases of gamma(p, nu) is gamma(p n, nu n); NaN without a purchase."""
    nu = draw.gamma(values.q, 1.0 / values.gamma, len(frequency))
    count = np.maximum(frequency, 1.0)
    means = draw.gamma(values.p * count) / (nu * count)
    return np.where(frequency > 0, means, np.nan)
