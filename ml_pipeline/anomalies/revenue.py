"""Revenue by product and minute: from the minutes with sales to scored series without gaps."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ml_pipeline.anomalies.reasons import flagged_rows
from ml_pipeline.anomalies.scoring import Options, Scores, score_series
from ml_pipeline.anomalies.tails import Floats

MINUTE = 60.0


@dataclass(frozen=True)
class ProductSeries:
    """Revenue in dollars, `values` (T, P), of `products` at each of T minutes; NaN before life."""

    products: tuple[str, ...]
    minutes: pd.DatetimeIndex
    values: Floats


def product_series(sold: pd.DataFrame) -> ProductSeries:
    """Series of `sold` (product_id, window_start in UTC, revenue), a row a minute with sales.

    Other minutes are 0 from a product's first sale up to the newest minute of all products: a
    product that is not sold any more drops, it does not end.
    """
    products, column = np.unique(sold["product_id"].to_numpy(dtype=object), return_inverse=True)
    if not len(sold):
        return ProductSeries((), pd.DatetimeIndex([], tz="UTC"), np.zeros((0, 0)))
    start = sold["window_start"].min()
    row = ((sold["window_start"] - start) // pd.Timedelta(minutes=1)).to_numpy(dtype=np.int64)
    values = np.zeros((int(row.max()) + 1, len(products)))
    np.add.at(values, (row, column), sold["revenue"].to_numpy(dtype=float))
    begins = np.full(len(products), len(values))
    np.minimum.at(begins, column, row)
    values[np.arange(len(values))[:, None] < begins] = np.nan
    minutes = pd.date_range(start, periods=len(values), freq="min")
    return ProductSeries(tuple(products.tolist()), minutes, values)


def score_products(series: ProductSeries, options: Options) -> tuple[Scores, pd.DataFrame]:
    """The scores, and the flagged minutes as `reasons.flagged_rows` gives them."""
    scores = score_series(seconds_of(series.minutes), series.values, options, step=MINUTE)
    rows = flagged_rows(series.products, series.minutes, series.values, scores, MINUTE)
    return scores, rows


def seconds_of(times: pd.DatetimeIndex) -> Floats:
    """Seconds since 1970."""
    seconds: Floats = times.as_unit("us").asi8 / 1e6
    return seconds
