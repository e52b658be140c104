"""One warehouse built from the generated data; every test works on it or on a copy of it."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from databases import create_database, drop_database
from dbt.cli.main import dbtRunner
from warehouse_associations import ASSOCIATIONS
from warehouse_events import EVENTS

from batch.generator import generate
from batch.loader import load_directory
from insight.database import DatabaseEndpoint, connect
from insight.services import Services
from ml_pipeline import results
from streaming.contract import load_contracts
from streaming.tables import create_tables

StartDbt = Callable[..., "subprocess.Popen[str]"]
RunDbt = Callable[[str], tuple[bool, str]]
RunDbtIn = Callable[[Path, DatabaseEndpoint, str], tuple[bool, str]]

_DBT = Path(sys.executable).with_name("dbt")


@pytest.fixture(scope="session")
def start_dbt() -> StartDbt:
    """Starts plain `dbt` in a folder on a database, and returns at once."""

    def start(folder: Path, endpoint: DatabaseEndpoint, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [str(_DBT), *arguments],
            cwd=folder,
            env={**os.environ, **endpoint.environment(), "DBT_USE_COLORS": "false"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return start


@pytest.fixture(scope="session")
def raw_endpoint(
    services: Services, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DatabaseEndpoint]:
    """The generated files, some events and association rules, and nothing built."""
    endpoint = create_database(services, f"dbt_raw_{os.getpid()}")
    files = tmp_path_factory.mktemp("generated")
    generate(files)
    load_directory(endpoint, files)
    create_tables(endpoint, load_contracts())
    results.create_tables(endpoint)
    with connect(endpoint) as connection:
        connection.execute(EVENTS)
        connection.execute(ASSOCIATIONS)
    yield endpoint
    drop_database(services, endpoint.dbname)


@pytest.fixture(scope="session")
def copy_project(
    project_root: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Path]:
    """Copies the dbt project, so that neither seeds nor target folders are shared."""

    def copy() -> Path:
        return Path(
            shutil.copytree(
                project_root / "dbt_pipeline",
                tmp_path_factory.mktemp("dbt") / "dbt_pipeline",
                ignore=shutil.ignore_patterns("target", "logs", ".user.yml"),
            )
        )

    return copy


@pytest.fixture(scope="session")
def built_project(copy_project: Callable[[], Path]) -> Path:
    """The project folder in which the shared warehouse is built."""
    return copy_project()


@pytest.fixture(scope="session")
def build_endpoint(
    services: Services, raw_endpoint: DatabaseEndpoint
) -> Iterator[DatabaseEndpoint]:
    endpoint = create_database(services, f"dbt_built_{os.getpid()}", raw_endpoint.dbname)
    yield endpoint
    drop_database(services, endpoint.dbname)


@pytest.fixture(scope="session")
def build_outputs(
    build_endpoint: DatabaseEndpoint, built_project: Path, start_dbt: StartDbt
) -> tuple[str, str]:
    """What the two builds of the main job printed: before the segments exist, and after."""
    outputs = []
    for selector in ("before_ml", "after_ml"):
        process = start_dbt(built_project, build_endpoint, "build", "--selector", selector)
        output, _ = process.communicate(timeout=240)
        assert process.returncode == 0, output
        outputs.append(output)
    return outputs[0], outputs[1]


@pytest.fixture(scope="session")
def built(build_endpoint: DatabaseEndpoint, build_outputs: tuple[str, str]) -> DatabaseEndpoint:
    """The shared warehouse, with every model, seed and snapshot. Leave its rows as they are."""
    return build_endpoint


@pytest.fixture
def run_dbt(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> RunDbtIn:
    """Runs a dbt command, typed as in a shell, in this process; returns success and output.

    The same command line parser as the program's, without the seconds of a start.
    """

    def run(folder: Path, endpoint: DatabaseEndpoint, typed: str) -> tuple[bool, str]:
        monkeypatch.chdir(folder)
        monkeypatch.setenv("DBT_USE_COLORS", "false")
        for name, value in endpoint.environment().items():
            monkeypatch.setenv(name, value)
        program, *arguments = shlex.split(typed)
        assert program == "dbt"
        capfd.readouterr()
        outcome = dbtRunner().invoke(arguments)
        return outcome.success, capfd.readouterr().out + str(outcome.exception or "")

    return run


@pytest.fixture
def dbt(built: DatabaseEndpoint, built_project: Path, run_dbt: RunDbtIn) -> RunDbt:
    """Runs a typed dbt command in the shared project on the shared warehouse."""
    return partial(run_dbt, built_project, built)


@pytest.fixture
def warehouse(services: Services, built: DatabaseEndpoint) -> Iterator[DatabaseEndpoint]:
    """A copy of the shared warehouse that the test may change."""
    endpoint = create_database(services, f"{built.dbname}_copy", built.dbname)
    yield endpoint
    drop_database(services, endpoint.dbname)


@pytest.fixture
def raw_copy(services: Services, raw_endpoint: DatabaseEndpoint) -> Iterator[DatabaseEndpoint]:
    """A copy of the generated files and events, nothing built, that the test may change."""
    endpoint = create_database(services, f"{raw_endpoint.dbname}_copy", raw_endpoint.dbname)
    yield endpoint
    drop_database(services, endpoint.dbname)
