"""Segmentation of a million customers against scikit-learn alone on the ready matrix.

Each side runs in a process of its own, so that its memory is its own.
"""

import multiprocessing
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.pool import Pool

import numpy as np
import pandas as pd

from benchmarks import machine
from benchmarks.comparison import Comparison
from benchmarks.own_services import own_services
from benchmarks.target import Target
from insight.database import DatabaseEndpoint

CUSTOMERS = 1_000_000
_CLUSTERS = 5
_RUNS = 3
_MOST_SECONDS, _MOST_GIB = 10, 2


@dataclass(frozen=True)
class Measured:
    """One run of one side: seconds, and the most memory that its process ever had."""

    seconds: float
    peak_gib: float


@dataclass(frozen=True)
class Results:
    """All runs of both sides, in turn."""

    ours: tuple[Measured, ...]
    baseline: tuple[Measured, ...]

    @property
    def comparison(self) -> Comparison:
        return Comparison(
            "segmentation, to written labels",
            f"{CUSTOMERS:,} customers",
            statistics.median(each.seconds for each in self.ours),
            "KMeans fit, predict",
            statistics.median(each.seconds for each in self.baseline),
        )

    @property
    def targets(self) -> tuple[Target, ...]:
        """The slowest and the largest of our runs beside what is asked for."""
        what = f"{CUSTOMERS:,} customers, features to written labels"
        seconds = max(each.seconds for each in self.ours)
        memory = max(each.peak_gib for each in self.ours)
        return (
            Target(what, _MOST_SECONDS, seconds, at_most=True, unit=" s"),
            Target(f"{what}: memory", _MOST_GIB, memory, at_most=True, unit=" GiB"),
        )


def run() -> Results:
    """Measure both sides in turn, with a Postgres that is gone afterwards."""
    with own_services() as (services, _):
        return _measure(services.database)


def _measure(database: DatabaseEndpoint) -> Results:
    ours, baseline = [], []
    for _ in range(_RUNS):
        ours.append(_apart(_write_labels, database))
        baseline.append(_apart(_fit_and_predict))
    return Results(tuple(ours), tuple(baseline))


def _apart(side: Callable[..., Measured], *arguments: object) -> Measured:
    # A forked process would begin with our own peak.
    with Pool(1, context=multiprocessing.get_context("spawn")) as pool:
        return pool.apply(side, arguments)


def _write_labels(database: DatabaseEndpoint) -> Measured:
    """From the figures of each customer to labels that dbt reads, committed."""
    from insight.database import connect
    from ml_pipeline.export import seed_bytes
    from ml_pipeline.model import label_customers
    from ml_pipeline.results import CUSTOMER_SEGMENTS, create_tables, replace_with_csv
    from ml_pipeline.segmentation import train

    create_tables(database)
    rfm = customers(np.random.default_rng(2019))
    started = time.perf_counter()
    model = train(rfm, k=_CLUSTERS, sweep=False).model
    labels = seed_bytes(label_customers(model, rfm))
    with connect(database) as connection:
        replace_with_csv(connection, CUSTOMER_SEGMENTS, labels)
    return _since(started)


def _fit_and_predict() -> Measured:
    from sklearn.cluster import KMeans

    from ml_pipeline.features import fit_scaler, log_features

    logs = log_features(customers(np.random.default_rng(2019)))
    points = fit_scaler(logs).transform(logs)
    started = time.perf_counter()
    KMeans(_CLUSTERS, n_init=10, random_state=0).fit(points).predict(points)
    return _since(started)


def _since(started: float) -> Measured:
    seconds = time.perf_counter() - started
    return Measured(seconds, machine.peak_mib() / 1024)


def customers(rng: np.random.Generator, size: int = CUSTOMERS) -> pd.DataFrame:
    """Five groups shaped like those of the default data: days, orders and order value."""
    shapes = ((15, 50, 250), (60, 20, 200), (250, 8, 210), (130, 3, 900), (110, 4, 110))
    days, orders, value = np.array(shapes, dtype=float)[rng.integers(0, 5, size)].T
    frequency = np.maximum(1, np.round(orders * rng.lognormal(0, 0.4, size)))
    order_value = value * rng.lognormal(0, 0.4, size)
    return pd.DataFrame(
        {
            "customer_id": np.arange(size).astype(str),
            "recency_days": np.round(days * rng.lognormal(0, 0.5, size)).clip(1),
            "frequency": frequency,
            "monetary": (frequency * order_value).round(2),
            "average_order_value": order_value.round(2),
        }
    )
