"""A snapshot's history is what a plain reckoning of its runs says, whatever happened between."""

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from databases import create_database, drop_database
from dbt.artifacts.schemas.run import RunExecutionResult
from reckoned_history import Customers, Reckoning, Values
from warm_project import WarmProject, warm_project

from batch.tables import create_tables
from insight.database import Connection, DatabaseEndpoint, connect
from insight.services import Services

StartDbt = Callable[..., "subprocess.Popen[str]"]
_CHICAGO: Values = ("M", "Chicago", 5)
_OREGON: Values = ("M", "Oregon", 5)


@pytest.fixture(scope="module")
def endpoint(services: Services) -> Iterator[DatabaseEndpoint]:
    endpoint = create_database(services, f"dbt_snapshot_{os.getpid()}")
    with connect(endpoint) as connection:
        create_tables(connection)
    yield endpoint
    drop_database(services, endpoint.dbname)


@pytest.fixture(scope="module")
def folder(copy_project: Callable[[], Path]) -> Path:
    return copy_project()


@pytest.fixture(scope="module")
def project(endpoint: DatabaseEndpoint, folder: Path) -> Iterator[WarmProject]:
    """The project, with the view that the snapshot reads."""
    with warm_project(folder, endpoint) as project:
        project.succeed("run", "--select", "stg_customers")
        yield project


@dataclass
class History:
    """The snapshot of one test, and beside it the reckoning of the same runs."""

    project: WarmProject
    endpoint: DatabaseEndpoint
    reckoning: Reckoning = field(default_factory=Reckoning)
    times: list[datetime] = field(default_factory=list)

    def run(self, **customers: Values) -> None:
        """One snapshot of these customers, and its tests."""
        self.put(customers)
        self.project.succeed("build", "--select", "customer_snapshot")
        self.expect(customers)

    def put(self, customers: Customers) -> None:
        """Make them the customers of the file."""
        with connect(self.endpoint) as connection:
            # Not truncate, which waits for a snapshot that is still running.
            connection.execute("delete from raw.customers")
            for row, (key, (gender, location, tenure)) in enumerate(customers.items(), start=2):
                connection.execute(
                    "insert into raw.customers (customer_id, gender, location, tenure_months,"
                    " _file, _row) values (%s, %s, %s, %s, 'f', %s)",
                    [key, gender, location, tenure, row],
                )

    def expect(self, *seen: Customers) -> None:
        """The runs since the last call saw these customers, one after the other."""
        for customers in seen:
            before = list(self.reckoning.versions)
            self.reckoning.see(customers)
            if self.reckoning.versions == before:
                # A run that found no change leaves no trace, not even of its time.
                self.reckoning.runs -= 1
        rows = self.rows()
        self.times = sorted({time for row in rows for time in row[4:6] if time is not None})
        number = {time: place for place, time in enumerate(self.times, start=1)}
        found = [(row[0], row[1:4], number[row[4]], number.get(row[5])) for row in rows]
        assert sorted(found, key=str) == sorted(self.reckoning.versions, key=str)

    def rows(self) -> list[tuple[Any, ...]]:
        """Key, gender, location, tenure and the two times of each version."""
        with connect(self.endpoint) as connection:
            return connection.execute(
                "select customer_id, gender, location, customer_tenure_months, dbt_valid_from,"
                " dbt_valid_to from snapshots.customer_snapshot"
            ).fetchall()


@pytest.fixture
def history(project: WarmProject, endpoint: DatabaseEndpoint) -> History:
    with connect(endpoint) as connection:
        connection.execute("drop table if exists snapshots.customer_snapshot")
    return History(project, endpoint)


def test_a_change_ends_one_version_and_begins_the_next(history: History) -> None:
    history.run(a=_CHICAGO, b=_CHICAGO)
    history.run(a=_OREGON, b=_CHICAGO)
    assert history.reckoning.versions == [
        ("a", _CHICAGO, 1, 2),
        ("b", _CHICAGO, 1, None),
        ("a", _OREGON, 2, None),
    ]


def test_a_file_loaded_again_without_a_change_adds_no_version(history: History) -> None:
    history.run(a=_CHICAGO, b=_CHICAGO)
    history.run(b=_CHICAGO, a=_CHICAGO)
    assert len(history.rows()) == 2


@pytest.mark.parametrize("back", [_CHICAGO, _OREGON])
def test_a_customer_who_is_gone_and_back_has_time_between_two_versions(
    history: History, back: Values
) -> None:
    history.run(a=_CHICAGO, b=_CHICAGO)
    history.run(b=_CHICAGO)
    history.run(a=back, b=_CHICAGO)
    assert ("a", _CHICAGO, 1, 2) in history.reckoning.versions
    assert ("a", back, 3, None) in history.reckoning.versions


def test_of_two_changes_between_runs_the_second_is_seen(history: History) -> None:
    history.run(a=_CHICAGO, b=_CHICAGO)
    history.put({"a": _OREGON})
    history.run(a=("F", "Nevada", 6), b=_CHICAGO)
    assert len(history.rows()) == 3


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_sequence_of_runs_gives_the_history_that_is_reckoned(
    history: History, seed: int
) -> None:
    rng = random.Random(seed)
    for _ in range(6):
        # Few values, so that keys often come back as they were, and a gender can go missing.
        history.run(
            z=_CHICAGO,
            **{
                key: (rng.choice([None, "F"]), rng.choice(["Chicago", "Oregon"]), rng.randrange(2))
                for key in "abcdef"
                if rng.random() < 0.7
            },
        )


