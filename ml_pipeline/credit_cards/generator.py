"""The default data: generated card customers in the shape of the published file.

Five kinds of customers are mixed; amounts are log-normal, so that they are as skewed as real ones.
Nobody in it exists.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_pipeline.credit_cards.options import CUSTOMER

CUSTOMERS, TEST_CUSTOMERS = 8950, 10
SEED, TEST_SEED = 7, 8
_MOST = 12
Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Kind:
    """Share of the customers, medians of the amounts, and how many buy and draw cash at all."""

    share: float
    balance: float
    one_off: float
    installments: float
    cash: float
    limit: float
    buys: float
    draws: float
    pays_in_full: float


_KINDS = (
    _Kind(0.29, 120, 350, 400, 300, 3000, 1.0, 0.08, 0.40),
    _Kind(0.25, 1800, 450, 350, 900, 3200, 0.97, 0.45, 0.04),
    _Kind(0.27, 2100, 80, 80, 1600, 3200, 0.30, 0.95, 0.02),
    _Kind(0.12, 40, 80, 80, 200, 2000, 0.75, 0.25, 0.12),
    _Kind(0.07, 3800, 3000, 1600, 1500, 9500, 1.0, 0.25, 0.30),
)


def generate_customers(
    count: int = CUSTOMERS, *, seed: int = SEED, first_id: int = 10_001
) -> pd.DataFrame:
    """`count` customers in the 18 columns of the published file; the same for the same seed."""
    draw = np.random.default_rng(seed)
    kinds = draw.choice(len(_KINDS), size=count, p=[kind.share for kind in _KINDS])
    tenure = np.where(draw.random(count) < 0.85, _MOST, draw.integers(6, _MOST, count))
    limit = _limits(draw, _of(kinds, "limit"))
    buys = draw.random(count) < _of(kinds, "buys")
    at_once, later = draw.random(count) < 0.64, draw.random(count) < 0.7
    one_off = _amounts(draw, _of(kinds, "one_off"), 1.15, buys & (at_once | ~later))
    parts = _amounts(draw, _of(kinds, "installments"), 1.0, buys & later)
    cash = _amounts(draw, _of(kinds, "cash"), 1.05, draw.random(count) < _of(kinds, "draws"))
    balance = np.minimum(
        _amounts(draw, _of(kinds, "balance"), 0.95, draw.random(count) < 0.991), limit * 1.2
    )
    payments = (0.3 * balance + one_off + parts + 0.6 * cash) * np.exp(draw.normal(0, 0.6, count))
    in_full = np.where(draw.random(count) < 2 * _of(kinds, "pays_in_full"), draw.random(count), 0)
    one_off_share = _shares(draw, one_off, 250)
    parts_share = _shares(draw, parts, 120)
    cash_share = _shares(draw, cash, 1500)
    frame = pd.DataFrame(
        {
            CUSTOMER: [f"C{number}" for number in range(first_id, first_id + count)],
            "BALANCE": balance.round(6),
            "BALANCE_FREQUENCY": np.where(balance > 0, 1 - draw.beta(0.4, 3, count), 0).round(6),
            "PURCHASES": (one_off.round(2) + parts.round(2)).round(2),
            "ONEOFF_PURCHASES": one_off.round(2),
            "INSTALLMENTS_PURCHASES": parts.round(2),
            "CASH_ADVANCE": cash.round(6),
            "PURCHASES_FREQUENCY": _months(np.maximum(one_off_share, parts_share), tenure),
            "ONEOFF_PURCHASES_FREQUENCY": _months(one_off_share, tenure),
            "PURCHASES_INSTALLMENTS_FREQUENCY": _months(parts_share, tenure),
            "CASH_ADVANCE_FREQUENCY": _months(cash_share, tenure),
            "CASH_ADVANCE_TRX": np.ceil(cash_share * tenure * draw.lognormal(0.3, 0.5, count)),
            "PURCHASES_TRX": np.ceil(
                (one_off_share + parts_share) * tenure * draw.lognormal(0.5, 0.5, count)
            ),
            "CREDIT_LIMIT": limit,
            "PAYMENTS": payments.round(6),
            "MINIMUM_PAYMENTS": (
                np.maximum(20, 0.25 * balance) * draw.lognormal(0, 0.5, count)
            ).round(6),
            "PRC_FULL_PAYMENT": in_full.round(6),
            "TENURE": tenure,
        }
    )
    return _with_gaps(draw, frame)


def _of(kinds: npt.NDArray[np.int64], name: str) -> Values:
    return np.array([getattr(kind, name) for kind in _KINDS], dtype=np.float64)[kinds]


def _amounts(
    draw: np.random.Generator, median: Values, spread: float, has_any: npt.NDArray[np.bool_]
) -> Values:
    amounts: Values = np.where(has_any, median * draw.lognormal(0, spread, len(median)), 0.0)
    return amounts


def _limits(draw: np.random.Generator, median: Values) -> Values:
    """Limits are round numbers, from 500 to 30,000."""
    limits = median * draw.lognormal(0, 0.65, len(median))
    rounded: Values = np.clip(np.round(limits / 500) * 500, 500, 30_000)
    return rounded


def _shares(draw: np.random.Generator, amounts: Values, half_at: float) -> Values:
    """In which share of the months something was spent: more of them with larger amounts."""
    shares: Values = np.clip(
        amounts / (amounts + half_at) + draw.normal(0, 0.2, len(amounts)), 0.05, 1
    )
    return np.where(amounts > 0, shares, 0.0)


def _months(share: Values, tenure: npt.NDArray[np.int64]) -> Values:
    months: Values = (np.ceil(share * tenure) / tenure).round(6)
    return months


def _with_gaps(draw: np.random.Generator, frame: pd.DataFrame) -> pd.DataFrame:
    """Some minimum payments are not known and, of many customers, one credit limit."""
    frame.loc[draw.random(len(frame)) < 0.035, "MINIMUM_PAYMENTS"] = np.nan
    if len(frame) > TEST_CUSTOMERS:
        frame.loc[draw.integers(len(frame)), "CREDIT_LIMIT"] = np.nan
    return frame.astype({"CASH_ADVANCE_TRX": int, "PURCHASES_TRX": int})
