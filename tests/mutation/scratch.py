"""A warehouse to break: the generated files and events, every model built, gone afterwards."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, chdir, contextmanager
from pathlib import Path

from databases import create_database, drop_database
from dbt.cli.main import dbtRunner, dbtRunnerResult
from dbt.contracts.graph.manifest import Manifest
from mutation.trial import Trials
from warehouse_events import EVENTS

from batch.generator import generate
from batch.loader import load_directory
from insight.database import DatabaseEndpoint, connect
from insight.services import Services, open_services, stop
from insight.settings import load_settings
from ml_pipeline import results
from streaming.contract import load_contracts
from streaming.tables import create_tables

# A join that an edit made a product of two tables ends here.
_LONGEST_STATEMENT = "30s"


@contextmanager
def scratch_trials(dbt_project: Path) -> Iterator[Trials]:
    """Trials in a warehouse of their own, from a copy of the dbt project."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="insight-mutate-")))
        # As root the server runs as another account, which must be able to enter its home.
        home.chmod(0o755)
        settings = load_settings().model_copy(update={"home": home})
        services = stack.enter_context(open_services(settings))
        stack.callback(stop, home, now=True)
        folder = home / "dbt_pipeline"
        shutil.copytree(
            dbt_project, folder, ignore=shutil.ignore_patterns("target", "logs", ".user.yml")
        )
        endpoint = stack.enter_context(_warehouse(services, home / "generated"))
        stack.enter_context(chdir(folder))
        stack.enter_context(_environment(endpoint.environment()))
        yield Trials(_built(endpoint), endpoint)


@contextmanager
def _warehouse(services: Services, files: Path) -> Iterator[DatabaseEndpoint]:
    endpoint = create_database(services, f"mutation_{os.getpid()}")
    try:
        generate(files)
        load_directory(endpoint, files)
        create_tables(endpoint, load_contracts())
        results.create_tables(endpoint)
        with connect(endpoint) as connection:
            connection.execute(EVENTS)
        yield endpoint
    finally:
        drop_database(services, endpoint.dbname)


@contextmanager
def _environment(given: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(given)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _built(endpoint: DatabaseEndpoint) -> Manifest:
    """The parsed project, every model of it built, without its hooks."""
    manifest = _result(dbtRunner().invoke(["--quiet", "parse"]))
    assert isinstance(manifest, Manifest)
    tests = ("--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")
    _result(dbtRunner(manifest=manifest).invoke(["--quiet", "build", *tests]))
    # What becomes of edits is nobody's history.
    for unique_id in [key for key in manifest.nodes if key.startswith("operation.")]:
        del manifest.nodes[unique_id]
    with connect(endpoint) as connection:
        connection.execute(
            f"alter database {endpoint.dbname} set statement_timeout = '{_LONGEST_STATEMENT}'"
        )
    return manifest


def _result(outcome: dbtRunnerResult) -> object:
    if not outcome.success:
        raise RuntimeError(f"dbt cannot build the unchanged project: {outcome.exception}")
    return outcome.result
