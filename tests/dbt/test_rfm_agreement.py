"""RFM in Python and in dbt: the same frame, scores, names and cut points from the same sales."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from databases import create_database, drop_database
from warm_project import WarmProject, warm_project

from insight.database import Connection, DatabaseEndpoint, connect
from insight.services import Services
from ml_pipeline import results
from ml_pipeline.marts import read_rfm
from ml_pipeline.rfm import day_after_newest, rfm_from_sales, rfm_from_tills, score_cut_points
from ml_pipeline.rfm_segments import read_segment_map, segment_rfm
from ml_pipeline.till_marts import read_till_rfm

_TABLES = {
    "marts.fct_sales": "transaction_id text, customer_id text, transaction_date date,"
    " total_amount numeric(22, 2)",
    "marts.fct_orders": "transaction_id text, customer_id text, order_date date,"
    " total_amount numeric(22, 2)",
    "marts.fct_pos_transactions": "transaction_id text, customer_id text, date_day date,"
    " amount numeric(12, 2)",
    "marts.fct_pos_refunds": "refund_id text, original_transaction_id text, customer_id text,"
    " date_day date, refund_amount numeric(12, 2)",
    "staging.stg_transactions": "transaction_id text, customer_id text, event_date date,"
    " amount numeric(12, 2)",
    "staging.stg_refunds": "refund_id text, original_transaction_id text, customer_id text,"
    " event_date date, refund_amount numeric(12, 2)",
}
_MODELS = ("int_pos_customer_rfm", "fct_customer_rfm", "fct_rfm_cut_points")
_MEASURES = ("recency_days", "frequency", "monetary")


@dataclass(frozen=True)
class Shops:
    """Sale lines of the web shop, sales and refunds of the tills, and the day to count from."""

    lines: pd.DataFrame
    sales: pd.DataFrame
    refunds: pd.DataFrame
    as_of: date | None = None


@pytest.fixture(scope="module")
def warehouse_of_marts(
    services: Services, copy_project: Callable[[], Path]
) -> Iterator[tuple[DatabaseEndpoint, WarmProject]]:
    """A database with nothing but the tables that RFM reads, and the project on it."""
    endpoint = create_database(services, "rfm_agreement")
    results.create_tables(endpoint)
    with connect(endpoint) as connection:
        connection.execute("create schema marts")
        connection.execute("create schema staging")
        for name, columns in _TABLES.items():
            connection.execute(f"create table {name} ({columns})")
    with warm_project(copy_project(), endpoint) as project:
        project.succeed("seed", "--select", "rfm_segments")
        yield endpoint, project
    drop_database(services, endpoint.dbname)


def _shops(seed: int, *, customers: int, as_of: date | None = None) -> Shops:
    """Random sales: skewed orders and money, some to the cent equal, some refunded twice."""
    draw = np.random.default_rng(seed)
    # As a spreadsheet writes them: leading zeros, and a name that reads like a missing value.
    ids = np.array(["NA", "007", *(f"C{number}" for number in range(customers))])[:customers]
    buyers = draw.choice(ids, size=customers * 4, p=_weights(draw, customers))
    days = [
        date(2019, 1, 1) + timedelta(days=int(day)) for day in draw.integers(0, 90, len(buyers))
    ]
    amounts = draw.choice([5.00, 19.99, 0.01, 0.0, 1234567.89], size=len(buyers)) + draw.integers(
        0, 300, len(buyers)
    ) / np.array(100)
    lines = pd.DataFrame(
        {
            # Two lines an order, which share customer and day.
            "transaction_id": [f"t{number}" for number in range(len(buyers))],
            "customer_id": np.where(draw.random(len(buyers)) < 0.05, "-1", buyers),
            "transaction_date": days,
            "total_amount": amounts.round(2),
        }
    )
    sales = lines.set_axis(["transaction_id", "customer_id", "date_day", "amount"], axis=1)
    return Shops(
        pd.concat([lines, lines.iloc[::2]], ignore_index=True),
        sales,
        _refunds(draw, sales),
        as_of,
    )


def _weights(draw: np.random.Generator, customers: int) -> np.ndarray:
    weights = draw.lognormal(0, 1.5, customers)
    return np.asarray(weights / weights.sum())


def _refunds(draw: np.random.Generator, sales: pd.DataFrame) -> pd.DataFrame:
    """Refunds of sales, also twice, of other people's, of unknown sales and above the price."""
    of = sales.sample(frac=0.4, replace=True, random_state=int(draw.integers(0, 9999)))
    unknown = draw.random(len(of)) < 0.1
    return pd.DataFrame(
        {
            "refund_id": [f"r{number}" for number in range(len(of))],
            "original_transaction_id": np.where(unknown, "unknown", of["transaction_id"]),
            "customer_id": draw.choice(sales["customer_id"], len(of)),
            "date_day": [
                day + timedelta(days=int(later))
                for day, later in zip(of["date_day"], draw.integers(0, 40, len(of)), strict=True)
            ],
            "refund_amount": (of["amount"].to_numpy() * draw.choice([0.3, 1, 2], len(of))).round(2),
        }
    )


