"""Transform: cells into numbers, missing ones treated, all scaled for K-means."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from insight.errors import InputError
from ml_pipeline.credit_cards.extract import LINE
from ml_pipeline.credit_cards.options import CUSTOMER, Missing, Scaling
from ml_pipeline.features import STORED_DECIMALS, Matrix

# A decimal point, no thousands separators, no words: "nan" and "inf" are words here.
_NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?"
# Squares of larger ones leave the range in which sums are exact enough.
LARGEST_NUMBER = 1e15


class Preparation(BaseModel):
    """How numbers become what K-means sees, in the order of `features`.

    `medians` is in the file's units and empty unless they fill gaps; `mean` and `scale` are in
    those of the scaling.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: tuple[str, ...]
    missing: Missing
    medians: tuple[float, ...]
    scaling: Scaling
    mean: tuple[float, ...]
    scale: tuple[float, ...]


def feature_names(asked: Iterable[str]) -> tuple[str, ...]:
    """Names as the extract has them. Raises InputError for none, one twice, or CUST_ID."""
    names = tuple(name.strip().upper() for name in asked)
    if not names or "" in names:
        raise InputError(
            "the list of features is empty or has an empty name",
            next_step="Name columns of the file, for instance BALANCE,PURCHASES",
        )
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"the feature {twice} is named twice", next_step="Name it once")
    if CUSTOMER in names:
        raise InputError(
            f"{CUSTOMER} is the customer's id, not a feature", next_step="Name columns of numbers"
        )
    return names


def read_numbers(
    customers: pd.DataFrame, features: Sequence[str], scaling: Scaling, source: str
) -> pd.DataFrame:
    """CUST_ID and each feature as a float, NaN where the cell is empty.

    Raises InputError with file, line and column for an unknown feature, text in a number, NaN, an
    infinite or huge number, and for a negative one that has no logarithm.
    """
    _check_columns(customers, features, source)
    columns = {name: _numbers(customers, name, source) for name in features}
    if scaling is Scaling.log:
        for name, values in columns.items():
            _refuse(
                customers, name, values < 0, source,
                "is negative, and the scaling by logarithm takes amounts of zero or more",
                "Correct the cell, or use the scaling `standard`, which takes negative ones",
            )  # fmt: skip
    return pd.DataFrame({CUSTOMER: customers[CUSTOMER], **columns})


def fit_preparation(
    numbers: pd.DataFrame, features: tuple[str, ...], missing: Missing, scaling: Scaling
) -> Preparation:
    """Medians, means and standard deviations of the customers that are trained on.

    A feature without spread keeps scale 1. Raises InputError when the gaps leave no customer.
    """
    medians = _medians(numbers, features) if missing is Missing.median else ()
    values = fill_gaps(numbers, features, missing, medians)
    if values.empty:
        raise InputError(
            f"no customer has a value in each of {', '.join(features)}",
            next_step="Use the missing-values rule `median`, or other features",
        )
    units = _in_units(values, features, scaling)
    mean = np.round(units.mean(axis=0), STORED_DECIMALS)
    scale = np.round(units.std(axis=0), STORED_DECIMALS)
    return Preparation(
        features=features,
        missing=missing,
        medians=medians,
        scaling=scaling,
        mean=tuple(mean.tolist()),
        scale=tuple(np.where(scale > 0, scale, 1.0).tolist()),
    )


def fill_gaps(
    numbers: pd.DataFrame, features: Sequence[str], missing: Missing, medians: Sequence[float]
) -> pd.DataFrame:
    """The customers without gaps: those with one are left out, or get the medians."""
    if missing is Missing.drop:
        return numbers.dropna(subset=list(features)).reset_index(drop=True)
    return numbers.fillna(dict(zip(features, medians, strict=True)))


def prepare(numbers: pd.DataFrame, preparation: Preparation) -> pd.DataFrame:
    """The same customers as `fill_gaps` leaves, each feature in standard deviations."""
    features = list(preparation.features)
    values = fill_gaps(numbers, features, preparation.missing, preparation.medians)
    units = _in_units(values, features, preparation.scaling)
    scaled = (units - np.array(preparation.mean)) / np.array(preparation.scale)
    return pd.concat(
        [values[[CUSTOMER]], pd.DataFrame(scaled, columns=features, index=values.index)], axis=1
    )


def _in_units(values: pd.DataFrame, features: Sequence[str], scaling: Scaling) -> Matrix:
    amounts: Matrix = values[list(features)].to_numpy(dtype=np.float64)
    if scaling is Scaling.log:
        logs: Matrix = np.log1p(amounts)
        return logs
    return amounts


def _medians(numbers: pd.DataFrame, features: Sequence[str]) -> tuple[float, ...]:
    medians = numbers[list(features)].median()
    if medians.isna().any():
        raise InputError(
            f"no customer has a value in {medians.index[medians.isna()][0]}: it has no median",
            next_step="Choose other features",
        )
    return tuple(float(value) for value in medians)


def _check_columns(customers: pd.DataFrame, features: Sequence[str], source: str) -> None:
    known = [name for name in customers.columns if name not in (LINE, CUSTOMER)]
    if unknown := [name for name in features if name not in known]:
        raise InputError(
            f"has no column {', '.join(unknown)}",
            where=f"{source}:1",
            next_step=f"Choose features among {', '.join(known) or 'its columns: there are none'}",
        )


def _numbers(customers: pd.DataFrame, name: str, source: str) -> "pd.Series[float]":
    cells = customers[name]
    empty = cells == ""
    _refuse(
        customers, name, ~(empty | cells.str.fullmatch(_NUMBER)), source,
        "is not a number such as 1234.5",
        "Correct the cell, or leave it empty when the value is not known",
    )  # fmt: skip
    values = cells.where(~empty, "nan").astype(float)
    _refuse(
        customers, name, values.abs() > LARGEST_NUMBER, source,
        f"is beyond {LARGEST_NUMBER:g}, the largest amount that is taken",
        "Correct the cell, or leave it empty when the value is not known",
    )  # fmt: skip
    return values


def _refuse(
    customers: pd.DataFrame,
    name: str,
    bad: "pd.Series[bool]",
    source: str,
    why: str,
    next_step: str,
) -> None:
    if not bad.any():
        return
    first = customers[bad].sort_values(LINE).iloc[0]
    others = int(bad.sum()) - 1
    also = f" (and {others:,} more)" if others else ""
    raise InputError(
        f"column {name}: {str(first[name])[:60]!r} {why}{also}",
        where=f"{source}:{first[LINE]}",
        next_step=next_step,
    )
