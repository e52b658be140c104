"""Recency, frequency and monetary value of each customer, counted from an explicit date.

Source of the method: Hughes, Strategic Database Marketing (1994). An RFM frame here has one row a
customer and the columns of `COLUMNS`, sorted by `in_customer_order`.
"""

from datetime import date, timedelta

import numpy as np
import pandas as pd

COLUMNS = ("customer_id", "recency_days", "frequency", "monetary", "average_order_value")
UNKNOWN_CUSTOMER = "-1"
HIGHEST_SCORE = 5


def day_after_newest(transaction_dates: "pd.Series[pd.Timestamp]") -> date:
    """The default as-of date; it never depends on today. The series must not be empty."""
    newest: pd.Timestamp = pd.to_datetime(transaction_dates).max()
    return newest.date() + timedelta(days=1)


def rfm_from_sales(lines: pd.DataFrame, *, as_of: date | None = None) -> pd.DataFrame:
    """RFM frame from sale lines (customer_id, transaction_id, transaction_date, total_amount).

    Sales on or after `as_of` were not known then and are left out, as is the unknown customer.
    Frequency counts distinct transactions. Any row order gives the same frame.
    """
    if lines.empty:
        return rfm_from_totals(pd.DataFrame(columns=["customer_id", *COLUMNS[1:4]]))
    as_of = as_of or day_after_newest(lines["transaction_date"])
    days = pd.to_datetime(lines["transaction_date"])
    known = lines.assign(transaction_date=days)[
        (days < pd.Timestamp(as_of)) & (lines["customer_id"] != UNKNOWN_CUSTOMER)
    ]
    # Whole cents: a sum of floats would depend on the row order in its last digit.
    known = known.assign(cents=(known["total_amount"].astype(float) * 100).round().astype("int64"))
    totals = known.groupby("customer_id", sort=False, as_index=False).agg(
        newest=("transaction_date", "max"),
        frequency=("transaction_id", "nunique"),
        cents=("cents", "sum"),
    )
    totals["recency_days"] = (pd.Timestamp(as_of) - totals["newest"]).dt.days
    totals["monetary"] = totals["cents"] / 100
    return rfm_from_totals(totals)


def rfm_from_totals(totals: pd.DataFrame) -> pd.DataFrame:
    """RFM frame from one row a customer (customer_id, recency_days, frequency, monetary).

    `frequency` is at least 1; `monetary` may be negative (returns above purchases).
    """
    frame = pd.DataFrame(
        {
            "customer_id": totals["customer_id"].astype(str),
            "recency_days": totals["recency_days"].astype("int64"),
            "frequency": totals["frequency"].astype("int64"),
            "monetary": totals["monetary"].astype("float64"),
        }
    )
    frame["average_order_value"] = frame["monetary"] / frame["frequency"]
    return in_customer_order(frame)


def in_customer_order(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows by customer_id: as numbers when all ids are whole numbers, else as text."""
    ids = frame["customer_id"]
    if ids.str.fullmatch("[0-9]{1,18}").all():
        ordered = frame.assign(_number=ids.astype("int64")).sort_values(["_number", "customer_id"])
        return ordered.drop(columns="_number").reset_index(drop=True)
    return frame.sort_values("customer_id").reset_index(drop=True)


def score_rfm(rfm: pd.DataFrame) -> pd.DataFrame:
    """Scores 1 (weakest) to 5 (best): customer_id, recency_score, frequency_score, monetary_score.

    Tie rule: a score is 1 + floor(5 * share of customers who are strictly worse). So equal values
    have equal scores, row order has no say, and fifths are uneven where many customers tie.
    """
    return pd.DataFrame(
        {
            "customer_id": rfm["customer_id"],
            "recency_score": _fifths(-rfm["recency_days"]),
            "frequency_score": _fifths(rfm["frequency"]),
            "monetary_score": _fifths(rfm["monetary"]),
        }
    )


def _fifths(better_when_higher: pd.Series) -> pd.Series:
    # Integers only: 5 * 0.6 as a float falls below 3 and would move a whole tie group.
    strictly_worse = better_when_higher.rank(method="min").to_numpy(dtype=np.int64) - 1
    scores = 1 + HIGHEST_SCORE * strictly_worse // max(1, len(strictly_worse))
    return pd.Series(scores, index=better_when_higher.index)


def score_cut_points(rfm: pd.DataFrame) -> pd.DataFrame:
    """The weakest value that reaches each score: one row a score, one column a measure.

    A score that ties left empty has no value (NaN).
    """
    scores = score_rfm(rfm)
    weakest = {
        "recency_days": rfm["recency_days"].groupby(scores["recency_score"]).max(),
        "frequency": rfm["frequency"].groupby(scores["frequency_score"]).min(),
        "monetary": rfm["monetary"].groupby(scores["monetary_score"]).min(),
    }
    cut_points = pd.DataFrame(weakest).reindex(range(1, HIGHEST_SCORE + 1))
    return cut_points.rename_axis("score")
