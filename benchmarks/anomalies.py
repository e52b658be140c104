"""Anomalies of a year of minutes beside a rolling z-score and a rolling MAD of pandas."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd

from benchmarks.readme import table
from ml_pipeline.anomalies.evaluation import Evaluation, Planted, evaluate
from ml_pipeline.anomalies.learning import Choices
from ml_pipeline.anomalies.reasons import DROP, SPIKE
from ml_pipeline.anomalies.revenue import ProductSeries, product_series, seconds_of
from ml_pipeline.anomalies.scoring import Options, score_series
from streaming.polling import SEED
from streaming.simulators.anomalies import planted_anomalies
from streaming.simulators.arrivals import MINUTE, START, microseconds
from streaming.simulators.shop import PRODUCTS, sales_between

DAYS = 365
_SALES_A_DAY = 1500.0
_DAY = 1440
# The usual rule of thumb, and one strict enough for a year of minutes.
_FACTORS = (3.0, 6.0)
# Median absolute deviation to standard deviation of a normal distribution.
_MAD_TO_SD = 1.4826

Flags = Callable[[ProductSeries], Choices]


@dataclass(frozen=True)
class Contender:
    """A way to flag minutes: (T, P) of 1, 0 and -1."""

    name: str
    flags: Flags


def run(days: int = DAYS) -> str:
    """One line a contender: seconds, flagged minutes, precision and recall by kind."""
    series, planted = _shop(days)
    contenders = [Contender("ours", _ours)]
    for factor in _FACTORS:
        contenders += [_z_score(factor), _mad(factor)]
    rows = [_row(each, series, planted) for each in contenders]
    header = (
        "contender", "seconds", "flagged minutes", "spikes found", "spike alarms right",
        "drops found", "drop alarms right",
    )  # fmt: skip
    size = f"{len(series.products)} products, {len(series.minutes):,} minutes each"
    return f"{size}, {len(planted)} planted anomalies\n\n{table(header, rows)}"


def _shop(days: int) -> tuple[ProductSeries, list[Planted]]:
    end = START + timedelta(days=days)
    sales = sales_between(SEED, _SALES_A_DAY, microseconds(START), microseconds(end))
    frame = pd.DataFrame(
        {
            "product_id": np.array(PRODUCTS, dtype=object)[sales.product],
            "window_start": pd.to_datetime(sales.sold // MINUTE * 60, unit="s", utc=True),
            "revenue": sales.cents / 100,
        }
    )
    planted = planted_anomalies(SEED, START, end)
    return product_series(frame), [Planted(each.kind, each.first, each.last) for each in planted]


def _ours(series: ProductSeries) -> Choices:
    return score_series(seconds_of(series.minutes), series.values, Options(), step=60.0).direction


def _z_score(factor: float) -> Contender:
    def flags(series: ProductSeries) -> Choices:
        past = pd.DataFrame(series.values).shift(1).rolling(_DAY)
        return _beyond(series, past.mean(), past.std(), factor)

    return Contender(f"rolling z-score of a day, {factor:g} sd", flags)


def _mad(factor: float) -> Contender:
    def flags(series: ProductSeries) -> Choices:
        values = pd.DataFrame(series.values)
        median = values.shift(1).rolling(_DAY).median()
        spread = (values - median).abs().shift(1).rolling(_DAY).median() * _MAD_TO_SD
        return _beyond(series, median, spread, factor)

    return Contender(f"rolling MAD of a day, {factor:g} sd", flags)


def _beyond(
    series: ProductSeries, middle: pd.DataFrame, spread: pd.DataFrame, factor: float
) -> Choices:
    deviation = series.values - middle.to_numpy()
    limit = factor * spread.to_numpy()
    flags: Choices = np.where(
        np.abs(deviation) > limit, np.sign(np.nan_to_num(deviation)), 0
    ).astype(np.int8)
    return flags


def _row(contender: Contender, series: ProductSeries, planted: list[Planted]) -> tuple[str, ...]:
    started = time.perf_counter()
    direction = contender.flags(series)
    seconds = time.perf_counter() - started
    columns, rows = np.nonzero(direction.T)
    flagged = pd.DataFrame(
        {
            "series": np.array(series.products, dtype=object)[columns],
            "time": series.minutes[rows],
            "direction": np.where(direction[rows, columns] > 0, SPIKE, DROP),
        }
    )
    shares = [_share(each) for each in evaluate(flagged, series.products, planted)]
    return contender.name, f"{seconds:.1f}", f"{len(flagged):,}", *shares[0], *shares[1]


def _share(result: Evaluation) -> tuple[str, str]:
    return (
        f"{result.found} of {result.planted}",
        f"{result.right:,} of {result.alarms:,}",
    )
