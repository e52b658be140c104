"""RFM of ten million orders in Postgres, beside the NTILE query that tutorials show."""

import statistics
import sys
import time
from dataclasses import dataclass

from psycopg import sql

from benchmarks import machine
from benchmarks.own_services import own_services
from benchmarks.readme import table
from benchmarks.target import Target, verdicts
from benchmarks.warehouse.commands import Project
from insight.database import DatabaseEndpoint, connect

ORDERS = 10_000_000
_ORDERS_A_CUSTOMER = 10
_ROUNDS = 3
_TARGET_SECONDS = 20.0
_MODELS = ("fct_customer_rfm", "int_pos_customer_rfm", "fct_rfm_cut_points")

# As wide as the mart that dbt makes. By the square a fifth of the customers has 45 % of the orders.
# The tills have no customer here.
_TABLES = """
create schema marts;
create unlogged table marts.fct_orders as
select
    md5(i::text) as order_id,
    i::text as transaction_id,
    customer.id as customer_id,
    customer.id as source_customer_id,
    date '2019-01-01' + (hashint8(i) & 1048575) % 365 as order_date,
    false as is_first_order,
    2 as sale_lines,
    3::bigint as quantity,
    100.00::numeric(22, 2) as gross_sales_amount,
    10.00::numeric(22, 2) as discount_amount,
    90.00::numeric(22, 2) as net_sales_amount,
    16.20::numeric(22, 2) as gst_amount,
    6.50::numeric(22, 2) as delivery_charges,
    (((hashint8(i + 7) & 1048575) % 50000) / 100.0)::numeric(22, 2) as total_amount,
    now() as processed_at
from generate_series(1, {orders}) as i
cross join lateral (
    select (power((hashint8(i + 3) & 1048575) / 1048576.0, 2) * {customers})::bigint::text as id
) as customer;
create schema staging;
create table staging.stg_transactions
    (transaction_id text, customer_id text, event_date date, amount numeric(12, 2));
create table staging.stg_refunds
    (original_transaction_id text, event_date date, refund_amount numeric(12, 2));
"""
_NTILE = """
create table baseline as
select
    *,
    ntile(5) over (order by recency_days desc) as r_score,
    ntile(5) over (order by frequency) as f_score,
    ntile(5) over (order by monetary) as m_score
from (
    select
        customer_id,
        date '2020-01-01' - max(order_date) as recency_days,
        count(*) as frequency,
        sum(total_amount) as monetary
    from marts.fct_orders
    group by customer_id
) as customers
"""


@dataclass(frozen=True)
class Results:
    """Medians in seconds: the mart, the cut points, the dbt command, the plain query."""

    orders: int
    customers: int
    mart: float
    cut_points: float
    command: float
    baseline: float


def run(orders: int = ORDERS) -> Results:
    """The models on a database of their own, in turn with the plain query."""
    with own_services() as (services, folder):
        return _measure(services.database, Project(folder), orders)


def _measure(database: DatabaseEndpoint, project: Project, orders: int) -> Results:
    _fill(database, orders)
    project.dbt(database, "seed", "--select", "rfm_segments")
    runs, baseline = [], []
    for _ in range(_ROUNDS):
        found = project.dbt(database, "run", "--select", *_MODELS)
        runs.append(found)
        baseline.append(_plain_query(database))
        _say(f"{found.models():.2f} s of models, the plain query {baseline[-1]:.2f} s")
    with connect(database) as connection:
        row = connection.execute("select count(*) from marts.fct_customer_rfm").fetchone()
    assert row is not None
    return Results(
        orders=orders,
        customers=int(str(row[0])),
        mart=statistics.median(each.models(["fct_customer_rfm"]) for each in runs),
        cut_points=statistics.median(each.models(["fct_rfm_cut_points"]) for each in runs),
        command=statistics.median(each.wall for each in runs),
        baseline=statistics.median(baseline),
    )


def _fill(database: DatabaseEndpoint, orders: int) -> None:
    statements = sql.SQL(_TABLES).format(
        orders=sql.Literal(orders), customers=sql.Literal(max(1, orders // _ORDERS_A_CUSTOMER))
    )
    with connect(database, autocommit=True) as connection:
        connection.execute(statements)
        connection.execute("vacuum analyze marts.fct_orders")
    _say(f"{orders:,} orders are there")


def _plain_query(database: DatabaseEndpoint) -> float:
    with connect(database, autocommit=True) as connection:
        connection.execute("drop table if exists baseline")
        started = time.perf_counter()
        connection.execute(_NTILE)
        return time.perf_counter() - started


def report(results: Results) -> str:
    """The results as Markdown."""
    ours = results.mart + results.cut_points
    target = Target(f"RFM of {results.orders:,} orders", _TARGET_SECONDS, ours, True, " s")
    rows = [
        ("`fct_customer_rfm`: measures, scores, names", f"{results.mart:.2f}"),
        ("`fct_rfm_cut_points`", f"{results.cut_points:.2f}"),
        ("the whole `dbt run` of both", f"{results.command:.2f}"),
        ("one query with `ntile(5)`, which splits equal customers", f"{results.baseline:.2f}"),
    ]
    return "\n\n".join(
        [
            verdicts([target]),
            table(("what", "seconds"), rows),
            f"{results.orders:,} orders of {results.customers:,} customers; the mart takes"
            f" {results.mart / results.baseline:.2f} times as long as the plain query, which has"
            " no contract, no key and no names.",
            f"{machine.told()} Medians of {_ROUNDS} rounds in turn.",
        ]
    )


def _say(text: str) -> None:
    sys.stdout.write(f"rfm, {text}\n")
    sys.stdout.flush()
