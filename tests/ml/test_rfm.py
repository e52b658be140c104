"""RFM from sale lines: what counts, from which day, and how ties are scored."""

from collections.abc import Callable
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_pipeline.features import fit_scaler, log_features, net_refunders
from ml_pipeline.rfm import (
    COLUMNS,
    day_after_newest,
    in_customer_order,
    rfm_from_sales,
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
