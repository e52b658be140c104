"""What is known to be planted in the sales of a warehouse, told by the ids of the sales."""

from datetime import timedelta

import numpy as np
import pytest

from insight.database import DatabaseEndpoint, connect
from insight.stages.anomalies import planted_in
from streaming.polling import SEED
from streaming.simulators.anomalies import planted_anomalies
from streaming.simulators.arrivals import START, microseconds
from streaming.simulators.shop import sales_between

DAYS = 5
END = START + timedelta(days=DAYS)


def _fill(database: DatabaseEndpoint, seed: int, sales_a_day: float, days: float = DAYS) -> None:
    last = START + timedelta(days=days)
    sales = sales_between(seed, sales_a_day, microseconds(START), microseconds(last))
    times = (sales.sold / 1e6).tolist()
    with connect(database) as connection:
        connection.execute("create schema marts")
        connection.execute(
            "create table marts.fct_pos_transactions (transaction_id text, sold_at timestamptz)"
        )
        with connection.cursor() as cursor:
            cursor.executemany(
                "insert into marts.fct_pos_transactions values (%s, to_timestamp(%s))",
                list(zip(sales.ids(), times, strict=True)),
            )


@pytest.mark.parametrize("sales_a_day", [1500.0, 3000.0])
def test_what_the_usual_seed_planted_is_known(database, sales_a_day) -> None:
    _fill(database, SEED, sales_a_day)
    planted = planted_in(database)
    expected = planted_anomalies(SEED, START, END)
    assert planted is not None
    assert [(each.kind, each.first, each.last) for each in planted] == [
        (each.kind, each.first, each.last) for each in expected
    ]
    assert np.unique([each.kind for each in planted]).tolist() == ["drop", "spike"]


@pytest.mark.parametrize(("seed", "days"), [(SEED + 1, DAYS), (SEED, 0.2)])
def test_of_other_or_too_few_sales_nothing_is_known(database, seed, days) -> None:
    _fill(database, seed, 1500.0, days)
    assert planted_in(database) is None


def test_of_no_sales_nothing_is_known(database) -> None:
    _fill(database, SEED, 1500.0, 0)
    assert planted_in(database) is None
