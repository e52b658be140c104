"""Each metric against SQL of its own on its mart, to the cent, by time and by its dimensions.

MetricFlow only writes the SQL; it is run here, so that numbers stay exact. Where two marts hold one
number, the comparison takes the one that the metric does not read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import pytest
from dbt_metricflow.cli.cli_configuration import CLIConfiguration
from metricflow.engine.metricflow_engine import MetricFlowEngine, MetricFlowQueryRequest

from insight.database import Connection, DatabaseEndpoint, connect

_MONTH = "cast(date_trunc('month', {}) as date) as metric_time__month"
_ENTRIES = """
    (select 'online' as sales_channel, customer_id, transaction_date as date_day,
            gross_sales_amount as gross, discount_amount + 0 as taken_off from marts.fct_sales
     union all
     select 'store', '-1', date_day, amount, 0 from marts.fct_pos_transactions
     union all
     select 'store', '-1', date_day, 0, refund_amount from marts.fct_pos_refunds) as entries
"""
_TOTALS = "sum(gross) as gross_revenue, sum(gross) - sum(taken_off) as net_revenue"
_OF_ORDERS = """
    sum(gross_sales_amount) as online_gross_revenue,
    sum(discount_amount) as discounts,
    sum(net_sales_amount) as online_net_revenue
"""
_OF_SALES = """
    sum(total_amount) as online_paid_amount,
    count(distinct (transaction_id, source_customer_id, transaction_date)) as orders,
    round(sum(total_amount)
        / count(distinct (transaction_id, source_customer_id, transaction_date)), 2)
        as average_order_value,
    count(distinct customer_id) filter (where customer_id <> '-1') as customers
"""
_OF_TILLS = """
    sum(gross_revenue) as pos_gross_revenue, sum(sale_count) as pos_transactions,
    sum(refund_amount) as refunds, sum(refund_count) as refund_count,
    sum(net_revenue) as pos_net_revenue
"""
_FIRST_ORDERS = """
    (select customer_id, min(transaction_date) as day from marts.fct_sales
     where customer_id <> '-1' group by 1) as first_orders
"""
# The last day of each month decides, as far as the calendar goes.
_LAST_DAYS = """
    (select max(date_day) as day from marts.dim_datetime group by year, month) as last_days
