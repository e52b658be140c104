"""The parts of the warehouse benchmark that compute, and its history."""

import json

import pytest

from benchmarks.warehouse.commands import DbtRun, seconds_of_nodes
from benchmarks.warehouse.history import EVERY, add_events
from benchmarks.warehouse.plan import Options
from benchmarks.warehouse.report import report
from benchmarks.warehouse.run import Increment, Results
from insight.database import connect
from streaming.contract import load_contracts
from streaming.tables import create_tables

_RUN = DbtRun(9.0, {"model.p.fct_sales": 2.0, "model.p.fct_orders.v2": 1.0, "test.p.key.0": 0.5})


def test_history_comes_in_loads_without_a_gap(database):
    create_tables(database, load_contracts())
    with connect(database) as connection:
        assert add_events(connection, 0, 599, load=1) == 600 + 60 + 200 + 8 + 2
        assert add_events(connection, 600, 1199, load=2) == 600 + 60 + 200 + 8 + 2
        for table in EVERY:
            gaps = connection.execute(
                f"""select count(*) from streaming.{table}
                    group by _partition_id having max(_offset) + 1 <> count(*)"""
            ).fetchall()
            assert gaps == [], table
        sales = connection.execute(
            "select count(*), count(distinct transaction_id) from streaming.transactions_raw"
        ).fetchone()
    assert sales == (1_200, 1_176)


def test_seconds_of_models_are_added_up_by_name():
    assert _RUN.models() == 3.0
    assert _RUN.models(["fct_orders"]) == 1.0
    assert _RUN.slowest(1) == [("fct_sales", 2.0)]


def test_seconds_are_read_from_the_record_of_a_command(tmp_path):
    record = tmp_path / "run_results.json"
    record.write_text(json.dumps({"results": [{"unique_id": "model.p.a", "execution_time": 1.5}]}))
    assert seconds_of_nodes(record) == {"model.p.a": 1.5}


def test_growth_is_judged_by_the_time_of_models():
    short, long = Increment(1.0, 4.0, 12.0), Increment(1.4, 6.4, 13.0)
    scaled = (_RUN, _RUN)
    told = report(Results(Options(), _RUN, 5_292_400, 41.0, scaled, 3.0, 99.0, short, long))
    assert "10,000 new sales, long history against short | at most 1.5 x | 1.40 x | met" in told
    assert "all models on streams | at most 1.5 x | 1.60 x | missed" in told
    assert "`dbt build` of 5,292,400 sale lines | at most 300 s | 18.00 s | met" in told


def test_sizes_below_one_are_refused():
    with pytest.raises(ValueError, match="at least 1"):
        Options(times=0)
    assert not Options(scale=5).is_whole
