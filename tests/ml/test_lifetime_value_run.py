"""The run: from orders to rows, document and report, again, after a crash, and with bad data."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from insight.database import DatabaseEndpoint, connect
from insight.errors import InputError, IntegrityError, StageError
from ml_pipeline.lifetime_value.document import load
from ml_pipeline.lifetime_value.marts import read_as_of, read_summaries, read_summary
from ml_pipeline.lifetime_value.run import LifetimeValueReport, value_customers
from ml_pipeline.lifetime_value.summary import summarise_orders
from ml_pipeline.results import CUSTOMER_LIFETIME_VALUE, create_tables, replace_rows

_A_ROW = ("x", "mbg_nbd", "2020-01-01", 90, 0, 0, 1, None, 0, 0, 0, None, None)

Orders = Callable[..., pd.DataFrame]
FillOrders = Callable[[DatabaseEndpoint, pd.DataFrame], None]
Run = Callable[..., LifetimeValueReport]


@pytest.fixture
def filled(database: DatabaseEndpoint, orders: Orders, fill_orders: FillOrders) -> DatabaseEndpoint:
    fill_orders(database, orders(400))
    return database


@pytest.fixture
def run(database: DatabaseEndpoint, tmp_path: Path) -> Run:
    def run_it(**options: object) -> LifetimeValueReport:
        folder = tmp_path / str(options.pop("folder", "models"))
        options.setdefault("origin", "own")
        return value_customers(database, model_dir=folder, **options)  # type: ignore[arg-type]

    return run_it


def _rows(database: DatabaseEndpoint) -> list[tuple[object, ...]]:
    with connect(database) as connection:
        return connection.execute(
            "select * from ml.customer_lifetime_value order by customer_id"
        ).fetchall()


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_aggregate_reads_what_the_orders_say(filled: DatabaseEndpoint, orders: Orders) -> None:
    made = orders(400)
    unknown = made[:3].assign(customer_id="-1", order_date=date(2020, 1, 4))
    with connect(filled) as connection:
        connection.cursor().executemany(
            "insert into marts.fct_orders values (%s, %s, %s)",
            unknown.itertuples(index=False, name=None),
        )
        assert read_as_of(connection) == date(2020, 1, 5)
        for as_of in (date(2020, 1, 5), date(2019, 9, 1), date(2019, 1, 1)):
            pd.testing.assert_frame_equal(
                read_summary(connection, as_of), summarise_orders(made, as_of=as_of)
            )
            earlier = as_of - timedelta(days=45)
            pd.testing.assert_frame_equal(
                read_summaries(connection, as_of, earlier)[1],
                summarise_orders(made, as_of=earlier),
            )


def test_a_run_writes_rows_document_report_and_figures(
    filled: DatabaseEndpoint, run: Run, tmp_path: Path
) -> None:
    report = run()
    assert (report.customers, report.unchanged, report.skipped_reason) == (400, False, None)
    assert report.sentence() == "value of 400 over 90 days"
    rows = _rows(filled)
    assert len(rows) == 400
    assert {row[1:4] for row in rows} == {("mbg_nbd", date(2020, 1, 1), 90)}
    text = (tmp_path / "models" / "lifetime_value-own.md").read_text()
    for expected in (
        "your own data", "Customers: 400", "MBG/NBD", "alpha = ", " days, a = ", "gamma-gamma",
        "Expected in the next 90 days", "what happened", "BG/NBD alive", "Area under the curve",
        "90 days before the end", "scipy", "Rows of ml.customer_lifetime_value: 400",
    ):  # fmt: skip
        assert expected in text
    figures = re.findall(r"!\[.*\]\((.*)\)", text)
    assert len(figures) == 3
    for figure in figures:
        assert b"<svg" in (tmp_path / "models" / figure).read_bytes()


def test_the_rows_are_what_the_stored_models_say(
    filled: DatabaseEndpoint, run: Run, tmp_path: Path
) -> None:
    run(horizon_days=30)
    stored = load(tmp_path / "models" / "lifetime_value-own.json")
    assert stored is not None
    rows = pd.DataFrame(_rows(filled)).iloc[:, [4, 8, 12]].astype(float)
    assert stored.rows.rows == len(rows) == stored.customers
    assert stored.repeaters == (rows[4] > 0).sum()
    expected = sum(each.expected_purchases for each in stored.fifths)
    assert expected == pytest.approx(rows[8].sum(), abs=0.01)
    value = sum(each.expected_value or 0.0 for each in stored.fifths)
    assert value == pytest.approx(rows[12].sum(), rel=0.001)
    assert stored.calibration is not None
    assert stored.calibration.holdout_days == 30


def test_two_runs_from_nothing_write_the_same(
    filled: DatabaseEndpoint, run: Run, tmp_path: Path
) -> None:
    run(folder="a")
    rows = _rows(filled)
    run(folder="b")
    assert _files(tmp_path / "a") == _files(tmp_path / "b")
    assert _rows(filled) == rows


def test_running_again_writes_nothing(filled: DatabaseEndpoint, run: Run, tmp_path: Path) -> None:
    run()
    with connect(filled) as connection:
        connection.execute(
            "create function ml.refuse() returns trigger language plpgsql as"
            " $$ begin raise 'written again'; end $$"
        )
        connection.execute(
            "create trigger refuse before insert or delete or update or truncate"
            " on ml.customer_lifetime_value for each statement execute function ml.refuse()"
        )
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "models").iterdir()}
    again = run()
    assert again.unchanged
    assert again.sentence().endswith("unchanged")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "models").iterdir()} == before


def test_another_horizon_model_or_day_is_another_result(filled: DatabaseEndpoint, run: Run) -> None:
    run()
    for other in (
        {"horizon_days": 30},
        {"family": "bg_nbd"},
        {"as_of": date(2019, 11, 1)},
    ):
        assert not run(**other).unchanged
        assert run(**other).unchanged
    assert {row[2] for row in _rows(filled)} == {date(2019, 11, 1)}


def test_new_orders_are_another_result(
    filled: DatabaseEndpoint, run: Run, orders: Orders, fill_orders: FillOrders
) -> None:
    run()
    fill_orders(filled, orders(401))
    assert not run().unchanged
    assert len(_rows(filled)) == 401


@pytest.mark.parametrize("name", ["lifetime_value-own.md", "lifetime_value-own-value.svg"])
def test_a_lost_file_is_written_again(
    filled: DatabaseEndpoint, run: Run, tmp_path: Path, name: str
) -> None:
    run()
    clean = _files(tmp_path)
    (tmp_path / "models" / name).unlink()
    assert not run().unchanged
    assert _files(tmp_path) == clean


@pytest.mark.parametrize(
    "change",
    [
        "truncate ml.customer_lifetime_value",
        "update ml.customer_lifetime_value set expected_value = 7 where customer_id = '10'",
        "drop table ml.customer_lifetime_value",
    ],
)
def test_rows_that_are_not_those_of_the_document_are_written_again(
    filled: DatabaseEndpoint, run: Run, change: str
) -> None:
    run()
    rows = _rows(filled)
    with connect(filled) as connection:
        connection.execute(change)
    assert not run().unchanged
    assert _rows(filled) == rows
    assert run().unchanged


def test_own_and_generated_data_have_a_document_each(filled: DatabaseEndpoint, run: Run) -> None:
    run()
    assert not run(origin="generated").unchanged
    assert run().unchanged


def test_customers_too_few_or_too_equal_empty_the_table_and_say_why(
    database: DatabaseEndpoint, run: Run, orders: Orders, fill_orders: FillOrders
) -> None:
    create_tables(database)
    some = orders(400)
    same = pd.DataFrame(
        {
            "customer_id": np.repeat(np.arange(80), 2).astype(str),
            "order_date": [date(2019, 5, 1), date(2019, 6, 1)] * 80,
            "net_sales_amount": 10.0,
        }
    )
    for bad, why in (
        (some[:0], "there are no orders"),
        (some[some["customer_id"] == "0"], "1 customers, the models need at least 50"),
        (some.drop_duplicates("customer_id"), "0 of 400 customers bought on a second day"),
        (same, "80 customers have 1 different histories"),
    ):
        with connect(database) as connection:
            replace_rows(connection, CUSTOMER_LIFETIME_VALUE, [_A_ROW])
        fill_orders(database, bad)
        report = run()
        assert report.skipped_reason is not None
        assert report.skipped_reason.startswith(why)
        assert report.sentence().startswith("lifetime value skipped: ")
        assert _rows(database) == []


def test_money_below_zero_is_named_and_leaves_no_rows(filled: DatabaseEndpoint, run: Run) -> None:
    with connect(filled) as connection:
        connection.execute("insert into marts.fct_orders values ('10', '2019-12-31', -9999999)")
    reason = run().skipped_reason
    assert reason is not None
    assert reason.startswith("customer 10: mean_order_value is negative")
    assert "Take refunds off" in reason


def test_order_values_that_cannot_be_modelled_leave_the_purchases(
    filled: DatabaseEndpoint, run: Run, tmp_path: Path
) -> None:
    with connect(filled) as connection:
        connection.execute("update marts.fct_orders set net_sales_amount = 0")
    assert run().skipped_reason is None
    rows = _rows(filled)
    assert len(rows) == 400
    assert {row[11:] for row in rows} == {(None, None)}
    text = (tmp_path / "models" / "lifetime_value-own.md").read_text()
    assert "Order values: none, because gamma-gamma: 0 customers have repeat purchases" in text
    assert run().unchanged


def test_a_young_shop_has_a_forecast_without_a_calibration(
    filled: DatabaseEndpoint, run: Run, tmp_path: Path
) -> None:
    with connect(filled) as connection:
        connection.execute(
            "update marts.fct_orders set order_date = '2019-12-31'::date"
            " - ('2019-12-31'::date - order_date) / 30"
        )
    assert run().skipped_reason is None
    text = (tmp_path / "models" / "lifetime_value-own.md").read_text()
    assert "None: calibration: a holdout of 6 days is too short" in text
    assert "more than half of the history" in text
    assert not (tmp_path / "models" / "lifetime_value-own-calibration.svg").exists()


def test_a_horizon_of_no_days_and_a_foreign_document_are_refused(
    filled: DatabaseEndpoint, run: Run, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="cannot look 0 days ahead"):
        run(horizon_days=0)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "lifetime_value-own.json").write_text('{"format": 2}')
    with pytest.raises(IntegrityError, match=r"lifetime_value-own\.json.*Move it away"):
        run()


def test_without_the_mart_the_error_names_the_command(run: Run) -> None:
    with pytest.raises(StageError, match=r"marts\.fct_orders.*insight transform"):
        run()
