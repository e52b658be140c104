"""The parts of the RFM benchmark that compute, and the orders that it makes."""

from benchmarks import rfm
from benchmarks.rfm import Results, report
from insight.database import DatabaseEndpoint, connect


def test_the_orders_are_those_of_skewed_customers_in_one_year(database: DatabaseEndpoint) -> None:
    rfm._fill(database, 10_000)
    with connect(database) as connection:
        row = connection.execute(
            """select count(*), count(distinct order_id), min(order_date) >= '2019-01-01',
                   max(order_date) <= '2019-12-31',
                   count(*) filter (where customer_id::int < 200) between 4000 and 5000
               from marts.fct_orders"""
        ).fetchone()
    assert row == (10_000, 10_000, True, True, True)
    assert rfm._plain_query(database) > 0


def test_the_report_adds_the_cut_points_and_says_whether_it_is_quick_enough() -> None:
    results = Results(10_000_000, 770_000, 15.0, 2.5, 22.0, 10.0)
    written = report(results)
    assert "| RFM of 10,000,000 orders | at most 20 s | 17.50 s | met |" in written
    assert "1.50 times as long as the plain query" in written
    assert "| missed |" in report(Results(10_000_000, 770_000, 15.0, 5.5, 22.0, 10.0))
