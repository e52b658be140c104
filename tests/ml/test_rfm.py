"""RFM from sale lines: what counts, from which day, and how ties are scored."""

from collections.abc import Callable
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.errors import InputError
from ml_pipeline.features import fit_scaler, log_features, net_refunders
from ml_pipeline.rfm import (
    COLUMNS,
    day_after_newest,
    in_customer_order,
    rfm_from_sales,
    rfm_from_tills,
    rfm_from_totals,
    score_cut_points,
    score_rfm,
)

Rows = list[tuple[str, str, date, float]]


def _lines(rows: Rows) -> pd.DataFrame:
    return pd.DataFrame(
        rows, columns=["customer_id", "transaction_id", "transaction_date", "total_amount"]
    )


def _frame(frequency: list[int]) -> pd.DataFrame:
    return rfm_from_totals(
        pd.DataFrame(
            {
                "customer_id": [str(number) for number in range(len(frequency))],
                "recency_days": frequency,
                "frequency": frequency,
                "monetary": frequency,
            }
        )
    )


_SALES: Rows = [
    ("7", "t1", date(2019, 3, 1), 10.10),
    ("7", "t1", date(2019, 3, 1), 5.05),
    ("7", "t2", date(2019, 3, 30), 4.85),
    ("12", "t3", date(2019, 3, 31), 1.00),
    ("-1", "t4", date(2019, 3, 31), 99.00),
]


def test_orders_are_transactions_and_recency_counts_from_the_day_after_the_newest_sale() -> None:
    rfm = rfm_from_sales(_lines(_SALES))
    assert rfm.to_dict("list") == {
        "customer_id": ["7", "12"],
        "recency_days": [2, 1],
        "frequency": [2, 1],
        "monetary": [20.0, 1.0],
        "average_order_value": [10.0, 1.0],
    }


def test_sales_on_or_after_the_as_of_date_are_not_known_yet() -> None:
    rfm = rfm_from_sales(_lines(_SALES), as_of=date(2019, 3, 30))
    assert rfm[["customer_id", "recency_days", "frequency"]].values.tolist() == [["7", 29, 1]]


def test_old_sales_have_the_same_recency_on_any_day() -> None:
    lines = _lines(_SALES)
    assert day_after_newest(lines["transaction_date"]) == date(2019, 4, 1)
    explicit = rfm_from_sales(lines, as_of=date(2019, 4, 1))
    pd.testing.assert_frame_equal(rfm_from_sales(lines), explicit)


def test_no_sales_are_no_customers() -> None:
    rfm = rfm_from_sales(_lines([]))
    assert rfm.empty
    assert tuple(rfm.columns) == COLUMNS


@given(st.permutations(range(len(_SALES))))
def test_row_order_does_not_matter(order: list[int]) -> None:
    shuffled = _lines([_SALES[index] for index in order])
    pd.testing.assert_frame_equal(rfm_from_sales(shuffled), rfm_from_sales(_lines(_SALES)))


def test_ids_are_sorted_as_numbers_only_when_all_are_numbers() -> None:
    def sorted_ids(*ids: str) -> list[str]:
        return in_customer_order(pd.DataFrame({"customer_id": ids}))["customer_id"].tolist()

    assert sorted_ids("10", "9", "007") == ["007", "9", "10"]
    assert sorted_ids("10", "9", "NA") == ["10", "9", "NA"]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=80), st.randoms())
def test_scores_follow_the_values_and_not_the_rows(values: list[int], random: object) -> None:
    frame = _frame(values)
    scores = score_rfm(frame)
    by_value = scores.groupby(frame["frequency"])["frequency_score"]
    assert (by_value.nunique() == 1).all()
    assert by_value.first().is_monotonic_increasing
    assert scores["frequency_score"].between(1, 5).all()
    assert scores["recency_score"].groupby(frame["recency_days"]).first().is_monotonic_decreasing
    shuffled = frame.sample(frac=1, random_state=len(values))
    pd.testing.assert_frame_equal(score_rfm(shuffled).sort_index(), scores)


def test_distinct_values_are_scored_in_fifths() -> None:
    scores = score_rfm(_frame(list(range(1, 101))))
    assert scores["monetary_score"].value_counts().to_dict() == dict.fromkeys(range(1, 6), 20)


def test_sixty_of_a_hundred_equal_customers_have_the_lowest_score_and_the_next_has_four() -> None:
    scores = score_rfm(_frame([1] * 60 + list(range(2, 42))))
    assert set(scores["frequency_score"][:60]) == {1}
    assert scores["frequency_score"][60] == 4


def test_equal_customers_have_equal_scores() -> None:
    assert set(score_rfm(_frame([3] * 7))["frequency_score"]) == {1}
    assert score_rfm(_frame([3])).iloc[0].tolist() == ["0", 1, 1, 1]


