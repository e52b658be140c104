"""What a customer's orders say to the models: a summary frame of one row a customer.

Its columns are `COLUMNS`, as in Fader, Hardie and Lee, "Counting your customers" the easy way
(Marketing Science 24, 2005), with a day as the unit of time. All orders of a customer on one day
are one purchase: the models let time pass between purchases, and baskets that were split at the
till would look like a very loyal customer.

- `frequency`: purchases after the first one, a whole number;
- `recency_days`: days from the first purchase to the last, 0 after a single one;
- `age_days`: days from the first purchase to the as-of date;
- `mean_order_value`: mean value of the purchases after the first one, NaN without any.
"""

from collections.abc import Sequence
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from insight.errors import InputError
from ml_pipeline.rfm import UNKNOWN_CUSTOMER, in_customer_order

Vector = npt.NDArray[np.float64]

COLUMNS = ("customer_id", "frequency", "recency_days", "age_days", "mean_order_value")
HISTORY = ["frequency", "recency_days", "age_days"]
_ORDER_COLUMNS = ("customer_id", "order_date", "net_sales_amount")


def summarise_orders(orders: pd.DataFrame, *, as_of: date) -> pd.DataFrame:
    """Summary frame of orders (customer_id, order_date, net_sales_amount) before `as_of`.

    The unknown customer is left out. Any row order gives the same frame. Raises InputError for
    money that is missing, infinite, negative or text, and for a day that is none.
    """
    _check_columns(orders, _ORDER_COLUMNS, "orders")
    value = _numbers(orders, "net_sales_amount", "order")
    _refuse(orders, value < 0, "net_sales_amount", "is negative", _TAKE_REFUNDS_OFF)
    days = _days(orders)
    # Whole cents: a sum of floats would depend on the row order in its last digit.
    known = pd.DataFrame(
        {
            "customer_id": orders["customer_id"].astype(str),
            "day": days,
            "cents": np.round(value * 100).astype("int64"),
        }
    )[(days < pd.Timestamp(as_of)).to_numpy() & (orders["customer_id"] != UNKNOWN_CUSTOMER)]
    purchases = known.groupby(["customer_id", "day"], as_index=False)["cents"].sum()
    customers = purchases.groupby("customer_id", as_index=False).agg(
        purchases=("day", "size"),
        first_on=("day", "min"),
        last_on=("day", "max"),
        first_cents=("cents", "first"),
        cents=("cents", "sum"),
    )
    return summary_from_totals(
        pd.DataFrame(
            {
                "customer_id": customers["customer_id"],
                "frequency": customers["purchases"] - 1,
                "recency_days": (customers["last_on"] - customers["first_on"]).dt.days,
                "age_days": (pd.Timestamp(as_of) - customers["first_on"]).dt.days,
                "repeat_value": (customers["cents"] - customers["first_cents"]) / 100,
            }
        )
    )


def summary_from_totals(totals: pd.DataFrame) -> pd.DataFrame:
    """Summary frame from one row a customer, with `repeat_value`, the sum, instead of the mean."""
    frequency = totals["frequency"].astype("int64")
    frame = pd.DataFrame(
        {
            "customer_id": totals["customer_id"].astype(str),
            "frequency": frequency,
            "recency_days": totals["recency_days"].astype("int64"),
            "age_days": totals["age_days"].astype("int64"),
            "mean_order_value": totals["repeat_value"].astype("float64")
            / frequency.where(frequency > 0),
        }
    )
    return in_customer_order(frame)


