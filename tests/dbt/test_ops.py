"""What dbt did is kept in schema ops: whole runs, every result, and not for ever."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from databases import create_database, drop_database

from insight.database import DatabaseEndpoint, connect
from insight.services import Services

Dbt = Callable[[str], tuple[bool, str]]
RunDbtIn = Callable[[Path, DatabaseEndpoint, str], tuple[bool, str]]
StartDbt = Callable[..., "subprocess.Popen[str]"]
Rows = list[tuple[Any, ...]]

_TEST = "test.dbt_pipeline.assert_tenure_class_follows_the_months"
_DAYS_OF_A_TEST = """
insert into ops.dbt_run_results
select
    %(node)s, run_number, 'long ago', 'x', 'test', null,
    case run_number when 50 then 'fail' else 'pass' end, run_number in (1, 50, 51), null, 1, null,
    case run_number when 50 then 7 else 0 end, null,
    now() - case run_number when 1 then interval '91 days' else interval '89 days' end
from generate_series(1, 300) as run_number
"""


@pytest.fixture(scope="module")
def folder(copy_project: Callable[[], Path]) -> Path:
    return copy_project()


@pytest.fixture(scope="module")
def endpoint(services: Services, built: DatabaseEndpoint) -> Iterator[DatabaseEndpoint]:
    """A copy of the built warehouse for this module."""
    copy = create_database(services, f"{built.dbname}_ops", built.dbname)
    yield copy
    drop_database(services, copy.dbname)


@pytest.fixture
def dbt(run_dbt: RunDbtIn, folder: Path, endpoint: DatabaseEndpoint) -> Dbt:
    return partial(run_dbt, folder, endpoint)


def _fetch(endpoint: DatabaseEndpoint, query: str, **values: object) -> Rows:
    with connect(endpoint) as connection:
        return connection.execute(query, values).fetchall()


def _execute(endpoint: DatabaseEndpoint, *statements: str) -> None:
    with connect(endpoint) as connection:
        for statement in statements:
            connection.execute(statement)


def _counts(endpoint: DatabaseEndpoint) -> Rows:
    return _fetch(
        endpoint,
        "select (select count(*) from ops.dbt_runs), (select count(*) from ops.dbt_run_results)",
    )


def test_a_command_writes_one_row_for_each_result(
    dbt: Dbt, folder: Path, endpoint: DatabaseEndpoint
) -> None:
    success, output = dbt("dbt build --select stg_customers dim_customer")
    assert success, output
    told = json.loads((folder / "target" / "run_results.json").read_text())
    expected = {
        (each["unique_id"], each["status"], round(each["execution_time"], 3), each["failures"])
        for each in told["results"]
        if not each["unique_id"].startswith("operation.")
    }
    invocation = told["metadata"]["invocation_id"]
    written = _fetch(
        endpoint,
        """select node_id, status, execution_seconds::float, failures from ops.dbt_run_results
           where invocation_id = %(id)s""",
        id=invocation,
    )
    assert len(written) == len(expected)
    assert set(written) == expected
    [run] = _fetch(
        endpoint,
        """select command, target, result_count, failed_count from ops.dbt_runs
           where invocation_id = %(id)s""",
        id=invocation,
    )
    assert run == ("build", "warehouse", len(expected), 0)
    [rows] = _fetch(
        endpoint,
        """select rows_affected = (select count(*) from marts.dim_customer)
           from ops.dbt_run_results where name = 'dim_customer' and invocation_id = %(id)s""",
        id=invocation,
    )
    assert rows == (True,)


def test_a_failing_test_is_kept_with_its_count_and_shown_as_a_flip(
    dbt: Dbt, endpoint: DatabaseEndpoint
) -> None:
    _execute(endpoint, "update marts.dim_customer set customer_segment = 'x' where gender = 'M'")
    success, _ = dbt("dbt test --select assert_tenure_class_follows_the_months")
    assert not success
    [(wrong,)] = _fetch(endpoint, "select count(*) from marts.dim_customer where gender = 'M'")
    [result] = _fetch(
        endpoint,
        """select status, is_change, failures, message from ops.dbt_run_results
           where node_id = %(node)s order by run_number desc limit 1""",
        node=_TEST,
    )
    assert result[:3] == ("fail", True, wrong)
    assert result[3].startswith(f"Got {wrong} results")
    success, output = dbt("dbt run --select stg_dbt_run_results dim_customer tag:ops")
    assert success, output
    [mart] = _fetch(
        endpoint,
        """select last_status, failed_run_count, flip_count, last_failure_row_count, flakiness_rank
           from marts.fct_dbt_test_flakiness where node_id = %(node)s""",
        node=_TEST,
    )
    assert mart == ("fail", 1, 1, wrong, 1)


@pytest.mark.parametrize(
    "typed",
    [
        "dbt ls --select dim_customer",
        "dbt show --select dim_customer",
        "dbt run-operation get_row_count --args '{table_name: dim_customer}'",
        "dbt docs generate --empty-catalog",
        "dbt run --empty --select int_sale_lines",
    ],
)
def test_a_command_that_builds_nothing_writes_nothing(
    dbt: Dbt, endpoint: DatabaseEndpoint, typed: str
) -> None:
    before = _counts(endpoint)
    success, output = dbt(typed)
    assert success, output
    assert _counts(endpoint) == before


def test_books_that_cannot_be_written_warn_and_fail_nothing(
    dbt: Dbt, endpoint: DatabaseEndpoint
) -> None:
    before = _counts(endpoint)
    name = endpoint.dbname
    _execute(endpoint, f"alter database {name} set default_transaction_read_only = on")
    try:
        success, output = dbt("dbt test --select unique_dim_customer_customer_id")
    finally:
        _execute(
            endpoint,
            "set transaction read write",
            f"alter database {name} reset default_transaction_read_only",
        )
    assert success, output
    assert "not kept in ops: cannot execute INSERT in a read-only transaction" in output
    assert _counts(endpoint) == before


def test_a_run_cut_off_while_it_writes_leaves_nothing(
    folder: Path, endpoint: DatabaseEndpoint, start_dbt: StartDbt
) -> None:
    before = _counts(endpoint)
    with connect(endpoint) as blocking:
        # The row of the run is written when the rows of its results have to wait.
        blocking.execute("lock table ops.dbt_run_results in share mode")
        running = start_dbt(folder, endpoint, "test", "--select", "unique_dim_customer_customer_id")
        _cut_off_the_waiting(endpoint)
    running.communicate(timeout=120)
    assert _counts(endpoint) == before


def _cut_off_the_waiting(endpoint: DatabaseEndpoint) -> None:
    query = """select pg_terminate_backend(pid) from pg_stat_activity
               where datname = current_database() and wait_event_type = 'Lock'"""
    for _ in range(1200):
        if _fetch(endpoint, query):
            return
        time.sleep(0.1)
    raise AssertionError("dbt never waited for the lock")


def test_two_commands_at_once_lose_nothing(
    copy_project: Callable[[], Path], folder: Path, endpoint: DatabaseEndpoint, start_dbt: StartDbt
) -> None:
    _execute(endpoint, "drop schema ops cascade")
    selection = ("test", "--select", "dim_customer,test_type:data")
    running = [start_dbt(each, endpoint, *selection) for each in (folder, copy_project())]
    outputs = [process.communicate(timeout=240)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0], outputs
    assert not any("not kept" in output for output in outputs)
    runs = _fetch(endpoint, "select invocation_id, result_count from ops.dbt_runs")
    assert len(runs) == 2
    assert _fetch(
        endpoint, "select invocation_id, count(*) from ops.dbt_run_results group by 1 order by 1"
    ) == sorted(runs)
    numbers = _fetch(
        endpoint,
        """select distinct array_agg(run_number order by run_number) from ops.dbt_run_results
           group by node_id""",
    )
    assert numbers == [([1, 2],)]


def test_only_the_newest_results_and_the_changes_before_them_stay(
    dbt: Dbt, endpoint: DatabaseEndpoint
) -> None:
    _execute(
        endpoint,
        "create schema if not exists ops",
        "delete from ops.dbt_run_results where name = 'assert_tenure_class_follows_the_months'",
        """insert into ops.dbt_runs
           values ('long ago', 'test', 'x', 'x', false, 1, 0, '2020-01-01', '2020-01-01'),
                  ('forgotten', 'test', 'x', 'x', false, 1, 0, '2020-01-01', '2020-01-01')""",
    )
    with connect(endpoint) as connection:
        connection.execute(_DAYS_OF_A_TEST, {"node": _TEST})
    success, output = dbt("dbt test --select assert_tenure_class_follows_the_months")
    assert success, output
    kept = _fetch(
        endpoint,
        "select run_number from ops.dbt_run_results where node_id = %(node)s order by 1",
        node=_TEST,
    )
    # Run 1 is a change too, but too old.
    assert [number for (number,) in kept] == [50, 51, *range(102, 302)]
    runs = _fetch(endpoint, "select invocation_id from ops.dbt_runs")
    assert ("long ago",) in runs
    assert ("forgotten",) not in runs
    assert dbt("dbt run --select tag:ops")[0]
    [counted] = _fetch(
        endpoint,
        """select run_count, failed_run_count, flip_count from marts.fct_dbt_test_flakiness
           where node_id = %(node)s""",
        node=_TEST,
    )
    assert counted == (301 - 49, 1, 1)


def test_freshness_follows_the_contracts_and_is_kept(dbt: Dbt, endpoint: DatabaseEndpoint) -> None:
    ages = {
        "raw.customers": ("1 day", "pass"),
        "raw.tax_amount": ("31 days", "warn"),
        "raw.discount_coupon": ("91 days", "error"),
        "streaming.transactions_raw": ("1 minute", "pass"),
        "streaming.refunds_raw": ("6 minutes", "warn"),
        "streaming.account_transactions_raw": ("8 days", "error"),
        "streaming.news_events_raw": ("30 minutes", "pass"),
    }
    for table, (age, _) in ages.items():
        column = "_loaded_at" if table.startswith("raw.") else "ingestion_timestamp"
        _execute(endpoint, f"update {table} set {column} = now() - interval '{age}'")
    selected = " ".join(f"source:{table}" for table in ages)
    success, _ = dbt(f"dbt source freshness --select {selected}")
    assert not success
    written = _fetch(
        endpoint,
        """select substring(node_id from '\\w+\\.\\w+$'), status from ops.dbt_run_results
           where resource_type = 'source'""",
    )
    assert dict(written) == {table: status for table, (_, status) in ages.items()}
