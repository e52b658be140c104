"""Figures that are none are named with the customer, and with what to do."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insight.database import DatabaseEndpoint, connect
from insight.errors import InputError
from ml_pipeline.customer_checks import expect_customers
from ml_pipeline.features import net_refunders
from ml_pipeline.run import segment_customers
from ml_pipeline.segmentation import train

Population = Callable[..., pd.DataFrame]


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("monetary", float("nan"), "no finite number"),
        ("monetary", float("inf"), "no finite number"),
        ("monetary", float("-inf"), "no finite number"),
        ("monetary", "12,50", "no finite number"),
        ("monetary", "\n", "no finite number"),
        ("monetary", None, "no finite number"),
        ("frequency", "many", "no finite number"),
        ("frequency", 0, "ordered nothing"),
        ("frequency", -3, "ordered nothing"),
        ("recency_days", -1, "lies after the day"),
        ("recency_days", pd.NA, "no finite number"),
    ],
)
def test_an_unusable_figure_is_named_with_its_customer(
    population: Population, column: str, value: object, reason: str
) -> None:
    frame = population(60)
    frame[column] = [*frame[column][:7], value, *frame[column][8:]]
    customer = frame["customer_id"][7]
    expected = rf"^customer {customer}: {column} .*cannot be used \(.*{reason}.*Correct the value"
    with pytest.raises(InputError, match=expected):
        train(frame, sweep=False)


def test_a_customer_in_two_rows_is_named(population: Population) -> None:
    frame = pd.concat([population(60), population(60)[:1]])
    with pytest.raises(InputError, match=r"^customer \w+: stands in more than one row\. Add"):
        train(frame, sweep=False)


def test_negative_money_is_no_money_and_is_counted(population: Population) -> None:
    frame = population(60)
    refunded = frame.assign(monetary=frame["monetary"].where(frame.index > 2, -500.0))
    assert net_refunders(refunded).sum() == 3
    nothing = frame.assign(monetary=frame["monetary"].where(frame.index > 2, 0.0))
    assert train(refunded, sweep=False).model == train(nothing, sweep=False).model


@settings(deadline=None)
@given(
    st.lists(st.one_of(st.floats(), st.integers(-5, 5), st.text(max_size=3), st.none()), max_size=6)
)
def test_whatever_passes_is_finite_and_whatever_fails_is_told(values: list[object]) -> None:
    ids = [str(number) for number in range(len(values))]
    frame = pd.DataFrame({"customer_id": ids, "monetary": pd.Series(values, dtype=object)})
    numbers = pd.to_numeric(frame["monetary"], errors="coerce").to_numpy(dtype=float)
    if np.isfinite(numbers).all():
        expect_customers(frame, ["monetary"])
    else:
        with pytest.raises(InputError, match=r"^customer \d: monetary .*cannot be used"):
            expect_customers(frame, ["monetary"])


def test_a_sum_that_is_no_number_stops_the_run_before_it_writes(
    database: DatabaseEndpoint,
    tmp_path: Path,
    population: Population,
    sale_lines: Callable[..., pd.DataFrame],
    fill_marts: Callable[[DatabaseEndpoint, pd.DataFrame], None],
) -> None:
    fill_marts(database, sale_lines(population(60)))
    with connect(database) as connection:
        connection.execute("insert into marts.fct_sales values ('x', 'y', '2019-12-31', 'NaN')")
    with pytest.raises(InputError, match=r"monetary .*finite number.*\. Correct"):
        segment_customers(
            database, seed_path=tmp_path / "seed.csv", model_dir=tmp_path, origin="own", sweep=False
        )
    assert list(tmp_path.iterdir()) == []