def test_times_are_those_of_the_runs_in_any_time_zone(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = time.time()
    history.run(a=_CHICAGO)
    monkeypatch.setenv("PGTZ", "America/Los_Angeles")
    history.run(a=_OREGON)
    first, second = history.times
    assert began <= first.timestamp() < second.timestamp() <= time.time()


@pytest.mark.parametrize("options", [(), ("--empty",)])
def test_an_empty_relation_ends_nobody(history: History, options: tuple[str, ...]) -> None:
    history.run(a=_CHICAGO, b=_CHICAGO)
    history.run(a=_OREGON)
    before = history.rows()
    if not options:
        history.put({})
    outcome = history.project.invoke("snapshot", "--select", "customer_snapshot", *options)
    assert not outcome.success
    assert isinstance(outcome.result, RunExecutionResult)
    [told] = [each for each in outcome.result.results if each.node.name == "customer_snapshot"]
    assert "what customer_snapshot reads is empty" in str(told.message)
    assert history.rows() == before
    history.run(b=_CHICAGO)


def test_a_first_run_on_nothing_is_an_empty_history(history: History) -> None:
    history.run()
    history.run(a=_CHICAGO)


_FAULTS = {
    "two current": "insert into {0} select * from {0} where dbt_valid_to is null",
    "none between": "update {0} set dbt_valid_to = null where location = 'Chicago'",
    "overlap": "update {0} set dbt_valid_to = dbt_valid_to + interval '1 us'"
    " where dbt_valid_to is not null",
    "no length": "update {0} set dbt_valid_to = dbt_valid_from where location = 'Chicago'",
    "backwards": "update {0} set dbt_valid_to = dbt_valid_from - interval '1 us'"
    " where dbt_valid_to is not null",
    "no change": "update {0} set location = 'Chicago'",
    "no beginning": "update {0} set dbt_valid_from = null where dbt_valid_to is null",
    "no key": "update {0} set customer_id = null where dbt_valid_to is null",
}


def test_has_valid_history_finds_every_fault(history: History) -> None:
    history.run(a=_CHICAGO)
    history.run(a=_OREGON)
    with connect(history.endpoint) as connection:
        connection.execute("create table public.kept as table snapshots.customer_snapshot")
    for name, fault in _FAULTS.items():
        with connect(history.endpoint) as connection:
            connection.execute(fault.format("snapshots.customer_snapshot"))
        assert not history.project.invoke("test", "--select", "customer_snapshot").success, name
        with connect(history.endpoint) as connection:
            connection.execute("truncate snapshots.customer_snapshot")
            connection.execute("insert into snapshots.customer_snapshot table public.kept")
    with connect(history.endpoint) as connection:
        connection.execute("drop table public.kept")
    history.project.succeed("test", "--select", "customer_snapshot")


_STOP_AT_INSERT = """
create or replace function public.wait_for_the_test() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock(1);
    return new;
end $$;
create trigger wait before insert on snapshots.customer_snapshot
for each statement execute function public.wait_for_the_test();
"""


@contextmanager
def _held_in_the_middle(endpoint: DatabaseEndpoint) -> Iterator[Connection]:
    """Snapshots stop after they have ended versions and before they insert the next ones."""
    with connect(endpoint) as connection:
        connection.execute(_STOP_AT_INSERT)
    with connect(endpoint, autocommit=True) as holder:
        holder.execute("select pg_advisory_lock(1)")
        yield holder
    with connect(endpoint) as connection:
        connection.execute("drop trigger wait on snapshots.customer_snapshot")


def _wait_for_waiting(connection: Connection, sessions: int) -> None:
    for _ in range(600):
        row = connection.execute(
            "select count(*) from pg_locks where locktype = 'advisory' and not granted"
            " and database = (select oid from pg_database where datname = current_database())"
        ).fetchone()
        if row == (sessions,):
            return
        time.sleep(0.1)
    raise AssertionError(f"{row} sessions wait, not {sessions}")


def test_a_snapshot_killed_in_the_middle_has_written_nothing(
    history: History, folder: Path, start_dbt: StartDbt
) -> None:
    history.run(a=_CHICAGO, b=_CHICAGO)
    before = history.rows()
    changed = {"a": _OREGON, "c": _CHICAGO}
    history.put(changed)
    with _held_in_the_middle(history.endpoint) as holder:
        process = start_dbt(folder, history.endpoint, "snapshot", "--select", "customer_snapshot")
        _wait_for_waiting(holder, 1)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert history.rows() == before
    history.run(**changed)


def test_two_snapshots_at_the_same_time_take_turns(
    history: History, folder: Path, start_dbt: StartDbt, tmp_path: Path
) -> None:
    history.run(a=_CHICAGO, b=_CHICAGO)
    seen_first = {"a": _OREGON, "c": _CHICAGO}
    seen_second = {"a": _CHICAGO, "c": _CHICAGO}
    second_folder = Path(shutil.copytree(folder, tmp_path / folder.name))
    arguments = ("snapshot", "--select", "customer_snapshot")
    history.put(seen_first)
    with _held_in_the_middle(history.endpoint) as holder:
        processes = [start_dbt(folder, history.endpoint, *arguments)]
        _wait_for_waiting(holder, 1)
        history.put(seen_second)
        processes.append(start_dbt(second_folder, history.endpoint, *arguments))
        _wait_for_waiting(holder, 2)
    for process in processes:
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output
    history.expect(seen_first, seen_second)
    history.project.succeed("test", "--select", "customer_snapshot")
