"""Segmentation of a million customers against scikit-learn alone on the ready matrix."""

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans

from benchmarks.comparison import Comparison, compare
from ml_pipeline.features import fit_scaler, log_features
from ml_pipeline.model import label_customers
from ml_pipeline.segmentation import train

_CUSTOMERS = 1_000_000


def run() -> Comparison:
    """Features, five clusters, names and labels; the baseline only fits and predicts."""
    rfm = _customers(np.random.default_rng(2019))
    logs = log_features(rfm)
    points = fit_scaler(logs).transform(logs)

    def ours() -> object:
        return label_customers(train(rfm, k=5, sweep=False).model, rfm)

    def scikit_learn() -> object:
        return KMeans(5, n_init=10, random_state=0).fit(points).predict(points)

    return compare(
        "segmentation", f"{_CUSTOMERS:,} customers", ours, "KMeans fit, predict", scikit_learn
    )


def _customers(rng: np.random.Generator) -> pd.DataFrame:
    """Five groups shaped like those of the default data: days, orders and order value."""
    shapes = ((15, 50, 250), (60, 20, 200), (250, 8, 210), (130, 3, 900), (110, 4, 110))
    days, orders, value = np.array(shapes, dtype=float)[rng.integers(0, 5, _CUSTOMERS)].T
    frequency = np.maximum(1, np.round(orders * rng.lognormal(0, 0.4, _CUSTOMERS)))
    order_value = value * rng.lognormal(0, 0.4, _CUSTOMERS)
    return pd.DataFrame(
        {
            "customer_id": np.arange(_CUSTOMERS).astype(str),
            "recency_days": np.round(days * rng.lognormal(0, 0.5, _CUSTOMERS)).clip(1),
            "frequency": frequency,
            "monetary": (frequency * order_value).round(2),
            "average_order_value": order_value.round(2),
        }
    )
