"""The `insight` command with a home and a dbt project of its own."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from insight.services import stop
from insight.services.account import fallback_folder

_INSIGHT = Path(sys.executable).with_name("insight")


@dataclass(frozen=True)
class Workplace:
    """A home and a dbt project that belong to one test."""

    home: Path
    dbt_project: Path

    def environment(self) -> dict[str, str]:
        """This process's environment, pointed at the workplace and its embedded services."""
        external = {"DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL"}
        return {
            **{name: value for name, value in os.environ.items() if name not in external},
            "INSIGHT_HOME": str(self.home),
            "INSIGHT_API_PORT": "0",
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
            timeout=600,
        )

    @property
    def seed(self) -> Path:
        return self.dbt_project / "seeds" / "customer_segments.csv"


@contextmanager
def workplaces(project_root: Path) -> Iterator[Callable[..., Workplace]]:
    """Makes workplaces; all are stopped and removed at the end of the block."""
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