"""


@dataclass(frozen=True)
class Comparison:
    """`sql` gives the columns of `by`, then one column a metric.

    Groups where a metric is 0 can be left out: whether nothing is 0 or no row is up to the query.
    """

    by: tuple[str, ...]
    sql: str


COMPARISONS = [
    Comparison(
        ("metric_time__month",),
        f"select {_MONTH.format('order_date')}, {_OF_ORDERS} from marts.fct_orders group by 1",
    ),
    Comparison(
        ("customer__location", "customer__tenure_class"),
        f"""select location, customer_segment, {_OF_ORDERS} from marts.fct_orders
            join marts.dim_customer using (customer_id) group by 1, 2""",
    ),
    Comparison(
        ("product__product_group",),
        """select product_group, sum(gross_sales_amount) as online_gross_revenue,
               sum(discount_amount) as discounts,
               sum(total_amount - gst_amount - delivery_charges) as online_net_revenue
           from marts.fct_sales join marts.dim_products using (product_sku) group by 1""",
    ),
    Comparison(
        ("metric_time__month",),
        f"select {_MONTH.format('transaction_date')}, {_OF_SALES} from marts.fct_sales group by 1",
    ),
    Comparison(
        ("customer__segment_name",),
        """select segment_name, sum(total_revenue) as online_paid_amount,
               sum(total_orders) as orders,
               round(sum(total_revenue) / sum(total_orders), 2) as average_order_value,
               count(*) as customers, count(*) as new_customers
           from marts.fct_customer_segments where total_orders > 0 group by 1""",
    ),
    Comparison(
        ("metric_time__month",),
        f"select {_MONTH.format('day')}, count(*) as new_customers from {_FIRST_ORDERS} group by 1",
    ),
    Comparison(
        ("metric_time__day",),
        """select date_day, count(distinct customer_id) as active_customers
           from marts.dim_datetime
           join marts.fct_sales
               on transaction_date <= date_day and transaction_date > date_day - 30
           where customer_id <> '-1' group by 1""",
    ),
    Comparison(
        ("metric_time__month", "customer__location"),
        f"""select {_MONTH.format("day")}, location, count(distinct customer_id) as active_customers
            from {_LAST_DAYS}
            join marts.fct_sales on transaction_date <= day and transaction_date > day - 30
            join marts.dim_customer using (customer_id)
            where customer_id <> '-1' group by 1, 2""",
    ),
    Comparison(
        ("metric_time__day",),
        f"select date_day, {_OF_TILLS} from marts.fct_pos_net_revenue_daily group by 1",
    ),
    Comparison(
        ("pos_store__store_name", "pos_product__category"),
        f"""select store_name, category, {_OF_TILLS} from marts.fct_pos_net_revenue_daily
            join marts.dim_pos_stores using (store_id)
            join marts.dim_pos_products using (product_id) group by 1, 2""",
    ),
    Comparison(
        ("metric_time__day", "pos_store__region"),
        """select date_day, region, count(distinct customer_id) as pos_customers
           from marts.fct_pos_transactions
           join marts.dim_pos_stores using (store_id) group by 1, 2""",
    ),
    Comparison(
        ("pos_product__product_name",),
        """select product_name, count(distinct customer_id) as pos_customers
           from marts.fct_pos_transactions
           join marts.dim_pos_products using (product_id) group by 1""",
    ),
    Comparison(
        ("pos_refund__reason", "pos_store__city"),
        """select reason, city, sum(refund_amount) as refunds, count(*) as refund_count
           from marts.fct_pos_refunds join marts.dim_pos_stores using (store_id) group by 1, 2""",
    ),
    Comparison(
        ("metric_time__month",),
        f"select {_MONTH.format('date_day')}, {_TOTALS} from {_ENTRIES} group by 1",
    ),
    Comparison(
        ("sales_channel", "customer__segment_name"),
        f"""select sales_channel, segment_name, {_TOTALS} from {_ENTRIES}
            left join marts.fct_customer_segments using (customer_id) group by 1, 2""",
    ),
    Comparison(
        ("metric_time__month",),
        f"""select {_MONTH.format("spend_date")}, sum(offline_spend + online_spend)
                as marketing_spend from staging.stg_marketing_spend group by 1""",
    ),
    Comparison(
        ("marketing__channel",),
        """select 'offline', sum(offline_spend) as marketing_spend from staging.stg_marketing_spend
           union all
           select 'online', sum(online_spend) from staging.stg_marketing_spend""",
    ),
    # Only time: neither spend nor the customers it brought say which channel it was.
    *(
        Comparison(
            (f"metric_time__{grain}",),
            f"""select cast(date_trunc('{grain}', spend_date) as date),
                    round(sum(spend_amount) / max(acquired), 2) as cost_per_acquired_customer,
                    round(max(net) / sum(spend_amount), 4) as return_on_spend
                from marts.fct_marketing_spend
                left join (select date_trunc('{grain}', day) as period, count(*) as acquired
                           from {_FIRST_ORDERS} group by 1) as acquisition
                    on date_trunc('{grain}', spend_date) = acquisition.period
                join (select date_trunc('{grain}', order_date) as period,
                          sum(net_sales_amount) as net
                      from marts.fct_orders group by 1) as sales
                    on date_trunc('{grain}', spend_date) = sales.period
                group by 1""",
        )
        for grain in ("month", "quarter")
    ),
]


@pytest.fixture(scope="module")
def engine(built: DatabaseEndpoint, built_project: Path) -> Iterator[MetricFlowEngine]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in built.environment().items():
            patch.setenv(name, value)
        patch.chdir(built_project)
        configuration = CLIConfiguration()
        configuration.setup(built_project, built_project, configure_file_logging=False)
        yield configuration.mf


@pytest.fixture
def connection(built: DatabaseEndpoint) -> Iterator[Connection]:
    with connect(built) as opened:
        yield opened


def _columns(connection: Connection, sql: str) -> tuple[list[str], list[tuple[object, ...]]]:
    cursor = connection.execute(sql.encode())
    assert cursor.description is not None
    rows = [
        tuple(cell.date() if isinstance(cell, datetime) else cell for cell in row) for row in cursor
    ]
    return [column.name for column in cursor.description], rows


def _sql(engine: MetricFlowEngine, *metrics: str, by: tuple[str, ...] = ()) -> str:
    request = MetricFlowQueryRequest.create(metric_names=metrics, group_by_names=by)
    return engine.explain(request).sql_statement.sql


@pytest.mark.parametrize(
    "comparison", COMPARISONS, ids=lambda each: f"{each.by[0]}-{COMPARISONS.index(each)}"
)
def test_a_metric_is_what_its_mart_says(
    engine: MetricFlowEngine, connection: Connection, comparison: Comparison
) -> None:
    names, expected_rows = _columns(connection, comparison.sql)
    count = len(comparison.by)
    for place, metric in enumerate(names[count:], start=count):
        expected = {row[:count]: row[place] for row in expected_rows if row[place]}
        columns, rows = _columns(connection, _sql(engine, metric, by=comparison.by))
        where = [columns.index(name) for name in (*comparison.by, metric)]
        found = [tuple(row[each] for each in where) for row in rows]
        assert len({row[:-1] for row in found}) == len(found), metric
        assert expected, metric
        assert {row[:-1]: row[-1] for row in found if row[-1]} == expected, metric


def test_every_metric_is_compared_twice_and_once_by_time(
    engine: MetricFlowEngine, connection: Connection
) -> None:
    compared: dict[str, list[tuple[str, ...]]] = {}
    for comparison in COMPARISONS:
        columns, _ = _columns(connection, f"select * from ({comparison.sql}) as compared limit 0")
        for metric in columns[len(comparison.by) :]:
            compared.setdefault(metric, []).append(comparison.by)
    metrics = {metric.name for metric in engine.list_metrics(include_dimensions=False)}
    assert set(compared) == metrics
    for metric, groupings in compared.items():
        assert len(set(groupings)) >= 2, metric
        assert any(by[0].startswith("metric_time__") for by in groupings), metric


def test_every_metric_says_what_it_is(engine: MetricFlowEngine) -> None:
    for metric in engine.list_metrics(include_dimensions=False):
        assert metric.label, metric.name
        assert (metric.description or "").strip().endswith("."), metric.name


def test_active_customers_of_the_newest_day_are_the_active_ones_of_the_segments(
    engine: MetricFlowEngine, connection: Connection
) -> None:
    _, rows = _columns(connection, _sql(engine, "active_customers", by=("metric_time__day",)))
    [[newest, active]] = connection.execute(
        """select (select max(transaction_date) from marts.fct_sales), count(*)
           from marts.fct_customer_segments where activity_status = 'Active'"""
    )
    assert isinstance(newest, date)
    assert dict(rows)[newest] == active > 0  # type: ignore[call-overload]


def test_every_saved_query_has_rows(engine: MetricFlowEngine, connection: Connection) -> None:
    saved = engine.list_saved_queries()
    assert len(saved) >= 4
    for query in saved:
        request = MetricFlowQueryRequest.create(saved_query_name=query.name)
        columns, rows = _columns(connection, engine.explain(request).sql_statement.sql)
        assert rows, query.name
        assert set(query.query_params.metrics) < set(columns)


def test_metrics_of_an_empty_warehouse_are_nothing(
    engine: MetricFlowEngine, connection: Connection
) -> None:
    facts = "fct_sales, fct_orders, fct_pos_transactions, fct_pos_refunds, fct_marketing_spend"
    with connection.transaction(force_rollback=True):
        connection.execute(f"set local search_path to marts; truncate {facts}".encode())
        for metric in engine.list_metrics(include_dimensions=False):
            _, by_day = _columns(connection, _sql(engine, metric.name, by=("metric_time__day",)))
            assert {row[1] for row in by_day} <= {None, 0}, metric.name
            if metric.name != "active_customers":  # it has a day, or no meaning
                _, [[total]] = _columns(connection, _sql(engine, metric.name))
                assert not total, metric.name
