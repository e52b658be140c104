"""Recency, frequency and monetary value of each customer, counted from an explicit date.

Source of the method: Hughes, Strategic Database Marketing (1994). An RFM frame here has one row a
customer and the columns of `COLUMNS`, sorted by `in_customer_order`.
"""

from datetime import date, timedelta

import numpy as np
import pandas as pd

from insight.errors import InputError

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
    Frequency counts distinct transactions. Any row order gives the same frame. Raises InputError
    for an amount or a date that is none.
    """
    known = lines[lines["customer_id"] != UNKNOWN_CUSTOMER]
    # Sales of the unknown customer count for the date: the marts count from the same day.
    as_of = as_of or _default_as_of(lines, "transaction_date")
    return _rfm_of_lines(known, as_of)


def rfm_from_tills(
    sales: pd.DataFrame, refunds: pd.DataFrame, *, as_of: date | None = None
) -> pd.DataFrame:
    """RFM frame from sales and refunds of the tills, money net of refunds.

    `sales` has transaction_id, customer_id, date_day, amount; `refunds` original_transaction_id,
    date_day, refund_amount. The tills know no baskets: all that a customer buys on one day is one
    order. Refunds made before `as_of` are taken off the money of the customer of the sale; those
    of a sale that is not there off nobody's. `as_of` is by default the day after the newest sale.
    Raises InputError for an amount or a date that is none.
    """
    as_of = as_of or _default_as_of(sales, "date_day")
    days = _days(sales, "date_day")
    lines = sales.assign(transaction_id=days, transaction_date=days, total_amount=sales["amount"])
    rfm = _rfm_of_lines(lines, as_of)
    known = sales[days < pd.Timestamp(as_of)].rename(columns={"customer_id": "buyer_id"})
    made = refunds[_days(refunds, "date_day") < pd.Timestamp(as_of)]
    given_back = made.assign(cents=_cents(made, "refund_amount")).merge(
        known[["transaction_id", "buyer_id"]],
        left_on="original_transaction_id",
        right_on="transaction_id",
    )
    cents = rfm["customer_id"].map(given_back.groupby("buyer_id")["cents"].sum()).fillna(0)
    # In whole cents: the difference of two amounts as fractions is not the amount in the table.
    net = (rfm["monetary"] * 100).round() - cents
    return rfm_from_totals(rfm.assign(monetary=net / 100))


def _rfm_of_lines(lines: pd.DataFrame, as_of: date) -> pd.DataFrame:
    days = _days(lines, "transaction_date")
    dated = lines.assign(transaction_date=days, cents=_cents(lines, "total_amount"))
    totals = (
        dated[days < pd.Timestamp(as_of)]
        .groupby("customer_id", sort=False, as_index=False)
        .agg(
            newest=("transaction_date", "max"),
            frequency=("transaction_id", "nunique"),
            cents=("cents", "sum"),
        )
    )
    totals["recency_days"] = (pd.Timestamp(as_of) - totals["newest"]).dt.days
    totals["monetary"] = totals["cents"] / 100
    return rfm_from_totals(totals)


def _default_as_of(frame: pd.DataFrame, column: str) -> date:
    # Of no sales every day gives the same: nobody.
    return date(1970, 1, 1) if frame.empty else day_after_newest(_days(frame, column))


def rfm_from_totals(totals: pd.DataFrame) -> pd.DataFrame:
    """RFM frame from one row a customer (customer_id, recency_days, frequency, monetary).

    `frequency` is at least 1; `monetary` may be negative (returns above purchases). Raises
    InputError for a number that is missing, infinite, text or impossible.
    """
    if totals["customer_id"].duplicated().any():
        raise _unusable("customer_id", "names a customer twice", "Give one row a customer")
    frame = pd.DataFrame(
        {
            "customer_id": totals["customer_id"].astype(str),
            "recency_days": _numbers(totals, "recency_days").astype("int64"),
            "frequency": _numbers(totals, "frequency").astype("int64"),
            "monetary": _numbers(totals, "monetary"),
        }
    )
    if (frame["frequency"] < 1).any():
        raise _unusable("frequency", "is below 1", "Leave out customers without an order")
    frame["average_order_value"] = frame["monetary"] / frame["frequency"]
    return in_customer_order(frame)


def _days(frame: pd.DataFrame, column: str) -> "pd.Series[pd.Timestamp]":
    days = pd.to_datetime(frame[column], errors="coerce")
    if days.isna().any():
        raise _unusable(column, "is not a date", "Give each row the day of its sale or refund")
    return days


def _cents(frame: pd.DataFrame, column: str) -> "pd.Series[int]":
    # Whole cents: a sum of floats would depend on the row order in its last digit.
    return (_numbers(frame, column) * 100).round().astype("int64")


def _numbers(frame: pd.DataFrame, column: str) -> "pd.Series[float]":
    numbers = pd.to_numeric(frame[column], errors="coerce").astype("float64")
    if not np.isfinite(numbers).all():
        raise _unusable(column, "is not a finite number", "Correct or leave out the row")
    return numbers


def _unusable(column: str, what: str, next_step: str) -> InputError:
    return InputError(f"{column} {what}", where="RFM", next_step=next_step)


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
    # Integers only: as floats 0.6 / 0.2 is below 3, which would move a whole tie group.
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
