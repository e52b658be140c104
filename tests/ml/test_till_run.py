"""Clusters of the tills' customers: written, kept while nothing changes, replaced, and left out."""

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from psycopg.errors import ForeignKeyViolation

from insight.database import DatabaseEndpoint, connect
from insight.errors import InputError, StageError
from ml_pipeline import till_run
from ml_pipeline.results import create_tables
from ml_pipeline.till_run import TillClusters, cluster_till_customers

Population = Callable[..., pd.DataFrame]
_NEWEST = date(2019, 12, 31)


@pytest.fixture
def tills(database: DatabaseEndpoint, population: Population) -> DatabaseEndpoint:
    """A database with the marts of 200 customers in five planted groups, and no refund."""
    create_tables(database)
    with connect(database) as connection:
        connection.execute("create schema marts")
        connection.execute(
            "create table marts.fct_pos_transactions"
            " (transaction_id text, customer_id text, date_day date, amount numeric(12, 2))"
        )
        connection.execute(
            "create table marts.fct_pos_refunds"
            " (original_transaction_id text, date_day date, refund_amount numeric(12, 2))"
        )
        with connection.cursor().copy("copy marts.fct_pos_transactions from stdin") as copy:
            for row in _sales(population(200)):
                copy.write_row(row)
    return database


def _sales(rfm: pd.DataFrame) -> list[tuple[object, ...]]:
    """One sale a customer and day, that make the frame's days, orders and money."""
    return [
        (
            f"{customer}-{order}",
            customer,
            _NEWEST - timedelta(days=int(days) - 1 + order),
            round(money / orders, 2),
        )
        for customer, days, orders, money in rfm[
            ["customer_id", "recency_days", "frequency", "monetary"]
        ].itertuples(index=False)
        for order in range(orders)
    ]


def _clusters(database: DatabaseEndpoint) -> dict[object, object]:
    with connect(database) as connection:
        return dict(
            connection.execute(
                "select customer_id, cluster_id from ml.pos_customer_clusters"
            ).fetchall()  # type: ignore[arg-type]
        )


def _execute(database: DatabaseEndpoint, statement: str) -> None:
    with connect(database) as connection:
        connection.execute(statement)


def test_every_customer_has_a_cluster_and_the_richest_is_number_0(tills: DatabaseEndpoint) -> None:
    report = cluster_till_customers(tills)
    assert report == TillClusters(200, 5)
    assert report.sentence() == "200 till customers in 5 clusters"
    clusters = _clusters(tills)
    assert len(clusters) == 200
    with connect(tills) as connection:
        money = connection.execute(
            """select cluster_id, exp(avg(ln(amount))) as typical from (
                   select customer_id, sum(amount) as amount from marts.fct_pos_transactions
                   group by 1) as customers
               join ml.pos_customer_clusters using (customer_id)
               group by 1 order by 1"""
        ).fetchall()
    assert [cluster for cluster, _ in money] == list(range(5))
    typical = [float(str(amount)) for _, amount in money]
    assert typical == sorted(typical, reverse=True)