def test_cut_points_are_empty_for_scores_that_ties_left_out() -> None:
    cut_points = score_cut_points(_frame([1] * 60 + list(range(2, 42))))
    assert cut_points["frequency"].to_numpy() == pytest.approx(
        [1, np.nan, np.nan, 2, 22], nan_ok=True
    )


def test_net_refunders_count_as_zero_and_are_known() -> None:
    rfm = rfm_from_sales(_lines([*_SALES, ("8", "t9", date(2019, 3, 2), -50.0)]))
    assert rfm["customer_id"][net_refunders(rfm)].tolist() == ["8"]
    logs = log_features(rfm)
    assert logs[1, 2:].tolist() == [0.0, 0.0]
    assert np.isfinite(logs).all()


def test_a_feature_without_spread_stays_at_zero() -> None:
    logs = log_features(_frame([4, 4, 4]))
    assert fit_scaler(logs).transform(logs) == pytest.approx(0.0, abs=1e-8)


def test_scaling_can_be_undone(population: Callable[..., pd.DataFrame]) -> None:
    logs = log_features(population())
    scaler = fit_scaler(logs)
    assert scaler.restore(scaler.transform(logs)) == pytest.approx(logs)


def _sales(*rows: tuple[str, str, date, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["transaction_id", "customer_id", "date_day", "amount"])


def _refunds(*rows: tuple[str, date, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["original_transaction_id", "date_day", "refund_amount"])


def test_at_the_tills_a_day_is_an_order_and_refunds_are_taken_off_the_buyer() -> None:
    rfm = rfm_from_tills(
        _sales(
            ("s1", "C1", date(2019, 3, 1), 10.10),
            ("s2", "C1", date(2019, 3, 1), 5.05),
            ("s3", "C1", date(2019, 3, 2), 1.00),
            ("s4", "C2", date(2019, 3, 31), 3.00),
        ),
        _refunds(
            ("s2", date(2019, 3, 2), 0.05),
            ("s4", date(2019, 3, 31), 4.00),
            ("gone", date(2019, 3, 31), 9.00),
            ("s1", date(2019, 4, 1), 10.10),
        ),
    )
    assert rfm.to_dict("list") == {
        "customer_id": ["C1", "C2"],
        "recency_days": [30, 1],
        "frequency": [2, 1],
        "monetary": [16.10, -1.0],
        "average_order_value": [8.05, -1.0],
    }


def test_no_sales_at_the_tills_are_no_customers() -> None:
    rfm = rfm_from_tills(_sales(), _refunds(("gone", date(2019, 3, 31), 9.00)))
    assert rfm.empty
    assert tuple(rfm.columns) == COLUMNS


@pytest.mark.parametrize(
    ("column", "value", "sentence"),
    [
        ("total_amount", np.nan, "RFM: total_amount is not a finite number. Correct"),
        ("total_amount", np.inf, "RFM: total_amount is not a finite number. Correct"),
        ("total_amount", "ten", "RFM: total_amount is not a finite number. Correct"),
        (
            "transaction_date",
            "31.12.",
            "RFM: transaction_date is not a date. Give each row the day",
        ),
        ("transaction_date", None, "RFM: transaction_date is not a date. Give each row the day"),
    ],
)
def test_a_line_that_cannot_be_counted_is_named(column: str, value: object, sentence: str) -> None:
    lines = _lines(_SALES).astype({column: object})
    lines.loc[1, column] = value
    with pytest.raises(InputError) as raised:
        rfm_from_sales(lines)
    assert str(raised.value).startswith(sentence)


@pytest.mark.parametrize(
    ("column", "value", "sentence"),
    [
        ("recency_days", np.nan, "RFM: recency_days is not a finite number. Correct"),
        ("monetary", -np.inf, "RFM: monetary is not a finite number. Correct"),
        ("frequency", "many", "RFM: frequency is not a finite number. Correct"),
        ("frequency", 0, "RFM: frequency is below 1. Leave out customers without an order"),
        ("customer_id", "1", "RFM: customer_id names a customer twice. Give one row a customer"),
    ],
)
def test_totals_that_are_none_are_named(column: str, value: object, sentence: str) -> None:
    totals = _frame([1, 2, 3]).astype({column: object})
    totals.loc[0, column] = value
    with pytest.raises(InputError) as raised:
        rfm_from_totals(totals)
    assert str(raised.value).startswith(sentence)


def test_money_may_be_negative() -> None:
    totals = _frame([1, 2, 3]).assign(monetary=[-5.0, 0.0, 5.0])
    assert score_rfm(rfm_from_totals(totals))["monetary_score"].tolist() == [1, 2, 4]
