"""The role `schedule`: refreshes what moved, never hides a failure, and waits when it must."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import waiting

from insight.database import DatabaseEndpoint, connect
from insight.errors import StageError
from insight.services import Services
from insight.settings import load_settings
from insight.stages import Context
from insight.stages.schedule import refresh_when_loaded
from insight.stages.warm_dbt import Interrupted, WarmDbt

eventually = partial(waiting.eventually, seconds=90)

_TABLES = """
create schema streaming; create schema marts;
create table marts.dim_datetime ();
create view streaming.stream_status as select 1 as one;
create table streaming.streams as
    select name as stream, name || '_raw' as table_name from unnest('{a,b}'::text[]) as name;
create table streaming.stream_progress as select stream, 0 as rows_total from streaming.streams;
create table streaming.a_raw (id integer);
create table streaming.b_raw (id integer);
"""

_PROJECT = {
    "dbt_project.yml": """
name: small
profile: small
models:
  +schema: models
  +tags: [streaming]
""",
    "selectors.yml": """
selectors:
  - name: streaming
    definition: {method: tag, value: streaming, children: true}
""",
    "profiles.yml": """
small:
  target: here
  outputs:
    here:
      type: postgres
      host: "{{ env_var('PGHOST') }}"
      port: "{{ env_var('PGPORT') | as_number }}"
      user: "{{ env_var('PGUSER') }}"
      password: "{{ env_var('PGPASSWORD') }}"
      dbname: "{{ env_var('PGDATABASE') }}"
      schema: small
      threads: 1
""",
    "models/models.yml": """
sources:
  - name: streaming
    tables: [{name: a_raw}, {name: b_raw}]
models:
  - name: from_a
    columns: [{name: id, data_tests: [unique]}]
""",
    "models/from_a.sql": "select id, now() as made_at from {{ source('streaming', 'a_raw') }}",
    "models/from_b.sql": "select id, now() as made_at from {{ source('streaming', 'b_raw') }}",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A dbt project of two models, each on a stream of its own."""
    for name, text in _PROJECT.items():
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("select id", "{{ config(materialized='table') }} select id"))
    return tmp_path / "project"


@pytest.fixture
def ask(database: DatabaseEndpoint) -> Callable[[str], object]:
    """The first value of a query, None while its table is not there."""

    def run(query: str) -> object:
        with connect(database) as connection:
            row = connection.execute(query.encode()).fetchone()
        return None if row is None else row[0]

    return run


def context_of(database: DatabaseEndpoint, home: Path, project: Path) -> Context:
    settings = load_settings().model_copy(update={"home": home, "dbt_project_dir": project})
    services = cast(Services, SimpleNamespace(database=database))
    return Context(settings, services, lambda _text: None)


@contextmanager
def scheduling(context: Context) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(
        target=refresh_when_loaded, args=(context, stop, 0.1), kwargs={"test_every": 0.0}
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()


def land(database: DatabaseEndpoint, stream: str, *ids: int) -> None:
    with connect(database) as connection:
        for each in ids:
            connection.execute(f"insert into streaming.{stream}_raw values (%s)".encode(), [each])
        connection.execute(
            "update streaming.stream_progress set rows_total = rows_total + %s where stream = %s",
            [len(ids), stream],
        )


def test_only_what_stands_on_a_moved_stream_is_rebuilt_and_a_failing_test_is_shown(
    database: DatabaseEndpoint, tmp_path: Path, project: Path, ask: Callable[[str], object]
) -> None:
    with connect(database) as connection:
        connection.execute(_TABLES.encode())
    land(database, "a", 1)
    land(database, "b", 1)
    with scheduling(context_of(database, tmp_path, project)):
        eventually(lambda: ask("select to_regclass('streaming.refresh_status')"))
        state = "select state from streaming.refresh_status where tested_at is not null"
        eventually(lambda: ask(state) == "fresh")
        built = ask("select made_at from small_models.from_b")

        land(database, "a", 2)
        eventually(lambda: ask("select count(*) from small_models.from_a") == 2)
        assert ask("select made_at from small_models.from_b") == built

        land(database, "a", 2)
        eventually(lambda: ask(state) == "tests_fail")
        assert "unique_from_a_id" in str(ask("select failing_tests from streaming.refresh_status"))
        with connect(database) as connection:
            connection.execute("delete from streaming.a_raw where id = 2")
        land(database, "a", 2)
        eventually(lambda: ask(state) == "fresh")

        source = "{{ source('streaming', 'b_raw') }}"
        # A changed project is read again; a model that fails is named, and tried until it works.
        table = "{{ config(materialized='table') }}"
        broken = project / "models" / "from_b.sql"
        broken.write_text(f"{table} select 1 / 0 as id from {source}")
        land(database, "b", 2)
        reason = "select reason from streaming.refresh_status where state = 'failed'"
        eventually(lambda: "dbt failed in from_b" in str(ask(reason)))
        broken.write_text(f"{table} select 7 as id from {source} limit 1")
        eventually(lambda: ask(state) == "fresh")
        assert ask("select id from small_models.from_b") == 7


def test_without_marts_it_says_what_to_run_and_backs_off(
    database: DatabaseEndpoint, tmp_path: Path, project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with connect(database) as connection:
        connection.execute(_TABLES.encode())
        connection.execute("drop table marts.dim_datetime")
    land(database, "a", 1)
    stop = threading.Event()
    threading.Timer(2.5, stop.set).start()
    refresh_when_loaded(context_of(database, tmp_path, project), stop, 0.5)
    assert "insight run" in caplog.text
    assert 1 <= len(caplog.records) <= 3


def test_a_dbt_that_dies_is_replaced_and_one_that_hangs_does_not_hold_up_a_stop(
    database: DatabaseEndpoint, tmp_path: Path, project: Path
) -> None:
    (project / "macros").mkdir()
    (project / "macros" / "hang.sql").write_text(
        "{% macro hang() %}{% do run_query('select pg_sleep(60)') %}{% endmacro %}"
    )
    with connect(database) as connection:
        connection.execute(_TABLES.encode())
    stop = threading.Event()
    with WarmDbt(project, tmp_path, database, [], stop, seconds_to_finish=0.5) as dbt:
        assert {node.name for node in dbt.run("run")} == {"from_a", "from_b"}
        with pytest.raises(StageError, match="dbt failed"):
            dbt.run("no-such-command")
        process = dbt._process
        assert process is not None
        process.kill()
        with pytest.raises(StageError, match="dbt ended in the middle"):
            dbt.run("run")
        assert len(dbt.run("run")) == 2
        threading.Timer(1.0, stop.set).start()
        with pytest.raises(Interrupted):
            dbt.run("run-operation", "hang")
        # What would have come next does not begin any more.
        with pytest.raises(Interrupted):
            dbt.run("run")
