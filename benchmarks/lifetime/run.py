"""The whole run on orders in Postgres, then the models alone, ours and `lifetimes` in turn."""

import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.lifetime.plan import Options
from benchmarks.own_services import own_services
from insight.database import DatabaseEndpoint, connect
from insight.settings import PROJECT_ROOT
from ml_pipeline.lifetime_value.gamma_gamma import OrderValueModel
from ml_pipeline.lifetime_value.purchase_model import PurchaseModel
from ml_pipeline.lifetime_value.run import value_customers
from ml_pipeline.lifetime_value.simulation import simulate_customers

PEER_VERSION = "0.11.3"
_ENVIRONMENT = PROJECT_ROOT / ".insight" / "bench" / f"lifetimes-{PEER_VERSION}"
_SCRIPT = Path(__file__).with_name("theirs.py")
_PURCHASES = PurchaseModel(family="mbg_nbd", r=0.8, alpha_days=20.0, a=1.2, b=3.0)
_VALUES = OrderValueModel(p=6.25, q=3.74, gamma=15.44)

# About 5 orders a customer in 2019: a customer who came on a day of the year bought at even odds on
# any of some days after it.
_ORDERS = """
create schema if not exists marts;
create table marts.fct_orders as
select
    customer::text as customer_id,
    date '2019-01-01' + came + (gap * power(random(), 2) * (364 - came))::integer as order_date,
    round((20 + 80 * random() * random() * worth)::numeric, 2) as net_sales_amount
from (
    select customer, (random() * 330)::integer as came, random() as gap, random() as worth,
        1 + floor(-ln(1 - random()) * 4.5)::integer as orders
    from generate_series(1, %d) as customer
) as customers
cross join lateral generate_series(1, orders) as number;
analyze marts.fct_orders
"""


@dataclass(frozen=True)
class Models:
    """Median seconds of each step over the rounds, peak memory, and what came out."""

    purchases: float
    values: float
    forecast: float
    expected_value: float
    peak_mib: float

    @property
    def total(self) -> float:
        return self.purchases + self.values + self.forecast


@dataclass(frozen=True)
class Results:
    """All that one benchmark run found out; seconds."""

    options: Options
    orders: int
    first_run: float
    unchanged_run: float
    ours: Models
    theirs: Models


def run(options: Options) -> Results:
    """Everything, in a database and an environment of its own."""
    with own_services() as (services, folder):
        orders = _fill(services.database, options.customers)
        first, unchanged = (_seconds_of_a_run(services.database, folder) for _ in range(2))
        ours, theirs = _models(options, folder)
    return Results(options, orders, first, unchanged, ours, theirs)


def _fill(database: DatabaseEndpoint, customers: int) -> int:
    with connect(database) as connection:
        connection.execute("select setseed(0.2019)")
        connection.execute(_ORDERS % customers)
        row = connection.execute("select count(*) from marts.fct_orders").fetchone()
    return int(str(row[0])) if row else 0


def _seconds_of_a_run(database: DatabaseEndpoint, folder: Path) -> float:
    started = time.perf_counter()
    report = value_customers(database, model_dir=folder / "models", origin="generated")
    if report.skipped_reason:
        raise RuntimeError(report.skipped_reason)
    return time.perf_counter() - started


def _models(options: Options, folder: Path) -> tuple[Models, Models]:
    customers = folder / "customers.npz"
    _write_customers(customers, options.customers)
    sides = (
        [sys.executable, "-m", "benchmarks.lifetime.ours", str(customers)],
        [str(_environment() / "bin" / "python"), str(_SCRIPT), str(customers)],
    )
    turns: tuple[list[Models], list[Models]] = ([], [])
    for _ in range(options.rounds):
        for side, command in zip(turns, sides, strict=True):
            told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            side.append(Models(**json.loads(told)))
    return _median(turns[0]), _median(turns[1])


def _write_customers(file: Path, customers: int) -> None:
    """In whole days, as orders have them."""
    made = simulate_customers(_PURCHASES, _VALUES, customers=customers, seed=2019).summary
    recency = np.ceil(made["recency_days"].to_numpy())
    np.savez(
        file,
        frequency=made["frequency"].to_numpy(dtype=np.float64),
        recency_days=np.minimum(recency, made["age_days"].to_numpy()),
        age_days=made["age_days"].to_numpy(dtype=np.float64),
        mean_order_value=made["mean_order_value"].to_numpy(dtype=np.float64),
    )


def _median(turns: Sequence[Models]) -> Models:
    names = ("purchases", "values", "forecast", "expected_value", "peak_mib")
    return Models(**{name: statistics.median(getattr(each, name) for each in turns)
                     for name in names})  # fmt: skip


def _environment() -> Path:
    """The virtual environment of `lifetimes`; a half-made one is made anew."""
    finished = _ENVIRONMENT / "finished"
    if not finished.exists():
        shutil.rmtree(_ENVIRONMENT, ignore_errors=True)
        uv = [sys.executable, "-m", "uv"]
        python = str(_ENVIRONMENT / "bin" / "python")
        make = [*uv, "venv", "--quiet", "--python", sys.executable, str(_ENVIRONMENT)]
        subprocess.run(make, check=True)
        install = [*uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python]
        subprocess.run([*install, f"lifetimes=={PEER_VERSION}"], check=True)
        finished.touch()
    return _ENVIRONMENT
