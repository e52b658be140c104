"""docs/adding_a_stream.md, followed step by step in a copy of the project."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from dbt.cli.main import dbtRunner

from insight.database import DatabaseEndpoint, connect
from streaming.contract import Contract, load_contracts
from streaming.dbt_sources import source_file
from streaming.loading.loader import load_streams
from streaming.messages.codec import Codec, Rejection
from streaming.messages.poison import Poison, poison_messages
from streaming.operating.quarantine import Resolution, Selection, selected_ids
from streaming.operating.replay import replay
from streaming.topics import ensure_topics

_BLOCK = re.compile(r"`(?P<file>\S+)`:\n\n```\w+\n(?P<text>.*?)```", re.DOTALL)
_NULLABLE = """
select attname from pg_attribute
where attrelid = 'streaming.stock_counts_raw'::regclass and attnum > 0 and not attnotnull
"""
_COMMAND = re.compile(r"^```\n(python -m .*?)\n```", re.MULTILINE)


@dataclass(frozen=True)
class Project:
    """A copy of the project with the new stream in it."""

    folder: Path
    written: list[str]

    @property
    def dbt(self) -> Path:
        return self.folder / "dbt_pipeline"

    def contracts(self) -> list[Contract]:
        return load_contracts(self.folder / "streaming" / "contracts")

    def stock_counts(self) -> Contract:
        return next(each for each in self.contracts() if each.stream == "stock-counts")


@pytest.fixture(scope="module")
def project(project_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("project")
    for part in ("streaming", "dbt_pipeline"):
        ignored = shutil.ignore_patterns("target", "logs", "__pycache__", ".user.yml")
        shutil.copytree(project_root / part, folder / part, ignore=ignored)
    text = (project_root / "docs" / "adding_a_stream.md").read_text()
    written = []
    for block in _BLOCK.finditer(text):
        file = folder / block["file"]
        written.append(block["file"])
        # What is there already is added to: the description of the model.
        with file.open("a") as stream:
            stream.write(("\n" if file.stat().st_size else "") + block["text"])
    for command in _COMMAND.findall(text):
        _run(folder, sys.executable, *shlex.split(command)[1:])
    return Project(folder, written)


def _run(folder: Path, *command: str) -> None:
    # The copy comes before the installed project.
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    finished = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr


@pytest.fixture
def on_own_topic(project: Project, database: DatabaseEndpoint) -> Contract:
    """The new contract, on a topic that no other test uses."""
    return project.stock_counts().on_topic(f"stock-counts-{database.dbname}")


def test_the_page_writes_the_two_files_and_the_description(project: Project) -> None:
    assert project.written == [
        "streaming/contracts/stock-counts.odcs.yaml",
        "dbt_pipeline/models/staging/retail/stg_stock_counts.sql",
        "dbt_pipeline/models/staging/retail/_retail__models.yml",
    ]


def test_contract_gives_a_conformance_test_for_each_way_to_break_it(project: Project) -> None:
    contract = project.stock_counts()
    codec = Codec(contract)
    codec.copy_line(json.dumps(contract.example_event()).encode())
    poisons = poison_messages(contract)
    assert {each.path for each in poisons if each.path} >= set(contract.column_names)
    for poison in poisons:
        with pytest.raises(Rejection) as rejected:
            _decode(codec, poison)
        assert rejected.value.code == poison.code, poison.name


def _decode(codec: Codec, poison: Poison) -> None:
    codec.check_version(poison.headers)
    codec.copy_line(poison.value)


def test_dbt_source_has_types_and_freshness(project: Project) -> None:
    document = yaml.safe_load(source_file(project.dbt, "retail").read_text())
    tables = {each["name"]: each for each in document["sources"][0]["tables"]}
    table = tables["stock_counts_raw"]
    assert table["config"]["freshness"] == {
        "warn_after": {"count": 1, "period": "day"},
        "error_after": {"count": 7, "period": "day"},
    }
    columns = {each["name"]: each for each in table["columns"]}
    assert set(columns) > set(project.stock_counts().column_names)
    assert columns["counted_at"]["data_type"] == "timestamp with time zone"


def test_topic_has_its_partitions(real_kafka, on_own_topic: Contract) -> None:
    assert ensure_topics(real_kafka, [on_own_topic]) == {on_own_topic.topic: 2}


def _events(contract: Contract, numbers: range) -> Iterator[bytes]:
    for number in numbers:
        event = {**contract.example_event(), "count_id": f"c{number}", "pieces": number}
        yield json.dumps(event).encode()


def test_events_arrive_in_the_staging_model(
    project: Project, database, configured_kafka, on_own_topic: Contract, configured_broker, ask,
    books_balance, dbt,
) -> None:  # fmt: skip
    """Sent, loaded, built by dbt with its tests; then later ones, one of them from quarantine."""
    contract = on_own_topic
    build = "build --select stg_stock_counts"
    counts = "select count_id, pieces from staging.stg_stock_counts order by pieces"

    first = [*_events(contract, range(3)), *_events(contract, range(1))]
    configured_broker.put(contract, [*first, b'{"count_id": "bad"}'])
    load_streams(database, configured_kafka, [contract], until_caught_up=True)
    dbt(build)
    assert ask(counts) == [(f"c{each}", each) for each in range(3)]
    assert ask("select error_code from streaming.quarantine") == [("missing_field",)]

    configured_broker.put(contract, [*_events(contract, range(3, 6))])
    load_streams(database, configured_kafka, [contract], until_caught_up=True)
    with connect(database, autocommit=True) as connection:
        (mended,) = _events(contract, range(6, 7))
        ids = selected_ids(connection, Selection())
        assert replay(connection, [contract], ids, Resolution("test", "mended"), mended).landed
    dbt(build)
    assert ask(counts) == [(f"c{each}", each) for each in range(7)]
    dbt("source freshness --select source:streaming.stock_counts_raw")
    books_balance()
    assert ask(_NULLABLE) == []


@pytest.fixture
def dbt(
    project: Project,
    database: DatabaseEndpoint,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Callable[[str], None]:
    """Runs a dbt command in the copy, in this process: the program takes seconds to start."""
    monkeypatch.chdir(project.dbt)
    for name, value in {**database.environment(), "DBT_USE_COLORS": "false"}.items():
        monkeypatch.setenv(name, value)

    def run(typed: str) -> None:
        outcome = dbtRunner().invoke(shlex.split(typed))
        assert outcome.success, capfd.readouterr().out + str(outcome.exception or "")

    return run
