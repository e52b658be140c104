"""dbt commands as a person types them, and what they say about their time."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from insight.database import DatabaseEndpoint
from insight.settings import PROJECT_ROOT
from insight.stages.dbt import environment

_DBT = Path(sys.executable).with_name("dbt")


@dataclass(frozen=True)
class DbtRun:
    """One command: seconds from its start to its end, and seconds of each node by unique id."""

    wall: float
    nodes: dict[str, float]

    def models(self, names: Iterable[str] | None = None) -> float:
        """Seconds of these models (by name), or of all, added up."""
        wanted = None if names is None else set(names)
        return sum(
            seconds
            for node, seconds in self.nodes.items()
            if node.startswith("model.") and (wanted is None or node.split(".")[2] in wanted)
        )

    def slowest(self, count: int) -> list[tuple[str, float]]:
        """Names and seconds of the nodes that took longest."""
        found = sorted(self.nodes.items(), key=lambda node: -node[1])[:count]
        return [(unique_id.split(".")[2], seconds) for unique_id, seconds in found]


class Project:
    """A copy of the dbt project, so that neither its seeds nor a target folder are touched."""

    def __init__(self, folder: Path):
        self.folder = folder / "dbt_pipeline"
        ignored = shutil.ignore_patterns("target", "logs", ".user.yml")
        shutil.copytree(PROJECT_ROOT / "dbt_pipeline", self.folder, ignore=ignored)

    @property
    def segments(self) -> Path:
        return self.folder / "seeds" / "customer_segments.csv"

    def dbt(self, database: DatabaseEndpoint, *arguments: str) -> DbtRun:
        """Run `dbt` to its end, with the two threads of the profile. Raises CalledProcessError."""
        started = time.perf_counter()
        subprocess.run(
            [str(_DBT), "--quiet", *arguments],
            cwd=self.folder,
            env={
                **environment(database),
                "DBT_TARGET_PATH": str(self.folder / "target"),
                "DBT_LOG_PATH": str(self.folder / "logs"),
            },
            check=True,
        )
        wall = time.perf_counter() - started
        return DbtRun(wall, seconds_of_nodes(self.folder / "target" / "run_results.json"))


def seconds_of_nodes(run_results: Path) -> dict[str, float]:
    """Seconds of each node in dbt's own record of a command."""
    results = json.loads(run_results.read_text())["results"]
    return {each["unique_id"]: float(each["execution_time"]) for each in results}