def check_summary(summary: pd.DataFrame) -> None:
    """Raises InputError, naming the first bad row, for a frame that is no summary.

    That is: no customers, one twice, a missing column, text, NaN or infinity in a number, negative
    times or money, and histories that cannot be (a last purchase after the as-of date, a recency
    without a repeat purchase).
    """
    _check_columns(summary, COLUMNS, "the summary")
    if summary.empty:
        raise InputError(
            "there are no customers",
            where="the summary",
            next_step="Give it one row a customer with a purchase before the as-of date",
        )
    is_double = summary["customer_id"].duplicated().to_numpy()
    _refuse(summary, is_double, "customer_id", "stands twice", "Add a customer's rows up to one")
    frequency, recency, age = (_numbers(summary, column, "customer") for column in HISTORY)
    _refuse(summary, (frequency < 0) | (frequency % 1 != 0), "frequency", "is no count",
            "Give the number of purchases after the first one: 0, 1, 2, ...")  # fmt: skip
    _refuse(summary, recency < 0, "recency_days", "is negative", _COUNT_DAYS)
    _refuse(summary, age <= 0, "age_days", "is not above 0", _COUNT_DAYS)
    _refuse(summary, recency > age, "recency_days", "is above age_days", _COUNT_DAYS)
    _refuse(summary, (recency > 0) != (frequency > 0), "recency_days",
            "does not fit the frequency", "A recency of 0 days belongs to a frequency of 0, and"
            " only to it: count all orders of a day as one purchase")  # fmt: skip
    repeaters = summary[frequency > 0]
    value = _numbers(repeaters, "mean_order_value", "customer")
    _refuse(repeaters, value < 0, "mean_order_value", "is negative", _TAKE_REFUNDS_OFF)


def history_of(summary: pd.DataFrame) -> tuple[Vector, Vector, Vector]:
    """Frequency, recency and age of a summary frame, each of shape (customers,)."""
    frequency, recency, age = (summary[column].to_numpy(dtype=np.float64) for column in HISTORY)
    return frequency, recency, age


_TAKE_REFUNDS_OFF = "Take refunds off the orders that they belong to, or leave those orders out"
_COUNT_DAYS = (
    "Count recency from the first purchase to the last, and age from the first purchase to a later"
    " as-of date"
)


def _check_columns(frame: pd.DataFrame, columns: Sequence[str], name: str) -> None:
    if missing := [column for column in columns if column not in frame.columns]:
        raise InputError(
            f"has no column {', '.join(missing)}",
            where=name,
            next_step=f"It needs {', '.join(columns)}",
        )


def _numbers(frame: pd.DataFrame, column: str, what: str) -> Vector:
    """The column as numbers. Raises InputError for text, NaN and infinity."""
    write = f"Give a plain number such as 1234.5, or leave the {what} out"
    if not pd.api.types.is_numeric_dtype(frame[column]):
        # Also '12': whoever reads numbers as text reads dates and ids wrongly as well.
        is_text = frame[column].map(lambda value: isinstance(value, str)).to_numpy(dtype=bool)
        _refuse(frame, is_text, column, "is text, not a number", write)
    values = pd.to_numeric(frame[column], errors="coerce").to_numpy(dtype=np.float64)
    _refuse(frame, np.isnan(values), column, "is missing", f"Fill it in, or leave the {what} out")
    _refuse(frame, np.isinf(values), column, "is infinite", write)
    return values


def _days(orders: pd.DataFrame) -> "pd.Series[pd.Timestamp]":
    days = pd.to_datetime(orders["order_date"], errors="coerce")
    _refuse(orders, days.isna().to_numpy(), "order_date", "is not a day",
            "Write days as 2019-12-31, or leave the order out")  # fmt: skip
    return days.dt.normalize()


def _refuse(
    frame: pd.DataFrame, is_bad: npt.NDArray[np.bool_], column: str, problem: str, next_step: str
) -> None:
    if not is_bad.any():
        return
    first = frame.iloc[int(np.argmax(is_bad))]
    value = f"'{first[column]}'" if isinstance(first[column], str) else first[column]
    more = f" (and {int(is_bad.sum()) - 1:,} rows more)" if is_bad.sum() > 1 else ""
    raise InputError(
        f"{column} {problem}: {value}{more}",
        where=f"customer {first['customer_id']}",
        next_step=next_step,
    )
