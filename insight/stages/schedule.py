"""Role `schedule`: the streaming models are rebuilt when new rows have been loaded."""

import logging
import threading
import time
from collections.abc import Sequence

import psycopg

from insight.database import DatabaseEndpoint, connect
from insight.errors import ServiceError, StageError
from insight.stages.context import Context
from insight.stages.job import writer_unless_busy
from insight.stages.refresh_status import (
    FAILED,
    FRESH,
    TESTS_FAIL,
    WAITING,
    RefreshStatus,
    write_refresh_status,
)
from insight.stages.warm_dbt import DbtNode, Interrupted, WarmDbt
from streaming.metrics import SchedulerMeter

_logger = logging.getLogger(__name__)

_STREAMING_MODELS = ("--selector", "streaming")
# What that selector leaves out.
LEFT_TO_THE_STAGES = ("--exclude", "int_pos_customer_rfm+", "source:ml+", "customer_segments+")

_LONGEST_PAUSE_SECONDS = 60.0

# Tests must not keep the models from being fresh: they take a fifth of the time at most.
_PAUSE_AFTER_TESTS = 4

# Rows landed in each raw table; they only grow, and a replay of a mended message counts too.
RowsLanded = dict[str, int]


def refresh_when_loaded(
    context: Context,
    stop: threading.Event,
    seconds: float,
    *,
    test_every: float = 60.0,
    meter: SchedulerMeter | None = None,
) -> None:
    """Look at the loader's books each `seconds` until `stop` is set; rebuild when they moved.

    Only models that stand on a stream that moved are rebuilt; their tests run at most every
    `test_every` seconds. An unreachable database and a failed build are logged, and tried again
    after a pause that doubles up to a minute. Failures and failing tests are shown in
    streaming.refresh_status until they are mended.
    """
    as_of = context.settings.as_of_date
    options = ["--vars", f"{{as_of_date: '{as_of}'}}"] if as_of else []
    database, project = context.services.database, context.settings.dbt_project_dir
    with WarmDbt(project, context.settings.home, database, options, stop) as dbt:
        scheduler = _Scheduler(database, dbt, meter or SchedulerMeter(), test_every)
        pause = seconds
        while not stop.is_set():
            try:
                scheduler.look()
                pause = seconds
            except (ServiceError, StageError, psycopg.OperationalError) as error:
                scheduler.failed(error)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            except Interrupted:
                _logger.info("stopped in the middle of a refresh; the next one does it anew")
            stop.wait(pause)


class _Scheduler:
    def __init__(
        self, database: DatabaseEndpoint, dbt: WarmDbt, meter: SchedulerMeter, test_every: float
    ):
        self._database = database
        self._dbt = dbt
        self._meter = meter
        self._test_every = test_every
        self._status = RefreshStatus()
        self._built: RowsLanded | None = None
        self._is_tested = True
        self._next_test_at = 0.0

    def look(self) -> None:
        """Refresh what moved, test what is due. Raises StageError when a model fails."""
        landed = _rows_landed(self._database)
        moved = sorted(t for t, rows in landed.items() if (self._built or {}).get(t) != rows)
        tests_are_due = not self._is_tested and time.monotonic() >= self._next_test_at
        if not moved and not tests_are_due:
            return
        _expect_warehouse(self._database)
        with writer_unless_busy(self._database) as is_ours:
            if not is_ours:
                self._wait_for_other()
                return
            if moved:
                self._refresh(moved, landed)
            if not self._is_tested and time.monotonic() >= self._next_test_at:
                self._test()

    def failed(self, error: Exception) -> None:
        """Log the error and show it in the status, when there is a database to show it in."""
        sentence = " ".join(str(error).split())
        _logger.warning("%s", sentence)
        self._meter.failed()
        self._status.failures += 1
        self._status.state, self._status.reason = FAILED, sentence
        try:
            write_refresh_status(self._database, self._status)
        except (ServiceError, psycopg.Error) as unwritten:
            _logger.warning("the status is not written: %s", " ".join(str(unwritten).split()))

    def _refresh(self, moved: Sequence[str], landed: RowsLanded) -> None:
        started = time.monotonic()
        nodes = self._dbt.run("run", *_selection(moved, everything=not self._built))
        _raise_if_failed(nodes)
        seconds = time.monotonic() - started
        self._built, self._is_tested = landed, False
        self._status.refreshes += 1
        self._status.last_seconds = seconds
        self._meter.refreshed(seconds)
        self._tell(refreshed=True)
        _logger.info("refreshed %d models in %.1f s: %s", len(nodes), seconds, ", ".join(moved))

    def _test(self) -> None:
        started = time.monotonic()
        nodes = self._dbt.run("test", *_STREAMING_MODELS, "--exclude-resource-type", "unit_test")
        seconds = time.monotonic() - started
        self._is_tested = True
        self._next_test_at = time.monotonic() + max(self._test_every, _PAUSE_AFTER_TESTS * seconds)
        failing = [node for node in nodes if node.has_failed]
        self._status.failing_tests = [node.name for node in failing]
        self._meter.tested(len(failing))
        for node in failing:
            _logger.warning("test %s fails: %s", node.name, " ".join(node.message.split()))
        self._tell(tested=True)
        _logger.info("%d tests in %.1f s, %d fail", len(nodes), seconds, len(failing))

    def _tell(self, *, refreshed: bool = False, tested: bool = False) -> None:
        failing = self._status.failing_tests
        self._status.state = TESTS_FAIL if failing else FRESH
        self._status.reason = f"failing tests: {', '.join(failing)}" if failing else None
        write_refresh_status(self._database, self._status, refreshed=refreshed, tested=tested)

    def _wait_for_other(self) -> None:
        if self._status.state != WAITING:
            self._status.state = WAITING
            self._status.reason = "another command changes the warehouse"
            write_refresh_status(self._database, self._status)


def _selection(tables: Sequence[str], *, everything: bool) -> list[str]:
    """The models that stand on these raw tables: no model but a streaming one does."""
    if everything:
        return [*_STREAMING_MODELS]
    return ["--select", *(f"source:streaming.{table}+" for table in tables), *LEFT_TO_THE_STAGES]


def _raise_if_failed(nodes: Sequence[DbtNode]) -> None:
    failed = [node for node in nodes if node.has_failed]
    if failed:
        names = ", ".join(node.name for node in failed)
        raise StageError(f"dbt failed in {names} ({failed[0].message})")


def _expect_warehouse(database: DatabaseEndpoint) -> None:
    """Raises StageError when the models around the streaming ones were never built."""
    with connect(database) as connection:
        if connection.execute("select to_regclass('marts.dim_datetime')").fetchone() == (None,):
            raise StageError("the warehouse is not built yet", next_step="Run: insight run")


def _rows_landed(database: DatabaseEndpoint) -> RowsLanded:
    with connect(database) as connection:
        if connection.execute("select to_regclass('streaming.stream_status')").fetchone() == (
            None,
        ):
            return {}
        rows = connection.execute(
            """select table_name, sum(rows_total) from streaming.stream_progress
               join streaming.streams using (stream)
               group by table_name having sum(rows_total) > 0"""
        ).fetchall()
    return {str(table): int(str(total)) for table, total in rows}
