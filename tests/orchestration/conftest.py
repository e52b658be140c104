"""A fresh Airflow home, and a place where the main job may write."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow_home import AirflowHome
from workplace import Workplace, workplaces


@pytest.fixture(scope="session")
def airflow_home(tmp_path_factory: pytest.TempPathFactory, project_root: Path) -> AirflowHome:
    """A fresh home, migrated."""
    made = AirflowHome(tmp_path_factory.mktemp("airflow"), project_root)
    outcome = made.airflow("db", "migrate")
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return made


@pytest.fixture
def workplace(project_root: Path) -> Iterator[Workplace]:
    with workplaces(project_root) as make:
        yield make()
