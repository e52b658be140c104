"""Customers of five planted groups, and marts that hold their sales."""

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from insight.database import DatabaseEndpoint, connect
from ml_pipeline.rfm import rfm_from_totals

# days since the last order, orders, revenue an order; each a median
GROUPS = {
    "champion": (12, 45, 250.0),
    "loyal": (60, 18, 190.0),
    "big": (120, 3, 900.0),
    "lapsing": (270, 7, 210.0),
    "occasional": (110, 4, 95.0),
}

Population = Callable[..., pd.DataFrame]
FillMarts = Callable[[DatabaseEndpoint, pd.DataFrame], None]


def make_population(size: int = 400, seed: int = 1, first_id: int = 10_000) -> pd.DataFrame:
    """An RFM frame with a fifth of the customers in each group, in no particular order."""
    draw = np.random.default_rng(seed)
    medians = np.array(list(GROUPS.values()))[np.arange(size) % len(GROUPS)]
    spread = np.exp(draw.normal(0, 0.25, size=medians.shape))
    days, orders, value = (medians * spread).T
    frequency = np.maximum(1, orders.round()).astype(int)
    totals = pd.DataFrame(
        {
            "customer_id": (first_id + draw.permutation(size)).astype(str),
            "recency_days": np.clip(days.round(), 1, 364).astype(int),
            "frequency": frequency,
            "monetary": (value * frequency).round(2),
        }
    )
    return rfm_from_totals(totals)


@pytest.fixture(scope="session")
def population() -> Population:
    """`population(size, seed, first_id)` makes an RFM frame of five planted groups."""
    return make_population


def sale_lines_of(rfm: pd.DataFrame, newest: date = date(2019, 12, 31)) -> pd.DataFrame:
    """Sale lines whose RFM frame, as of the day after `newest`, is the given one.

    The first customer's recency is 1 in it: somebody must have made the newest sale.
    """
    rows = []
    for number, (customer, days, orders, total) in enumerate(
        rfm[["customer_id", "recency_days", "frequency", "monetary"]].itertuples(index=False)
    ):
        last = newest - timedelta(days=(1 if number == 0 else int(days)) - 1)
        cents = round(total * 100)
        for order in range(orders):
            amount = cents // orders + (cents % orders if order == 0 else 0)
            day = max(date(2019, 1, 1), last - timedelta(days=order))
            rows.append((customer, f"{customer}-{order}", day, amount / 100))
    return pd.DataFrame(
        rows, columns=["customer_id", "transaction_id", "transaction_date", "total_amount"]
    )


@pytest.fixture(scope="session")
def sale_lines() -> Callable[..., pd.DataFrame]:
    return sale_lines_of


@pytest.fixture(scope="session")
def fill_marts() -> FillMarts:
    """Replaces marts.fct_sales by the given sale lines, with the column types of the dbt model."""

    def fill(database: DatabaseEndpoint, lines: pd.DataFrame) -> None:
        with connect(database) as connection:
            connection.execute("create schema if not exists marts")
            connection.execute(
                "create table if not exists marts.fct_sales (customer_id text,"
                " transaction_id text, transaction_date date, total_amount numeric(14, 2))"
            )
            connection.execute("truncate marts.fct_sales")
            with connection.cursor().copy("copy marts.fct_sales from stdin") as copy:
                for row in lines.itertuples(index=False):
                    copy.write_row(row)

    return fill


def make_orders(customers: int = 400, seed: int = 1) -> pd.DataFrame:
    """Orders of 2019 by customers who behave as MBG/NBD says; the newest is of December 31.

    The same customers come first however many are made.
    """
    rows = []
    for number in range(customers):
        draw = np.random.default_rng([seed, number])
        rate, leaving, worth = draw.gamma(1.2, 1 / 25), draw.beta(1.2, 6), draw.gamma(5, 20)
        day = float(draw.integers(0, 250))
        while day < 365:
            ordered_on = date(2019, 1, 1) + timedelta(days=int(day))
            rows.append((str(number), ordered_on, round(float(draw.gamma(4, worth / 4)), 2)))
            if draw.random() < leaving:
                break
            day += draw.exponential(1 / rate)
    rows.append(("0", date(2019, 12, 31), 10.0))
    return pd.DataFrame(rows, columns=["customer_id", "order_date", "net_sales_amount"])


@pytest.fixture(scope="session")
def orders() -> Callable[..., pd.DataFrame]:
    """`orders(customers, seed)` makes a year of orders."""
    return make_orders


@pytest.fixture(scope="session")
def fill_orders() -> FillMarts:
    """Replaces marts.fct_orders by the given orders, with the column types of the dbt model."""

    def fill(database: DatabaseEndpoint, orders: pd.DataFrame) -> None:
        with connect(database) as connection:
            connection.execute("create schema if not exists marts")
            connection.execute(
                "create table if not exists marts.fct_orders (customer_id text, order_date date,"
                " net_sales_amount numeric(22, 2))"
            )
            connection.execute("truncate marts.fct_orders")
            with connection.cursor().copy("copy marts.fct_orders from stdin") as copy:
                for row in orders.itertuples(index=False):
                    copy.write_row(row)

    return fill
