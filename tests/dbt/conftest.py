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

from batch.generator import generate
from batch.loader import load_directory
from insight.database import DatabaseEndpoint, connect
from insight.services import Services
from streaming.contract import load_contracts
from streaming.tables import create_tables

StartDbt = Callable[..., "subprocess.Popen[str]"]
RunDbt = Callable[[str], tuple[bool, str]]
RunDbtIn = Callable[[Path, DatabaseEndpoint, str], tuple[bool, str]]

_DBT = Path(sys.executable).with_name("dbt")

_EVENTS = """
insert into streaming.bitcoin_prices_raw
select
    md5(i::text), 'coingecko_simulator', 'bitcoin', 'usd', 7200 + i % 97, i % 13 - 6,
    timestamptz '2019-12-30 00:00+00' + i * interval '5 minutes', now(), i / 4, 1 + i % 4, 1
from generate_series(0, 575) as i;
insert into streaming.news_events_raw
select
    md5(i::text), 'newsapi_simulator', repeat('word ', i % 13) || 'Bitcoin', null, 'crypto',
    (array['Reuters', 'BBC News', 'Example Times'])[i % 3 + 1], 'https://news.example/' || i,
    timestamptz '2019-12-30 00:00+00' + i * interval '1 hour', i % 13 + 1, true,
    timestamptz '2019-12-30 00:00+00' + i * interval '1 hour', now(), i / 4, 5 + i % 4, 1
from generate_series(0, 47) as i;
-- Some sales come minutes late, and every ninth comes twice.
insert into streaming.transactions_raw
select
    md5('sale' || i - (i % 9) / 8), 'P00' || 1 + i % 6, 'S00' || 1 + i % 3, 'C' || i % 50,
    10 + i % 990 + (i % 100) / 100.0,
    timestamptz '2019-12-30 00:00+00' + i * interval '30 seconds'
    - (i % 10 / 9) * (i % 4) * interval '6 minutes', now(), i / 4, 9 + i % 4, 2 + i / 500
from generate_series(0, 1999) as i;
insert into streaming.refunds_raw
select
    md5('refund' || row_number() over (order by transaction_id)), transaction_id, product_id,
    store_id, customer_id, 5, 'changed_mind', timestamp + interval '1 day',
    now(), _offset, 4 + _partition_id, _load_id
from streaming.transactions_raw
where _offset % 10 = 5;
insert into streaming.account_transactions_raw
select
    md5('movement' || i), 'A' || i % 40, (i % 7 - 3) * 12.34,
    timestamptz '2019-12-30 00:00+00' + i * interval '5 minutes', now(), i / 4, 17 + i % 4, 6
from generate_series(0, 499) as i;
"""


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
    """The generated files and some events, and nothing built."""
    endpoint = create_database(services, f"dbt_raw_{os.getpid()}")
    files = tmp_path_factory.mktemp("generated")
    generate(files)
    load_directory(endpoint, files)
    create_tables(endpoint, load_contracts())
    with connect(endpoint) as connection:
        connection.execute(_EVENTS)
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
