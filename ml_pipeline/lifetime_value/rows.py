"""A forecast as the rows of ml.customer_lifetime_value."""

from collections.abc import Iterator, Sequence
from datetime import date

import numpy as np
import pandas as pd

from ml_pipeline.lifetime_value.purchase_model import Family

_SHARE_DECIMALS, _MONEY_DECIMALS = 6, 2


def rounded(forecasts: pd.DataFrame) -> pd.DataFrame:
    """The forecast frame with money to the cent, and the value that the rounded numbers make."""
    shares = ("expected_purchases", "probability_alive", "probability_of_purchase")
    money = ("mean_order_value", "expected_order_value")
    frame = forecasts.assign(
        **{name: np.round(forecasts[name], _SHARE_DECIMALS) for name in shares},
        **{name: np.round(forecasts[name], _MONEY_DECIMALS) for name in money},
    )
    value = frame["expected_purchases"] * frame["expected_order_value"]
    return frame.assign(expected_value=np.round(value, _MONEY_DECIMALS))


def rows_of(
    forecasts: pd.DataFrame, columns: Sequence[str], family: Family, horizon_days: int, as_of: date
) -> Iterator[Sequence[object]]:
    """One row a customer, in the order of `columns`; None where a number is missing."""
    frame = rounded(forecasts).assign(model=family, horizon_days=horizon_days, as_of_date=as_of)
    values = [
        column.astype(object).where(column.notna(), None).tolist()
        for _, column in frame[list(columns)].items()
    ]
    return zip(*values, strict=True)
