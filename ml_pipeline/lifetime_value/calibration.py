"""Forecasts held against what happened: fitted up to a day, compared with the days after it."""

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BaseModel, ConfigDict
from scipy.stats import rankdata

from insight.errors import InputError
from ml_pipeline.lifetime_value.forecast import forecast
from ml_pipeline.lifetime_value.gamma_gamma import OrderValueModel, fit_order_values
from ml_pipeline.lifetime_value.maximum import Vector
from ml_pipeline.lifetime_value.purchase_model import (
    FAMILY_NAMES,
    Family,
    PurchaseModel,
    fit_purchases,
)

SHORTEST_HOLDOUT_DAYS = 7
# Lower ends of the groups of repeat purchases; the last is open.
_GROUPS = (0, 1, 2, 4, 7, 11, 21)
_TENTHS = 10


class _Measured(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FrequencyGroup(_Measured):
    """Customers with `at_least` to `at_most` (None: any more) repeat purchases before the holdout.

    `predicted` and `actual` are purchases a customer in it, `alive` the mean probability of it and
    `returned` the share who did buy.
    """

    at_least: int
    at_most: int | None
    customers: int
    predicted: float
    actual: float
    alive: float
    returned: float

    @property
    def label(self) -> str:
        """As in "2 to 3" or "21 and more"."""
        if self.at_most is None:
            return f"{self.at_least} and more"
        return (
            f"{self.at_least} to {self.at_most}"
            if self.at_most > self.at_least
            else str(self.at_least)
        )


class Tenth(_Measured):
    """A tenth of the customers by probability of a purchase, and the share who did buy."""

    customers: int
    predicted: float
    returned: float


class FamilyCalibration(_Measured):
    """What one model said of the holdout.

    Purchases and value are sums over the customers; the areas under the curve say how well each
    number ranks those who bought in the holdout above those who did not (0.5 is chance).
    """

    model: PurchaseModel
    log_likelihood: float
    predicted_purchases: float
    predicted_value: float | None
    absolute_error: float
    auc_expected_purchases: float | None
    auc_probability_of_purchase: float | None
    auc_probability_alive: float | None
    groups: tuple[FrequencyGroup, ...]
    tenths: tuple[Tenth, ...]


class Calibration(_Measured):
    """Both models against the same holdout, and the plain rule "who bought last comes back"."""

    holdout_days: int
    customers: int
    returned: int
    actual_purchases: int
    actual_value: float
    auc_last_purchase: float | None
    families: tuple[FamilyCalibration, ...]

    def of(self, family: Family) -> FamilyCalibration:
        """That of one family."""
        return next(each for each in self.families if each.model.family == family)


def choose_holdout_days(history_days: int, horizon_days: int) -> int:
    """As long as the horizon where the history is twice that, else half the history."""
    return min(horizon_days, history_days // 2)


def calibrate(before: pd.DataFrame, now: pd.DataFrame, holdout_days: int) -> Calibration:
    """Fit both families to the summary frame `before`, and compare with `now`, that of later.

    `now` counts from `holdout_days` after `before` and has all customers of it. Raises InputError
    for a holdout of less than a week, and when a model cannot be fitted to `before`.
    """
    if holdout_days < SHORTEST_HOLDOUT_DAYS:
        raise InputError(
            f"a holdout of {holdout_days} days is too short",
            where="calibration",
            next_step="It takes two weeks of orders at least",
        )
    later = _later(before, now)
    bought = later["purchases"].to_numpy(dtype=np.float64)
    values = _values_if_possible(before)
    silence = (before["age_days"] - before["recency_days"]).to_numpy(dtype=np.float64)
    return Calibration(
        holdout_days=holdout_days,
        customers=len(before),
        returned=int((bought > 0).sum()),
        actual_purchases=int(bought.sum()),
        actual_value=round(float(later["value"].sum()), 2),
        auc_last_purchase=area_under_curve(-silence, bought > 0),
        families=tuple(
            _judge(before, bought, family, values, holdout_days) for family in FAMILY_NAMES
        ),
    )


def area_under_curve(score: Vector, happened: npt.NDArray[np.bool_]) -> float | None:
    """Probability that one to whom it happened has the higher score (Mann-Whitney; ties half).

    Both of shape (customers,); None when it happened to all or to nobody.
    """
    positives, negatives = int(happened.sum()), int((~happened).sum())
    if not positives or not negatives:
        return None
    ranks = rankdata(score)[happened].sum()
    pairs = float(positives) * negatives
    return round(float(ranks - positives * (positives + 1) / 2) / pairs, 6)


def _later(before: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """Purchases and value in the holdout, in the order of `before`: the summaries' difference."""
    both = before.merge(now, on="customer_id", how="left", suffixes=("", "_now"))
    spent = [
        frame.where(count > 0, 0.0) * count
        for frame, count in (
            (both["mean_order_value_now"].fillna(0.0), both["frequency_now"]),
            (both["mean_order_value"].fillna(0.0), both["frequency"]),
        )
    ]
    return pd.DataFrame(
        {"purchases": both["frequency_now"] - both["frequency"], "value": spent[0] - spent[1]}
    )


def _values_if_possible(before: pd.DataFrame) -> OrderValueModel | None:
    try:
        return fit_order_values(before).model
    except InputError:
        # The purchases can be judged without them; the forecast itself says why there are none.
        return None


def _judge(
    before: pd.DataFrame,
    bought: Vector,
    family: Family,
    values: OrderValueModel | None,
    holdout_days: int,
) -> FamilyCalibration:
    fit = fit_purchases(before, family)
    said = forecast(before, fit.model, values, holdout_days)
    expected = said["expected_purchases"].to_numpy()
    chance = said["probability_of_purchase"].to_numpy()
    returned = bought > 0
    return FamilyCalibration(
        model=fit.model,
        log_likelihood=round(fit.log_likelihood, 3),
        predicted_purchases=round(float(expected.sum()), 3),
        predicted_value=None if values is None else round(float(said["expected_value"].sum()), 2),
        absolute_error=round(float(np.abs(expected - bought).mean()), 6),
        auc_expected_purchases=area_under_curve(expected, returned),
        auc_probability_of_purchase=area_under_curve(chance, returned),
        auc_probability_alive=area_under_curve(said["probability_alive"].to_numpy(), returned),
        groups=_by_frequency(said, bought),
        tenths=_by_chance(chance, returned),
    )


def _by_frequency(said: pd.DataFrame, bought: Vector) -> tuple[FrequencyGroup, ...]:
    place = np.searchsorted(_GROUPS, said["frequency"].to_numpy(), side="right") - 1
    ends: tuple[int | None, ...] = (*(start - 1 for start in _GROUPS[1:]), None)
    groups = []
    for number, (start, end) in enumerate(zip(_GROUPS, ends, strict=True)):
        members, later = said[place == number], bought[place == number]
        if len(members):
            groups.append(
                FrequencyGroup(
                    at_least=start,
                    at_most=end,
                    customers=len(members),
                    predicted=round(float(members["expected_purchases"].mean()), 6),
                    actual=round(float(later.mean()), 6),
                    alive=round(float(members["probability_alive"].mean()), 6),
                    returned=round(float((later > 0).mean()), 6),
                )
            )
    return tuple(groups)


def _by_chance(chance: Vector, returned: npt.NDArray[np.bool_]) -> tuple[Tenth, ...]:
    ranked = np.argsort(chance, kind="stable")
    return tuple(
        Tenth(
            customers=len(rows),
            predicted=round(float(chance[rows].mean()), 6),
            returned=round(float(returned[rows].mean()), 6),
        )
        for rows in np.array_split(ranked, _TENTHS)
        if len(rows)
    )
