"""The marts as their contracts say, made without dbt and filled with a few rows."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from psycopg import sql

from insight.database import Connection, DatabaseEndpoint, connect

_MARTS = Path(__file__).resolve().parents[1] / "dbt_pipeline" / "models" / "marts"

SERVED = (
    "fct_sales_daily", "fct_sales_monthly", "fct_pos_refunds", "dim_pos_stores",
    "fct_pos_net_revenue_daily", "fct_product_associations", "fct_revenue_anomalies",
    "fct_customer_segments", "fct_customer_rfm", "fct_pos_customer_segments",
    "fct_customer_lifetime_value", "fct_segmentation_runs",
)  # fmt: skip


@cache
def contracts() -> dict[str, dict[str, Any]]:
    """Each served mart's entry in the dbt project, by its name."""
    found = {}
    for path in _MARTS.glob("*/_*__models.yml"):
        for model in yaml.safe_load(path.read_text())["models"]:
            if model["name"] in SERVED:
                found[model["name"]] = model
    assert set(found) == set(SERVED)
    return found


def is_not_null(column: dict[str, Any]) -> bool:
    return any(each["type"] == "not_null" for each in column.get("constraints", ()))


def create_marts(owner: DatabaseEndpoint) -> None:
    """All served marts, empty."""
    with connect(owner) as connection:
        connection.execute("create schema if not exists marts")
        for name, model in contracts().items():
            columns = [
                sql.SQL("{} {}{}").format(
                    sql.Identifier(column["name"]),
                    sql.SQL(column["data_type"]),
                    sql.SQL(" not null" if is_not_null(column) else ""),
                )
                for column in model["columns"]
            ]
            (key,) = (c["columns"] for c in model["constraints"] if c["type"] == "primary_key")
            connection.execute(
                sql.SQL("create table {} ({}, primary key ({}))").format(
                    sql.Identifier("marts", name),
                    sql.SQL(", ").join(columns),
                    sql.SQL(", ").join(map(sql.Identifier, key)),
                )
            )


def fill_marts(owner: DatabaseEndpoint, customers: int = 25) -> None:
    """A few rows in each; customers are `c-000` on, and c-001 has neither scores nor value."""
    with connect(owner) as connection:
        for statement in _FILLING:
            connection.execute(statement, {"customers": customers})
        _quarter(connection)


def fill_live_customers(owner: DatabaseEndpoint, customers: int = 6) -> None:
    """A few bank customers, as live segments write them."""
    with connect(owner) as connection:
        connection.execute(
            """insert into segmentation.live_customers
                   (customer_id, customer_number, income, balance, customer_lifetime_value,
                    days_from_last_transaction, avg_transaction_amt, num_transactions,
                    transaction_freq, segment, last_updated, last_transaction_at, amount_moved,
                    recent_at, recent_cents)
               select 'B' || lpad(n::text, 4, '0'), n, 5200, 10.5, 1, 0, 1, 3, 4.12, 'High-Value',
                      now(), now(), 1, '{}', '{}'
               from generate_series(0, %s - 1) as n""",
            (customers,),
        )


def _quarter(connection: Connection) -> None:
    for name in ("fct_customer_rfm", "fct_customer_lifetime_value"):
        connection.execute(
            sql.SQL("delete from {} where customer_id = 'c-001'").format(
                sql.Identifier("marts", name)
            )
        )


