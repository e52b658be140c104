"""Workplaces for the main job, and one in which it has run."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from workplace import Workplace

from insight.services import stop
from insight.services.account import fallback_folder


@pytest.fixture(scope="session")
def new_workplace(project_root: Path) -> Iterator[Callable[..., Workplace]]:
    """Makes workplaces; all are stopped and removed at the end."""
    with ExitStack() as stack:

        def make(name: str = "home") -> Workplace:
            folder = Path(
                stack.enter_context(tempfile.TemporaryDirectory(prefix="insight-", dir="/tmp"))
            )
            folder.chmod(0o755)
            project = folder / "dbt_pipeline"
            shutil.copytree(
                project_root / "dbt_pipeline",
                project,
                ignore=shutil.ignore_patterns("target", "logs"),
            )
            home = folder / name
            stack.callback(shutil.rmtree, fallback_folder(home), ignore_errors=True)
            stack.callback(stop, home, now=True)
            return Workplace(home, project)

        yield make


@pytest.fixture(scope="session")
def finished(new_workplace: Callable[..., Workplace]) -> tuple[Workplace, str]:
    """A workplace after one clean `insight run`, and what the run printed."""
    workplace = new_workplace()
    outcome = workplace.insight("run")
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return workplace, outcome.stdout
