"""Workplaces for the main job, and one in which it has run."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from workplace import Workplace, workplaces


@pytest.fixture(scope="session")
def new_workplace(project_root: Path) -> Iterator[Callable[..., Workplace]]:
    """Makes workplaces; all are stopped and removed at the end."""
    with workplaces(project_root) as make:
        yield make


@pytest.fixture(scope="session")
def finished(new_workplace: Callable[..., Workplace]) -> tuple[Workplace, str]:
    """A workplace after one clean `insight run`, and what the run printed."""
    workplace = new_workplace()
    outcome = workplace.insight("run")
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return workplace, outcome.stdout