_CUSTOMER = "'c-' || lpad(n::text, 3, '0')"
_FILLING = (
    """insert into marts.fct_sales_daily
       select date '2019-01-01' + n, 10, 5, 4, 1, 20, 1000.10, 100, 900.10, 90, 10, 1000.10, 200.02
       from generate_series(0, 58) as n""",
    """insert into marts.fct_sales_monthly
       select date '2019-01-01' + make_interval(months => n), 30, 300, 150, 80, 3, 600,
              30000, 3000, 27000, 2700, 300, 30000, null
       from generate_series(0, 1) as n""",
    """insert into marts.dim_pos_stores values
       ('S1', 'Harbour', 'Hamburg', 'North', 12000), ('S2', 'Hill', 'Bern', 'South', null),
       ('-1', 'Unknown', 'Unknown', 'Unknown', null)""",
    """insert into marts.fct_pos_net_revenue_daily
           (store_id, source_store_id, product_id, source_product_id, date_day, sale_count,
            gross_revenue, refund_count, refund_amount, net_revenue, sales_refund_count,
            sales_refund_amount, sales_net_revenue)
       select 'S1', 'S1', 'P1', 'P1', date '2026-02-01' + n, 3, 300, 1, 30, 270, 1, 30, 270
       from generate_series(0, 9) as n""",
    f"""insert into marts.fct_pos_refunds
            (refund_id, original_transaction_id, product_id, source_product_id, store_id,
             source_store_id, customer_id, reason, refund_amount, sale_amount,
             sale_refunded_amount, is_sale_known, is_over_refunded, date_day, refunded_at,
             processed_at)
        select 'r' || n, 't' || n, 'P1', 'P1', 'S1', 'S1', {_CUSTOMER}, 'damaged', 30, 100, 30,
               true, false, date '2026-02-01', timestamptz '2026-02-01 10:00Z', now()
        from generate_series(0, 11) as n""",
    """insert into marts.fct_product_associations
           (domain, antecedent, consequent, antecedent_names, consequent_name, sentence,
            antecedent_count, consequent_count, rule_count, basket_count, support, confidence,
            lift, leverage, conviction, first_basket_on, last_basket_on)
       select shop, array['P' || n, 'Q'], 'P9', array['One', 'Two'], 'Nine', 'Who ... also ...',
              10, 20, 5, 100, 0.05, 0.5, n, 0.03, null, '2026-01-01', '2026-02-01'
       from generate_series(1, 4) as n, unnest(array['ecommerce', 'retail']) as shop""",
    """insert into marts.fct_revenue_anomalies
           (product_id, source_product_id, direction, reason, expected_revenue, actual_revenue,
            score, window_start)
       select 'P1', 'P1', 'spike', 'much', 10, 100, 9.5,
              timestamptz '2026-02-01 10:00Z' + make_interval(mins => n)
       from generate_series(0, 3) as n""",
    f"""insert into marts.fct_customer_segments
            (customer_id, location, gender, customer_tenure_months, segment_id, segment_name,
             total_orders, total_revenue, first_purchase_date, last_purchase_date,
             days_since_last_purchase, avg_order_value, activity_status, updated_at)
        select {_CUSTOMER}, 'Chicago', 'F', 12, n %% 5, 'Segment ' || n %% 5, 3, 99.99,
               '2019-01-01', '2019-02-01', 20, 33.33, 'Active', now()
        from generate_series(0, %(customers)s - 1) as n""",
    f"""insert into marts.fct_customer_rfm
            (customer_id, as_of_date, recency_days, frequency, monetary, avg_order_value, r_score,
             f_score, m_score, rfm_segment)
        select {_CUSTOMER}, '2020-01-01', 20, 3, 99.99, 33.33, 1 + n %% 5, 2, 3, 'Champions'
        from generate_series(0, %(customers)s - 1) as n""",
    f"""insert into marts.fct_pos_customer_segments
            (customer_id, as_of_date, recency_days, frequency, monetary, avg_order_value, r_score,
             f_score, m_score, rfm_segment, cluster_id)
        select {_CUSTOMER}, '2020-01-01', 20, 3, 99.99, 33.33, 1 + n %% 5, 2, 3, 'Champions', 1
        from generate_series(0, %(customers)s - 1) as n""",
    f"""insert into marts.fct_customer_lifetime_value
            (customer_id, model, as_of_date, horizon_days, frequency, recency_days, age_days,
             mean_order_value, expected_purchases, probability_alive, probability_of_purchase,
             expected_order_value, expected_value)
        select {_CUSTOMER}, 'mbg_nbd', '2020-01-01', 90, 2, 30, 60, 33.33, 1.5, 0.9, 0.8, 30, 45
        from generate_series(0, %(customers)s - 1) as n""",
    """insert into marts.fct_segmentation_runs
           (run_id, run_number, origin, outcome, data_sha256, customer_count, cluster_count,
            is_in_use, as_of_date, recorded_at)
       values ('a', 1, 'generated', 'trained', 'x', 25, 5, true, '2020-01-01', now())""",
)