def _alike(customers: int, *, others: Shops) -> Shops:
    """The given shops, in which many more customers bought once, the same on the same day."""
    alike = pd.DataFrame(
        {
            "transaction_id": [f"alike{number}" for number in range(customers)],
            "customer_id": [f"A{number}" for number in range(customers)],
            "transaction_date": date(2019, 2, 1),
            "total_amount": 20.00,
        }
    )
    sales = alike.set_axis(others.sales.columns, axis=1)
    return Shops(
        pd.concat([others.lines, alike], ignore_index=True),
        pd.concat([others.sales, sales], ignore_index=True),
        others.refunds,
    )


_NOBODY = Shops(
    *(each.iloc[:0] for each in vars(_shops(1, customers=2)).values() if each is not None)
)
_CASES = {
    "random": _shops(1, customers=300),
    "random, few": _shops(2, customers=7),
    "as of a day between": _shops(3, customers=200, as_of=date(2019, 2, 10)),
    "as of a day after all": _shops(4, customers=50, as_of=date(2024, 2, 29)),
    "as of a day before all": _shops(5, customers=20, as_of=date(2019, 1, 1)),
    "sixty in a hundred share all values": _alike(60, others=_shops(6, customers=40)),
    "all equal": _alike(30, others=_NOBODY),
    "one customer": _alike(1, others=_NOBODY),
    "nobody": _NOBODY,
}


@pytest.mark.parametrize("shops", _CASES.values(), ids=_CASES)
def test_python_and_dbt_agree(
    warehouse_of_marts: tuple[DatabaseEndpoint, WarmProject], project_root: Path, shops: Shops
) -> None:
    endpoint, project = warehouse_of_marts
    as_of = str(shops.as_of or "")
    _fill(endpoint, shops)
    project.succeed("run", "--select", *_MODELS, "--vars", f"{{as_of_date: '{as_of}'}}")

    web = rfm_from_sales(shops.lines, as_of=shops.as_of)
    tills = rfm_from_tills(shops.sales, shops.refunds, as_of=shops.as_of)
    names = read_segment_map(project_root / "dbt_pipeline" / "seeds" / "rfm_segments.csv")
    with connect(endpoint) as connection:
        for rfm, mart in ((web, "marts.fct_customer_rfm"), (tills, _TILLS)):
            assert _rows_of_dbt(connection, mart) == _rows(segment_rfm(rfm, names))
            assert _average_order_values(connection, mart) == pytest.approx(
                rfm.set_index("customer_id")["average_order_value"].to_dict(), abs=0.00501
            )
        assert _cut_points_of_dbt(connection) == {
            **_cut_points("ecommerce", web),
            **_cut_points("retail", tills),
        }
        if len(shops.lines):
            day = shops.as_of or day_after_newest(shops.sales["date_day"])
            pd.testing.assert_frame_equal(read_rfm(connection, day), web)
            pd.testing.assert_frame_equal(read_till_rfm(connection, day), tills)


_TILLS = "intermediate.int_pos_customer_rfm"


def _fill(endpoint: DatabaseEndpoint, shops: Shops) -> None:
    orders = (
        shops.lines.groupby(["transaction_id", "customer_id", "transaction_date"], as_index=False)
        .agg(total_amount=("total_amount", "sum"))
        .round(2)
    )
    rows = {
        "marts.fct_sales": shops.lines,
        "marts.fct_orders": orders,
        "marts.fct_pos_transactions": shops.sales,
        "marts.fct_pos_refunds": shops.refunds,
        "staging.stg_transactions": shops.sales,
        "staging.stg_refunds": shops.refunds,
    }
    with connect(endpoint) as connection:
        for name, frame in rows.items():
            connection.execute(f"truncate {name}")
            with connection.cursor().copy(f"copy {name} from stdin") as copy:
                for row in frame.itertuples(index=False):
                    copy.write_row(row)


def _rows_of_dbt(connection: Connection, mart: str) -> set[tuple[object, ...]]:
    return set(
        connection.execute(
            f"""select customer_id, recency_days, frequency, (100 * monetary)::bigint,
                    r_score, f_score, m_score, rfm_segment
                from {mart}"""
        ).fetchall()
    )


def _rows(segmented: pd.DataFrame) -> set[tuple[object, ...]]:
    cents = (100 * segmented["monetary"]).round().astype("int64")
    frame = segmented.assign(monetary=cents).drop(columns="average_order_value")
    return set(frame.itertuples(index=False, name=None))


def _average_order_values(connection: Connection, mart: str) -> dict[str, float]:
    rows = connection.execute(f"select customer_id, avg_order_value::float8 from {mart}").fetchall()
    return {str(customer): float(str(value)) for customer, value in rows}


def _cut_points_of_dbt(connection: Connection) -> dict[tuple[object, ...], float | None]:
    rows = connection.execute(
        "select domain, measure, score, weakest_value::float8 from marts.fct_rfm_cut_points"
    ).fetchall()
    return {(domain, measure, score): value for domain, measure, score, value in rows}  # type: ignore[misc]


def _cut_points(domain: str, rfm: pd.DataFrame) -> dict[tuple[object, ...], float | None]:
    table = score_cut_points(rfm)
    return {
        (domain, measure, score): None if pd.isna(value) else float(value)
        for measure in _MEASURES
        for score, value in table[measure].items()
    }
