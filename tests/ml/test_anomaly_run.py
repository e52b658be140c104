"""Anomalies of revenue: the run from mart to table and report, its evaluation, its sentences."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from invented_series import DAY, minutes_of, noise

from insight.database import DatabaseEndpoint, connect
from insight.errors import StageError
from ml_pipeline.anomalies.evaluation import Planted, alarm_count, evaluate
from ml_pipeline.anomalies.revenue import product_series
from ml_pipeline.anomalies.run import AnomalyReport, find_revenue_anomalies
from ml_pipeline.results import create_tables

FIRST = datetime.fromtimestamp(minutes_of(1)[0], UTC)
SPIKE = Planted(
    "spike", FIRST + timedelta(days=4, hours=9), FIRST + timedelta(days=4, hours=9, minutes=3)
)
_ROWS = "select product_id, window_start, direction, score from ml.revenue_anomalies order by 1, 2"


def _minute(days: float) -> datetime:
    return FIRST + timedelta(minutes=round(days * DAY))


@pytest.fixture
def sold() -> list[tuple[str, datetime, float]]:
    """Six days of two products with a spike of three minutes, as rows of the mart."""
    values = noise("seasonal counts", 11, 6, series=2)
    begin = round((SPIKE.first - FIRST).total_seconds() // 60)
    values[begin : begin + 3] += 300.0
    rows, columns = np.nonzero(values)
    return [
        (("007", "NA")[column], FIRST + timedelta(minutes=row), values[row, column])
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
    ]


@pytest.fixture
def filled(database: DatabaseEndpoint, sold) -> DatabaseEndpoint:
    _fill(database, sold)
    return database


def _fill(database: DatabaseEndpoint, rows) -> None:
    create_tables(database)
    with connect(database) as connection:
        connection.execute("create schema if not exists marts")
        connection.execute(
            "create table if not exists marts.fct_product_metrics_minute"
            " (product_id text, window_start timestamptz, total_revenue numeric(14, 2))"
        )
        connection.execute("truncate marts.fct_product_metrics_minute")
        with connection.cursor().copy("copy marts.fct_product_metrics_minute from stdin") as copy:
            for row in rows:
                copy.write_row(row)


def _run(database: DatabaseEndpoint, folder: Path, planted=None) -> AnomalyReport:
    return find_revenue_anomalies(database, model_dir=folder, planted=lambda: planted)


def _written(database: DatabaseEndpoint) -> list[tuple[object, ...]]:
    with connect(database) as connection:
        return connection.execute(_ROWS).fetchall()


def test_a_run_writes_the_flagged_minutes_and_a_report(filled, tmp_path) -> None:
    report = _run(filled, tmp_path, [SPIKE])
    assert (report.products, report.unchanged) == (2, False)
    rows = _written(filled)
    assert report.flagged == len(rows)
    for product in ("007", "NA"):
        inside = [row for row in rows if row[0] == product and SPIKE.first <= row[1] < SPIKE.last]
        assert inside
        assert {row[2] for row in inside} == {"spike"}
        assert all(row[3] >= 5.7 for row in inside)
    text = (tmp_path / "revenue_anomalies.md").read_text()
    assert "| spike | 2 | 2 | 100.0% |" in text
    assert "2 products, " in text
    with connect(filled) as connection:
        row = connection.execute(
            "select reason, expected_revenue < actual_revenue from ml.revenue_anomalies"
            " order by score desc limit 1"
        ).fetchone()
    assert row is not None
    assert "is usual" in row[0]
    assert row[1]


def test_two_runs_write_the_same_and_unchanged_data_are_not_scored_again(filled, tmp_path) -> None:
    first = _run(filled, tmp_path / "a", [SPIKE])
    rows = _written(filled)
    again = _run(filled, tmp_path / "a", [SPIKE])
    assert again == AnomalyReport(
        first.products, first.minutes, first.flagged, first.alarms, unchanged=True
    )
    assert not _run(filled, tmp_path / "b", [SPIKE]).unchanged
    assert _written(filled) == rows
    for name in ("md", "json", "png"):
        one, other = (tmp_path / folder / f"revenue_anomalies.{name}" for folder in "ab")
        assert one.exists() == other.exists()
        assert not one.exists() or one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("harm", ["table", "document", "unreadable document", "sale"])
def test_what_is_no_longer_so_is_made_anew(filled, sold, tmp_path, harm) -> None:
    _run(filled, tmp_path)
    rows = _written(filled)
    document = tmp_path / "revenue_anomalies.json"
    if harm == "table":
        with connect(filled) as connection:
            connection.execute("update ml.revenue_anomalies set score = 1")
    elif harm == "document":
        document.unlink()
    elif harm == "unreadable document":
        document.write_text("{}")
    else:
        _fill(filled, [*sold, ("007", _minute(6), 3.0)])
    assert not _run(filled, tmp_path).unchanged
    assert _written(filled) == rows
    assert _run(filled, tmp_path).unchanged


def test_without_sales_there_is_nothing_and_it_is_said(database, tmp_path) -> None:
    _fill(database, [])
    assert _run(database, tmp_path).products == 0
    assert "no sales of tills" in (tmp_path / "revenue_anomalies.md").read_text()
    _fill(database, [("P1", FIRST, 10.0)])
    report = _run(database, tmp_path)
    assert (report.products, report.minutes, report.flagged) == (1, 1, 0)


def test_without_the_mart_the_error_names_the_command(database, tmp_path) -> None:
    create_tables(database)
    with pytest.raises(StageError, match=r"fct_product_metrics_minute.*insight transform"):
        _run(database, tmp_path)


def test_minutes_without_a_sale_are_zero_from_the_first_sale_to_the_newest_of_all() -> None:
    frame = pd.DataFrame(
        [("a", _minute(0), 5.0), ("b", _minute(2 / DAY), 7.0), ("a", _minute(4 / DAY), 1.0)],
        columns=["product_id", "window_start", "revenue"],
    )
    series = product_series(frame)
    assert series.products == ("a", "b")
    assert series.minutes[-1] == _minute(4 / DAY)
    np.testing.assert_array_equal(series.values.T, [[5, 0, 0, 0, 1], [np.nan, np.nan, 7, 0, 0]])


def _flags(*minutes: int, direction: str = "spike", series: str = "a") -> pd.DataFrame:
    times = [FIRST + timedelta(minutes=each) for each in minutes]
    frame = pd.DataFrame({"series": series, "time": pd.DatetimeIndex(times, tz="UTC")})
    return frame.assign(direction=direction)


def test_precision_and_recall_count_alarms_and_planted_pairs() -> None:
    planted = [
        Planted("spike", _minute(0), _minute(5 / DAY)),
        Planted("drop", _minute(200 / DAY), _minute(290 / DAY)),
    ]
    flagged = pd.concat([_flags(2, 3, 9), _flags(100, 120), _flags(300, direction="drop")])
    spikes, drops = evaluate(flagged, ["a", "b"], planted)
    assert (spikes.planted, spikes.found, spikes.alarms, spikes.right) == (2, 1, 3, 1)
    assert (spikes.recall, spikes.precision, spikes.delay_minutes) == (0.5, 1 / 3, 2.0)
    # The drop is told after its end: the alarm is right, but it did not find it in time.
    assert (drops.planted, drops.found, drops.alarms, drops.right) == (2, 0, 1, 1)
    assert alarm_count(flagged) == 4


def test_without_planted_or_flags_there_is_no_share() -> None:
    spikes, _ = evaluate(_flags()[:0], ["a"], [])
    assert (spikes.recall, spikes.precision, spikes.delay_minutes) == (None, None, None)
