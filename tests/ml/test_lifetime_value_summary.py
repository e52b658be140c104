"""Purchases from orders, and what is refused as an input of the lifetime value models."""

from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insight.errors import InputError
from ml_pipeline.lifetime_value.gamma_gamma import fit_order_values
from ml_pipeline.lifetime_value.purchase_model import fit_purchases
from ml_pipeline.lifetime_value.summary import COLUMNS, check_summary, summarise_orders

AS_OF = date(2020, 1, 1)
Order = tuple[str, date, float]

_ORDERS = st.lists(
    st.tuples(
        st.sampled_from(["7", "12", "b", "-1"]),
        st.dates(date(2019, 1, 1), date(2020, 3, 1)),
        st.integers(0, 100_000).map(lambda cents: cents / 100),
    )
)


def _orders(rows: list[Order]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["customer_id", "order_date", "net_sales_amount"])


def _summary(**columns: object) -> pd.DataFrame:
    """Three customers who are as they should be, with other columns where given."""
    return pd.DataFrame(
        {
            "customer_id": ["a", "b", "c"],
            "frequency": [0, 1, 4],
            "recency_days": [0, 10, 90],
            "age_days": [100, 100, 100],
            "mean_order_value": [np.nan, 20.0, 30.0],
            **columns,
        }
    )


def test_orders_of_one_day_are_one_purchase_and_the_first_has_no_part_in_the_mean() -> None:
    summary = summarise_orders(
        _orders(
            [
                ("a", date(2019, 12, 1), 500.0),
                ("a", date(2019, 12, 11), 10.0),
                ("a", date(2019, 12, 11), 20.0),
                ("a", date(2019, 12, 21), 50.0),
                ("b", date(2019, 12, 31), 5.0),
            ]
        ),
        as_of=AS_OF,
    )
    assert tuple(summary.columns) == COLUMNS
    assert summary.iloc[0].tolist() == ["a", 2, 20, 31, 40.0]
    assert summary.iloc[1].tolist()[:4] == ["b", 0, 0, 1]
    assert np.isnan(summary.iloc[1]["mean_order_value"])


def test_orders_from_the_as_of_date_on_and_of_the_unknown_customer_do_not_count() -> None:
    rows = [("a", date(2019, 12, 1), 1.0), ("a", AS_OF, 1.0), ("-1", date(2019, 12, 1), 1.0)]
    summary = summarise_orders(_orders(rows), as_of=AS_OF)
    assert summary["customer_id"].tolist() == ["a"]
    assert summary["frequency"].tolist() == [0]


@settings(max_examples=40, deadline=None)
@given(_ORDERS, st.randoms())
def test_any_row_order_gives_the_same_summary_of_possible_histories(
    rows: list[Order], shuffle: object
) -> None:
    summary = summarise_orders(_orders(rows), as_of=AS_OF)
    shuffle.shuffle(rows)  # type: ignore[attr-defined]
    pd.testing.assert_frame_equal(summarise_orders(_orders(rows), as_of=AS_OF), summary)
    if len(summary):
        check_summary(summary)


@settings(max_examples=40, deadline=None)
@given(_ORDERS)
def test_the_summary_is_what_a_plain_loop_counts(rows: list[Order]) -> None:
    days: dict[str, dict[date, float]] = {}
    for customer, day, amount in rows:
        if customer != "-1" and day < AS_OF:
            of_customer = days.setdefault(customer, {})
            of_customer[day] = of_customer.get(day, 0.0) + amount
    summary = summarise_orders(_orders(rows), as_of=AS_OF).set_index("customer_id")
    assert set(summary.index) == set(days)
    for customer, amounts in days.items():
        found, ordered = summary.loc[customer], sorted(amounts)
        between = sum((later - earlier).days for earlier, later in pairwise(ordered))
        assert found["frequency"] == len(ordered) - 1
        assert found["recency_days"] == between
        assert found["age_days"] == (AS_OF - ordered[0]) / timedelta(days=1)
        if len(ordered) > 1:
            mean = sum(amounts[day] for day in ordered[1:]) / (len(ordered) - 1)
            assert found["mean_order_value"] == pytest.approx(mean)


