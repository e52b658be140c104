"""What is expected of each customer in the next days: a forecast frame of one row a customer.

It has the columns of the summary frame and those of `FORECAST_COLUMNS`:

- `expected_purchases` in the horizon;
- `probability_alive`: that the customer has not left for good;
- `probability_of_purchase`: of at least one purchase in the horizon. Rank churn by this one;
- `expected_order_value` of a purchase, and `expected_value` of all in the horizon; NaN when order
  values could not be modelled.
"""

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from ml_pipeline.lifetime_value.gamma_gamma import OrderValueModel, expected_order_value
from ml_pipeline.lifetime_value.purchase_model import (
    PurchaseModel,
    expected_purchases,
    probability_alive,
    probability_of_a_purchase,
)
from ml_pipeline.lifetime_value.summary import history_of

FORECAST_COLUMNS = (
    "expected_purchases",
    "probability_alive",
    "probability_of_purchase",
    "expected_order_value",
    "expected_value",
)
_FIFTHS = 5


class Fifth(BaseModel):
    """A fifth of the customers by expected value, the first the most valuable one; sums.

    `expected_value` is None when order values could not be modelled.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    customers: int
    expected_purchases: float
    likely_to_return: float
    expected_value: float | None


def forecast(
    summary: pd.DataFrame,
    purchases: PurchaseModel,
    values: OrderValueModel | None,
    horizon_days: float,
) -> pd.DataFrame:
    """Forecast frame of a summary frame, in its order. Value is revenue, not discounted."""
    history = history_of(summary)
    expected = expected_purchases(purchases, *history, horizon_days)
    worth = _order_values(summary, values)
    return summary.assign(
        expected_purchases=expected,
        probability_alive=probability_alive(purchases, *history),
        probability_of_purchase=probability_of_a_purchase(purchases, *history, horizon_days),
        expected_order_value=worth,
        expected_value=expected * worth,
    )


def by_fifths(forecasts: pd.DataFrame) -> tuple[Fifth, ...]:
    """The customers in fifths, the most valuable first; by purchases when there are no values."""
    has_values = forecasts["expected_value"].notna().all()
    ranked_by = "expected_value" if has_values else "expected_purchases"
    ranked = forecasts.sort_values(ranked_by, ascending=False, kind="stable")
    places = np.array_split(np.arange(len(ranked)), _FIFTHS)
    return tuple(_fifth(ranked.iloc[rows]) for rows in places if len(rows))


def _fifth(members: pd.DataFrame) -> Fifth:
    value = members["expected_value"]
    return Fifth(
        customers=len(members),
        expected_purchases=round(float(members["expected_purchases"].sum()), 4),
        likely_to_return=round(float(members["probability_of_purchase"].sum()), 4),
        expected_value=round(float(value.sum()), 2) if value.notna().all() else None,
    )


def _order_values(summary: pd.DataFrame, values: OrderValueModel | None) -> "pd.Series[float]":
    if values is None:
        return pd.Series(np.nan, index=summary.index)
    return pd.Series(
        expected_order_value(
            values,
            summary["frequency"].to_numpy(dtype=np.float64),
            summary["mean_order_value"].to_numpy(dtype=np.float64),
        ),
        index=summary.index,
    )
