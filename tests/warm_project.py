"""A parsed project in this process: each command spares a start and a parse."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from dbt.artifacts.schemas.run import RunExecutionResult
from dbt.cli.main import dbtRunner, dbtRunnerResult
from dbt.contracts.graph.manifest import Manifest

from insight.database import DatabaseEndpoint

_BAD = ("error", "fail", "runtime error", "partial success")


@dataclass(frozen=True)
class WarmProject:
    """A project and the one database that its manifest names."""

    manifest: Manifest

    def invoke(self, *arguments: str) -> dbtRunnerResult:
        """Run a dbt command, whatever comes of it."""
        return dbtRunner(manifest=self.manifest).invoke(["--quiet", "--no-write-json", *arguments])

    def succeed(self, *arguments: str) -> None:
        """Run a dbt command in which nothing may fail."""
        outcome = self.invoke(*arguments)
        assert outcome.exception is None
        assert isinstance(outcome.result, RunExecutionResult)
        failed = [(each.node.name, each.message) for each in outcome.result if each.status in _BAD]
        assert failed == []


@contextmanager
def warm_project(folder: Path, endpoint: DatabaseEndpoint) -> Iterator[WarmProject]:
    """Parse the project of a folder for a database, and stay in both for the block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, value in endpoint.environment().items():
            patch.setenv(name, value)
        parsed = dbtRunner().invoke(["--quiet", "parse"])
        assert isinstance(parsed.result, Manifest), parsed.exception
        yield WarmProject(parsed.result)
