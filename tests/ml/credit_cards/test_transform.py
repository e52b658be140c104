"""Transform: which cells are numbers, what becomes of gaps, and the scaling."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.errors import InputError
from ml_pipeline.credit_cards.extract import LINE
from ml_pipeline.credit_cards.options import CUSTOMER, Missing, Scaling
from ml_pipeline.credit_cards.transform import (
    feature_names,
    fit_preparation,
    prepare,
    read_numbers,
)
from ml_pipeline.features import STORED_DECIMALS

ONE = ("BALANCE",)
amounts = st.lists(st.floats(0, 1e12), min_size=1, max_size=40)


def _text(**columns: list[str]) -> pd.DataFrame:
    count = len(next(iter(columns.values())))
    ids = [f"C{number}" for number in range(count)]
    return pd.DataFrame({LINE: range(2, count + 2), CUSTOMER: ids, **columns})


def _numbers(values: list[float | None]) -> pd.DataFrame:
    ids = [f"C{number}" for number in range(len(values))]
    return pd.DataFrame({CUSTOMER: ids, "BALANCE": np.array(values, dtype=float)})


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("abc", "column BALANCE: 'abc' is not a number such as 1234.5. Correct the cell, or leave"),
        ("nan", "column BALANCE: 'nan' is not a number"),
        ("inf", "column BALANCE: 'inf' is not a number"),
        ("-Infinity", "column BALANCE: '-Infinity' is not a number"),
        ("1,000", "column BALANCE: '1,000' is not a number"),
        ("1_000", "column BALANCE: '1_000' is not a number"),
        ("$5", "column BALANCE: '$5' is not a number"),
        ("1e999", "column BALANCE: '1e999' is beyond 1e+15"),
        ("-0.01", "column BALANCE: '-0.01' is negative, and the scaling by logarithm takes"),
    ],
)
def test_a_cell_that_is_no_amount_is_told_with_line_and_column(cell: str, why: str) -> None:
    customers = _text(BALANCE=["1", "", cell, "7"])
    with pytest.raises(InputError) as caught:
        read_numbers(customers, ONE, Scaling.log, "cards.csv")
    assert str(caught.value).startswith(f"cards.csv:4: {why}")


def test_the_first_bad_cell_of_the_file_is_told_and_the_others_counted() -> None:
    customers = _text(BALANCE=["x", "y", "z"]).assign(**{LINE: [9, 4, 7]})
    with pytest.raises(InputError, match=r"cards\.csv:4: column BALANCE: 'y' .*\(and 2 more\)"):
        read_numbers(customers, ONE, Scaling.log, "cards.csv")


@given(st.floats(-1e15, 1e15))
def test_a_number_is_read_as_python_writes_it(value: float) -> None:
    read = read_numbers(_text(BALANCE=[repr(value)]), ONE, Scaling.standard, "cards.csv")
    assert read["BALANCE"].tolist() == [value]


def test_a_column_that_is_no_feature_may_hold_anything() -> None:
    customers = _text(BALANCE=["1"], NOTE=["abc"])
    assert read_numbers(customers, ONE, Scaling.log, "cards.csv")["BALANCE"].tolist() == [1.0]


def test_an_unknown_feature_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InputError) as caught:
        read_numbers(_text(BALANCE=["1"], TENURE=["2"]), ("SALARY",), Scaling.log, "cards.csv")
    assert str(caught.value) == (
        "cards.csv:1: has no column SALARY. Choose features among BALANCE, TENURE"
    )


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ([], "empty"),
        (["BALANCE", " "], "empty name"),
        (["BALANCE", "balance"], "BALANCE is named twice"),
        (["cust_id"], "CUST_ID is the customer's id"),
    ],
)
def test_a_list_that_names_no_features_is_refused(asked: list[str], why: str) -> None:
    with pytest.raises(InputError, match=why):
        feature_names(asked)


def test_customers_with_a_gap_are_left_out_or_get_the_median() -> None:
    numbers = _numbers([1.0, None, 3.0, 8.0])
    dropped = prepare(numbers, fit_preparation(numbers, ONE, Missing.drop, Scaling.standard))
    assert list(dropped[CUSTOMER]) == ["C0", "C2", "C3"]
    filled = fit_preparation(numbers, ONE, Missing.median, Scaling.standard)
    assert filled.medians == (3.0,)
    assert filled.mean == (3.75,)
    scaled = prepare(numbers, filled)
    assert list(scaled[CUSTOMER]) == ["C0", "C1", "C2", "C3"]
    assert scaled["BALANCE"][1] == scaled["BALANCE"][2]


def test_others_get_the_medians_and_the_scale_of_the_training() -> None:
    preparation = fit_preparation(_numbers([0.0, 2.0, 10.0]), ONE, Missing.median, Scaling.standard)
    scaled = prepare(_numbers([None, 4.0]), preparation)
    assert scaled["BALANCE"].tolist() == pytest.approx(
        [(2.0 - 4.0) / preparation.scale[0], 0.0], abs=1e-9
    )


def test_gaps_that_leave_nothing_are_told() -> None:
    numbers = _numbers([None, None])
    with pytest.raises(InputError, match="no customer has a value in each of BALANCE"):
        fit_preparation(numbers, ONE, Missing.drop, Scaling.log)
    with pytest.raises(InputError, match="no customer has a value in BALANCE: it has no median"):
        fit_preparation(numbers, ONE, Missing.median, Scaling.log)


@given(amounts, st.sampled_from(Scaling))
def test_scaled_features_have_mean_zero_and_the_order_of_the_amounts(
    values: list[float], scaling: Scaling
) -> None:
    numbers = _numbers(list(values))
    preparation = fit_preparation(numbers, ONE, Missing.drop, scaling)
    scaled = prepare(numbers, preparation)["BALANCE"].to_numpy()
    assert np.isfinite(scaled).all()
    assert (np.diff(scaled[np.argsort(values, kind="stable")]) >= 0).all()
    if np.ptp(scaled) > 1e-3 and preparation.scale[0] > 1e-3 * abs(preparation.mean[0]):
        # Mean and deviation are kept with so many decimals, which shows where amounts are close.
        rounding = 10.0**-STORED_DECIMALS / preparation.scale[0]
        assert scaled.mean() == pytest.approx(0, abs=1e-6 + rounding)
        assert scaled.std() == pytest.approx(1, abs=1e-6 + rounding)
