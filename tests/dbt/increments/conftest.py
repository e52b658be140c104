"""A database for each test in which every incremental model is built and no row has arrived."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from databases import create_database, drop_database
from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest
from increments.models import neighbours
from increments.warehouse import StreamingWarehouse, copied

from insight.database import DatabaseEndpoint
from insight.services import Services
from ml_pipeline import results
from streaming.contract import load_contracts
from streaming.tables import create_tables


@pytest.fixture(scope="session")
def template(services: Services) -> Iterator[DatabaseEndpoint]:
    """The database from which each test gets a copy, filled by `manifest`."""
    endpoint = create_database(services, f"dbt_streams_{os.getpid()}")
    create_tables(endpoint, load_contracts())
    results.create_tables(endpoint)
    yield endpoint
    drop_database(services, endpoint.dbname)


@pytest.fixture(scope="session")
def folder(copy_project: Callable[[], Path]) -> Path:
    return copy_project()


@pytest.fixture(scope="session")
def manifest(template: DatabaseEndpoint, folder: Path) -> Manifest:
    """The parsed project; the template has seeds, dimensions and the tables of a first run.

    It names the template's database: a run in another one sets the name anew.
    """
    with pytest.MonkeyPatch.context() as patch:
        _enter(patch, folder, template)
        parsed = dbtRunner().invoke(["--quiet", "parse"])
        assert parsed.success, parsed.exception
        assert isinstance(parsed.result, Manifest)
        found = parsed.result
        warehouse = StreamingWarehouse(template, found)
        warehouse.dbt("seed", "--select", *neighbours(found, "seed"))
        warehouse.dbt("run", "--select", *neighbours(found, "model"))
        warehouse.run()
        return found


def _enter(patch: pytest.MonkeyPatch, folder: Path, endpoint: DatabaseEndpoint) -> None:
    patch.chdir(folder)
    for name, value in endpoint.environment().items():
        patch.setenv(name, value)


@pytest.fixture
def streams(
    services: Services,
    template: DatabaseEndpoint,
    manifest: Manifest,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[StreamingWarehouse]:
    """A copy of the template: tables of the streams without a row, and every model built."""
    endpoint = create_database(services, copied(template).dbname, template.dbname)
    _enter(monkeypatch, folder, endpoint)
    for node in [*manifest.nodes.values(), *manifest.sources.values()]:
        monkeypatch.setattr(node, "database", endpoint.dbname)
        monkeypatch.setattr(node, "relation_name", _renamed(node.relation_name, template, endpoint))
    yield StreamingWarehouse(endpoint, manifest)
    drop_database(services, endpoint.dbname)


def _renamed(name: str | None, old: DatabaseEndpoint, new: DatabaseEndpoint) -> str | None:
    return name and name.replace(f'"{old.dbname}"', f'"{new.dbname}"')
