"""Whether a table of customers can be reckoned with; what cannot is named, with what to do."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from insight.errors import InputError

# Below these a figure contradicts what it counts. Money may be negative: returns.
_LEAST = {"recency_days": 0, "frequency": 1}
_CONTRADICTIONS = {
    "recency_days": "the last order lies after the day that recency counts from",
    "frequency": "who ordered nothing is no customer here",
}


def expect_customers(frame: pd.DataFrame, columns: Sequence[str]) -> None:
    """Raise InputError unless there is one row a customer_id with finite numbers in `columns`.

    It names the first customer at fault and the column.
    """
    for column in columns:
        _expect_numbers(frame, column)
    repeated = frame["customer_id"].duplicated().to_numpy()
    if repeated.any():
        raise InputError(
            "stands in more than one row",
            where=f"customer {frame['customer_id'].iloc[int(repeated.argmax())]}",
            next_step="Add the rows of each customer up to one",
        )


def _expect_numbers(frame: pd.DataFrame, column: str) -> None:
    values = pd.to_numeric(frame[column], errors="coerce").to_numpy(dtype=np.float64)
    unusable = ~np.isfinite(values)
    if unusable.any():
        raise _complaint(frame, column, int(unusable.argmax()), "is no finite number")
    too_low = values < _LEAST.get(column, -np.inf)
    if too_low.any():
        raise _complaint(frame, column, int(too_low.argmax()), _CONTRADICTIONS[column])


def _complaint(frame: pd.DataFrame, column: str, row: int, reason: str) -> InputError:
    value = frame[column].iloc[row]
    # Text may hold a line break, and an error is one line.
    shown = repr(value) if isinstance(value, str) else str(value)
    return InputError(
        f"{column} {shown} cannot be used ({reason})",
        where=f"customer {frame['customer_id'].iloc[row]}",
        next_step="Correct the value or leave the customer out, then run it again",
    )
