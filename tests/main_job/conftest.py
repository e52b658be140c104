"""The `insight` command on a copy of the dbt project, with a home of its own."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from insight.services import stop
from insight.services.account import fallback_folder

_INSIGHT = Path(sys.executable).with_name("insight")


@dataclass(frozen=True)
class Workplace:
    """A home and a dbt project that belong to one test."""

    home: Path
    dbt_project: Path

    def environment(self) -> dict[str, str]:
        """This process's environment, pointed at the workplace."""
        return {
            **os.environ,
            "INSIGHT_HOME": str(self.home),
            "INSIGHT_DBT_PROJECT_DIR": str(self.dbt_project),
            "COLUMNS": "120",
        }

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start `insight` and return at once."""
        return subprocess.Popen(
            [str(_INSIGHT), *arguments],
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def insight(
        self, *arguments: str, extra: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run `insight` to its end."""
        return subprocess.run(
            [str(_INSIGHT), *arguments],
            env={**self.environment(), **(extra or {})},
            capture_output=True,
            text=True,
            timeout=240,
        )

    @property
    def seed(self) -> Path:
        return self.dbt_project / "seeds" / "customer_segments.csv"


@pytest.fixture(scope="session")
def new_workplace(project_root: Path) -> Iterator[Callable[[], Workplace]]:
    """Makes workplaces; all are stopped and removed at the end."""
    with ExitStack() as stack:

        def make() -> Workplace:
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
            home = folder / "home"
            stack.callback(shutil.rmtree, fallback_folder(home), ignore_errors=True)
            stack.callback(stop, home, now=True)
            return Workplace(home, project)

        yield make


@pytest.fixture(scope="session")
def finished(new_workplace: Callable[[], Workplace]) -> tuple[Workplace, str]:
    """A workplace after one clean `insight run`, and what the run printed."""
    workplace = new_workplace()
    outcome = workplace.insight("run")
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return workplace, outcome.stdout