def test_nothing_is_written_while_nothing_changes(
    tills: DatabaseEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster_till_customers(tills)
    before = _clusters(tills)
    with monkeypatch.context() as patch:
        patch.delattr(till_run, "replace_rows")
        again = cluster_till_customers(tills)
    assert again == TillClusters(200, 5, unchanged=True)
    assert again.sentence() == "200 till customers in 5 clusters, unchanged"
    assert _clusters(tills) == before


@pytest.mark.parametrize(
    ("change", "options"),
    [
        ("insert into marts.fct_pos_transactions values ('new', 'new', '2019-12-30', 7)", {}),
        ("insert into marts.fct_pos_refunds select transaction_id, date_day, 1 from"
         " marts.fct_pos_transactions limit 1", {}),
        ("select 1", {"as_of": date(2020, 2, 1)}),
        ("select 1", {"k": 4}),
    ],
    ids=["sale", "refund", "as-of date", "k"],
)  # fmt: skip
def test_another_sale_refund_day_or_number_is_another_clustering(
    tills: DatabaseEndpoint, change: str, options: dict[str, object]
) -> None:
    cluster_till_customers(tills)
    _execute(tills, change)
    assert not cluster_till_customers(tills, **options).unchanged  # type: ignore[arg-type]
    assert cluster_till_customers(tills, **options).unchanged  # type: ignore[arg-type]


def test_the_order_of_the_rows_has_no_say(tills: DatabaseEndpoint) -> None:
    cluster_till_customers(tills)
    before = _clusters(tills)
    _execute(
        tills,
        """create table marts.shuffled as
               select * from marts.fct_pos_transactions order by md5(transaction_id);
           drop table marts.fct_pos_transactions;
           alter table marts.shuffled rename to fct_pos_transactions;
           truncate ml.pos_clustering, ml.pos_customer_clusters""",
    )
    cluster_till_customers(tills)
    assert _clusters(tills) == before


def test_a_failed_run_leaves_labels_and_model_of_before(tills: DatabaseEndpoint) -> None:
    cluster_till_customers(tills)
    before = _clusters(tills)
    _execute(
        tills,
        """create table ml.allowed (customer_id text primary key);
           insert into ml.allowed select customer_id from ml.pos_customer_clusters;
           alter table ml.pos_customer_clusters
               add foreign key (customer_id) references ml.allowed;
           insert into marts.fct_pos_transactions values ('new', 'new', '2019-12-30', 7)""",
    )
    with pytest.raises(ForeignKeyViolation):
        cluster_till_customers(tills)
    assert _clusters(tills) == before
    _execute(tills, "delete from marts.fct_pos_transactions where customer_id = 'new'")
    assert cluster_till_customers(tills).unchanged


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("truncate marts.fct_pos_transactions", "there are no sales"),
        ("delete from marts.fct_pos_transactions where customer_id <> (select min(customer_id)"
         " from marts.fct_pos_transactions)",
             "1 customer with sales, segments need at least 50; load more sales"),
        ("delete from marts.fct_pos_transactions;"
         " insert into marts.fct_pos_transactions"
         " select i::text, i::text, '2019-12-31', 5 from generate_series(1, 60) as i",
         "all customers are equal, nothing tells them apart; check the sales"),
    ],
)  # fmt: skip
def test_too_few_customers_have_no_cluster_and_the_run_says_why(
    tills: DatabaseEndpoint, change: str, reason: str
) -> None:
    cluster_till_customers(tills)
    _execute(tills, change)
    report = cluster_till_customers(tills)
    assert report.sentence() == f"no clusters of till customers: {reason}"
    assert _clusters(tills) == {}


def test_it_makes_its_tables_when_they_are_missing(tills: DatabaseEndpoint) -> None:
    _execute(tills, "drop schema ml cascade")
    assert cluster_till_customers(tills) == TillClusters(200, 5)


def test_without_marts_it_says_what_to_run(database: DatabaseEndpoint) -> None:
    with pytest.raises(StageError, match=r"fct_pos_transactions: there are no sales.*transform"):
        cluster_till_customers(database)


@pytest.mark.parametrize("k", [1, 11])
def test_an_impossible_number_of_clusters_is_refused(database: DatabaseEndpoint, k: int) -> None:
    with pytest.raises(InputError, match=f"cannot make {k} clusters. Use 2 to 10"):
        cluster_till_customers(database, k=k)


def test_refunds_above_the_purchases_are_no_obstacle(tills: DatabaseEndpoint) -> None:
    _execute(
        tills,
        """insert into marts.fct_pos_refunds
               select transaction_id, date_day, 3 * amount from marts.fct_pos_transactions
               where hashtext(customer_id) % 3 = 0""",
    )
    cluster_till_customers(tills)
    assert np.isin(list(_clusters(tills).values()), range(5)).all()
