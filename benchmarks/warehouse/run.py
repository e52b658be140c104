"""Whole builds, then increments on a short and on a long history in turn."""

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from batch.generator import generate
from batch.loader import load_directory
from benchmarks.own_services import own_services
from benchmarks.warehouse.commands import DbtRun, Project
from benchmarks.warehouse.history import add_events
from benchmarks.warehouse.plan import Options
from insight.database import DatabaseEndpoint, connect
from insight.services import Services
from insight.settings import load_settings
from ml_pipeline import results
from ml_pipeline.run import segment_customers
from streaming.contract import load_contracts
from streaming.tables import create_tables

_Found = TypeVar("_Found")

_SALES_MODELS = ("stg_transactions", "fct_pos_transactions", "fct_product_metrics_minute")


@dataclass(frozen=True)
class Increment:
    """Medians over the rounds, in seconds: the models of sales, all models, the command."""

    sales_models: float
    all_models: float
    wall: float


@dataclass(frozen=True)
class Results:
    """All that one benchmark run found out; `scaled` are the builds before and after segments."""

    options: Options
    default: DbtRun
    lines: int
    load_seconds: float
    scaled: tuple[DbtRun, DbtRun]
    segment_seconds: float
    long_history_seconds: float
    short: Increment
    long: Increment


def run(options: Options) -> Results:
    """Everything, in databases of its own."""
    with own_services() as (services, folder):
        return _Bench(services, folder, options).run()


class _Bench:
    def __init__(self, services: Services, folder: Path, options: Options):
        self._services = services
        self._folder = folder
        self._options = options
        self._project = Project(folder)
        self._load = 0

    def run(self) -> Results:
        default_files = self._files(1)
        short = self._database("short", default_files, self._options.sales)
        default = self._project.dbt(short, "build")
        _say(f"default data: dbt build in {default.wall:.1f} s")
        lines, load_seconds, scaled, segment_seconds = self._scaled()
        long, long_seconds = _timed(lambda: self._long(default_files))
        _say(f"long history: filled and built in {long_seconds:.0f} s")
        increments = self._increments(short, long)
        return Results(
            self._options, default, lines, load_seconds, scaled, segment_seconds, long_seconds,
            *increments,
        )  # fmt: skip

    def _files(self, scale: int) -> Path:
        """The generated files; those of a large scale are kept, as they take minutes."""
        kept = load_settings().home / "bench" if scale > 1 else self._folder
        files = kept / f"files-{scale}x"
        if not files.exists():
            unfinished = kept / f"unfinished-{scale}x"
            generate(unfinished, scale=scale)
            unfinished.rename(files)
        return files

    def _database(self, name: str, files: Path, sales: int) -> DatabaseEndpoint:
        with connect(self._services.database, autocommit=True) as connection:
            connection.execute(f"create database {name}")
        endpoint = self._services.database.named(name)
        load_directory(endpoint, files, generated=True)
        create_tables(endpoint, load_contracts())
        results.create_tables(endpoint)
        self._land(endpoint, 0, sales)
        with connect(endpoint, autocommit=True) as connection:
            connection.execute("vacuum analyze")
        return endpoint

    def _land(self, endpoint: DatabaseEndpoint, first: int, last: int) -> None:
        self._load += 1
        with connect(endpoint) as connection:
            add_events(connection, first, last, self._load)

    def _scaled(self) -> tuple[int, float, tuple[DbtRun, DbtRun], float]:
        """The build from empty, around the segments as in the main job."""
        files = self._files(self._options.scale)
        database, load_seconds = _timed(
            lambda: self._database("scaled", files, self._options.sales)
        )
        before = self._project.dbt(database, "build", "--selector", "before_ml")
        own_seed = self._project.segments.read_bytes()
        _, segment_seconds = _timed(lambda: self._segment(database))
        after = self._project.dbt(database, "build", "--selector", "after_ml")
        self._project.segments.write_bytes(own_seed)
        lines = _count(database, "raw.online_sales")
        with connect(self._services.database, autocommit=True) as connection:
            connection.execute("drop database scaled")
        _say(f"{lines:,} sale lines: dbt build in {before.wall:.1f} + {after.wall:.1f} s")
        return lines, load_seconds, (before, after), segment_seconds

    def _segment(self, database: DatabaseEndpoint) -> None:
        segment_customers(
            database,
            seed_path=self._project.segments,
            model_dir=self._folder / "models",
            origin="generated",
            k=5,
            sweep=False,
        )

    def _long(self, files: Path) -> DatabaseEndpoint:
        endpoint = self._database("long", files, self._options.sales * self._options.times)
        tests = ("--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")
        self._project.dbt(endpoint, "build", *tests)
        with connect(endpoint, autocommit=True) as connection:
            connection.execute("vacuum analyze")
        return endpoint

    def _increments(
        self, short: DatabaseEndpoint, long: DatabaseEndpoint
    ) -> tuple[Increment, Increment]:
        """In turn, so that a machine that slows down slows both."""
        ends = {short: self._options.sales, long: self._options.sales * self._options.times}
        runs: dict[DatabaseEndpoint, list[DbtRun]] = {short: [], long: []}
        for number in range(self._options.increments + 1):
            for endpoint, end in ends.items():
                self._land(endpoint, end + 1, end + self._options.new_sales)
                ends[endpoint] = end + self._options.new_sales
                found = self._project.dbt(endpoint, "run", "--selector", "streaming")
                # The first reads pages into memory and follows a whole build: it does not count.
                if number:
                    runs[endpoint].append(found)
                _say(f"{endpoint.dbname}: {found.models():.2f} s of models: {_told(found)}")
        return _medians(runs[short]), _medians(runs[long])


def _medians(runs: list[DbtRun]) -> Increment:
    return Increment(
        statistics.median(each.models(_SALES_MODELS) for each in runs),
        statistics.median(each.models() for each in runs),
        statistics.median(each.wall for each in runs),
    )


def _told(found: DbtRun) -> str:
    return ", ".join(f"{name} {seconds:.2f}" for name, seconds in found.slowest(4))


def _timed(action: Callable[[], _Found]) -> tuple[_Found, float]:
    started = time.perf_counter()
    found = action()
    return found, time.perf_counter() - started


def _count(database: DatabaseEndpoint, table: str) -> int:
    with connect(database) as connection:
        row = connection.execute(f"select count(*) from {table}").fetchone()  # noqa: S608
    assert row is not None
    return int(str(row[0]))


def _say(text: str) -> None:
    sys.stdout.write(f"warehouse, {text}\n")
    sys.stdout.flush()
