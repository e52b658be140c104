"""Runs that are killed, and runs at the same time, lose nothing and double nothing."""

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from increments.arrivals import Arrivals
from increments.forked_dbt import ForkedDbt, forked_dbt
from increments.models import incremental_models, names
from increments.warehouse import StreamingWarehouse, copied
from psycopg import sql

from insight.database import Connection, DatabaseEndpoint, connect

_WAITING = """
select count(*) from pg_stat_activity
where datname = current_database() and wait_event_type = 'Lock'
"""


@pytest.fixture(scope="module")
def forked(template: DatabaseEndpoint, folder: Path) -> Iterator[ForkedDbt]:
    """One for all tests: the copies of the template that they work on have the same name."""
    with forked_dbt(folder, copied(template).environment()) as started:
        yield started


def test_a_run_killed_inside_any_model_is_made_good_by_the_next(
    streams: StreamingWarehouse, forked: ForkedDbt
) -> None:
    rng = random.Random(11)
    arrivals = Arrivals(rng)
    models = incremental_models(streams.manifest)
    for model in rng.sample(models, len(models) // 2):
        streams.land(arrivals, 12)
        with connect(streams.endpoint) as blocker:
            _lock(blocker, model.schema, model.name)
            pid = forked.start("run", "--select", *names(models))
            _wait_for_waiting(streams, 1)
            os.kill(pid, signal.SIGKILL)
            assert forked.wait(pid) == -signal.SIGKILL
        _wait_for_end(streams)
    streams.run()
    streams.assert_as_computed_anew()
    streams.assert_as_full_refresh()


def test_runs_killed_at_any_moment_are_made_good_by_the_next(
    streams: StreamingWarehouse, forked: ForkedDbt
) -> None:
    rng = random.Random(12)
    arrivals = Arrivals(rng)
    for options in ((), (), ("--full-refresh",), ()):
        streams.land(arrivals, 12)
        selected = names(incremental_models(streams.manifest))
        pid = forked.start("run", "--select", *selected, *options)
        time.sleep(rng.uniform(0.1, 1.5))
        os.kill(pid, signal.SIGKILL)
        forked.wait(pid)
        _wait_for_end(streams)
    streams.run()
    streams.assert_as_computed_anew()
    streams.assert_as_full_refresh()


def test_two_runs_at_once_take_turns_at_each_model(
    streams: StreamingWarehouse, forked: ForkedDbt
) -> None:
    arrivals = Arrivals(random.Random(13))
    models = incremental_models(streams.manifest)
    for model in models[::5]:
        streams.land(arrivals, 12)
        with connect(streams.endpoint) as blocker:
            _lock(blocker, model.schema, model.name)
            first = forked.start("run", "--select", *names(models))
            _wait_for_waiting(streams, 1)
            streams.land(arrivals, 12)
            second = forked.start("run", "--select", *names(models))
            _wait_for_waiting(streams, 2)
        assert (forked.wait(first), forked.wait(second)) == (0, 0)
    streams.run()
    streams.assert_as_computed_anew()
    streams.assert_as_full_refresh()


def _lock(connection: Connection, schema: str, table: str) -> None:
    connection.execute(
        sql.SQL("lock table {} in exclusive mode").format(sql.Identifier(schema, table))
    )


def _wait_for_waiting(streams: StreamingWarehouse, sessions: int) -> None:
    _wait_until(streams, f"select ({_WAITING}) >= {sessions}")


def _wait_for_end(streams: StreamingWarehouse) -> None:
    """The sessions of killed runs are gone."""
    _wait_until(
        streams,
        """select count(*) = 0 from pg_stat_activity
           where datname = current_database() and application_name = 'dbt'""",
    )


def _wait_until(streams: StreamingWarehouse, question: str) -> None:
    with connect(streams.endpoint, autocommit=True) as connection:
        while connection.execute(question).fetchone() != (True,):
            time.sleep(0.05)