@pytest.mark.parametrize(
    ("amount", "problem"),
    [
        ("12,50", "customer b: net_sales_amount is text, not a number: '12,50'"),
        (np.nan, "net_sales_amount is missing"),
        (None, "net_sales_amount is missing"),
        (np.inf, "net_sales_amount is infinite"),
        (-0.01, "net_sales_amount is negative"),
    ],
)
def test_an_order_with_a_bad_amount_is_named(amount: object, problem: str) -> None:
    orders = _orders([("a", date(2019, 5, 1), 1.0), ("b", date(2019, 5, 1), 2.0)])
    orders["net_sales_amount"] = [1.0, amount]
    with pytest.raises(InputError, match=problem) as refused:
        summarise_orders(orders, as_of=AS_OF)
    assert refused.value.next_step


def test_an_order_without_a_day_is_named() -> None:
    orders = pd.DataFrame({"customer_id": ["a"], "order_date": ["soon"], "net_sales_amount": [1.0]})
    with pytest.raises(InputError, match=r"order_date is not a day: 'soon'. Write days as"):
        summarise_orders(orders, as_of=AS_OF)


def test_the_right_summary_is_accepted() -> None:
    check_summary(_summary())


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"customer_id": ["a", "b", "b"]}, "customer b: customer_id stands twice: 'b'"),
        ({"frequency": [0, "many", 4]}, "customer b: frequency is text, not a number: 'many'"),
        ({"frequency": ["0", "1", "4"]}, r"is text, not a number: '0' \(and 2 rows more\)"),
        ({"frequency": [0, np.nan, 4]}, "frequency is missing"),
        ({"frequency": [0, 1.5, 4]}, "frequency is no count"),
        ({"frequency": [0, -1, -2]}, r"frequency is no count: -1 \(and 1 rows more\)"),
        ({"frequency": [0, np.inf, 4]}, "frequency is infinite"),
        ({"frequency": [1, 1, 4]}, "recency_days does not fit the frequency"),
        ({"recency_days": [0, -1, 90]}, "recency_days is negative"),
        ({"recency_days": [0, 10, 101]}, "customer c: recency_days is above age_days: 101"),
        ({"recency_days": [0, 0, 90]}, "recency_days does not fit the frequency"),
        ({"age_days": [0, 100, 100]}, "age_days is not above 0"),
        ({"age_days": [100, "?", 100]}, "age_days is text, not a number"),
        ({"mean_order_value": [np.nan, np.nan, 30.0]}, "customer b: mean_order_value is missing"),
        ({"mean_order_value": [np.nan, -20.0, 30.0]}, "mean_order_value is negative: -20.0. Take"),
        ({"mean_order_value": [np.nan, np.inf, 30.0]}, "mean_order_value is infinite"),
        ({"mean_order_value": [np.nan, "1.000,-", 30.0]}, "mean_order_value is text, not a number"),
    ],
)
def test_a_summary_that_cannot_be_is_refused_by_every_fit(
    columns: dict[str, list[object]], problem: str
) -> None:
    summary = _summary(**columns)
    with pytest.raises(InputError, match=problem) as refused:
        fit_purchases(summary, "mbg_nbd")
    assert refused.value.next_step
    with pytest.raises(InputError, match=problem):
        fit_order_values(summary)


def test_no_customers_and_missing_columns_are_refused() -> None:
    with pytest.raises(InputError, match=r"there are no customers. Give it one row a customer"):
        fit_purchases(_summary()[:0], "bg_nbd")
    with pytest.raises(InputError, match=r"has no column age_days. It needs customer_id, "):
        fit_purchases(_summary().drop(columns="age_days"), "bg_nbd")
    with pytest.raises(InputError, match="orders: has no column order_date"):
        summarise_orders(pd.DataFrame({"customer_id": []}), as_of=AS_OF)
