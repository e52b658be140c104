"""Running dbt against the warehouse, as a child process that ends when we do."""

import json
import os
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from insight import attached
from insight.database import DatabaseEndpoint
from insight.errors import StageError

_DBT = "dbt.cli.main:cli"
_FAILED = frozenset({"error", "fail", "runtime error", "partial success"})

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class DbtSummary:
    """How many nodes of each kind a `dbt build` ran, by resource type."""

    counts: dict[str, int]
    warnings: int

    def sentence(self) -> str:
        """For instance "12 models, 5 seeds, 190 tests"."""
        order = ("model", "snapshot", "seed", "test")
        parts = [
            f"{self.counts[kind]} {kind}{'' if self.counts[kind] == 1 else 's'}"
            for kind in order
            if self.counts.get(kind)
        ]
        if self.warnings:
            parts.append(f"{self.warnings} warnings")
        return ", ".join(parts)


def environment(database: DatabaseEndpoint) -> dict[str, str]:
    """This process's environment with the connection that profiles.yml asks for."""
    return {
        **os.environ,
        **database.environment(),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }


def pass_through(
    project: Path, run_folder: Path, database: DatabaseEndpoint, arguments: Sequence[str]
) -> int:
    """Run any dbt command in the project, its output going to the terminal; its exit code."""
    with attached.lifeline(run_folder) as lock:
        return subprocess.run(
            attached.command(lock, _DBT, arguments),
            cwd=project,
            env=environment(database),
            stdin=subprocess.DEVNULL,
            check=False,
        ).returncode


def build(
    project: Path,
    home: Path,
    database: DatabaseEndpoint,
    selection: Sequence[str],
    on_progress: Progress,
) -> DbtSummary:
    """`dbt build` with a selection; `on_progress` gets (finished, total) nodes.

    Its artifacts lie below `home`, so that it does not disturb a dbt that a person runs in the
    project at the same time. Raises StageError that names the failed nodes.
    """
    arguments = ["--log-format", "json", "--no-use-colors", "build", *selection]
    artifacts, logs = home / "dbt" / "target", home / "dbt" / "logs"
    results = artifacts / "run_results.json"
    results.unlink(missing_ok=True)
    complaints: list[str] = []
    with attached.lifeline(home / "run") as lock:
        process = subprocess.Popen(
            attached.command(lock, _DBT, arguments),
            cwd=project,
            env={
                **environment(database),
                "DBT_TARGET_PATH": str(artifacts),
                "DBT_LOG_PATH": str(logs),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        for line in process.stdout:
            _follow(line, on_progress, complaints)
    if process.wait() != 0:
        raise _failure(logs / "dbt.log", results, complaints)
    return _summary(results)


def _follow(line: str, on_progress: Progress, complaints: list[str]) -> None:
    try:
        event = json.loads(line)
    except json.JSONDecodeError:
        complaints.append(line.strip())
        return
    data = event.get("data", {})
    # The project's own hooks count for themselves, as 1 of 1.
    is_hook = str(event.get("info", {}).get("name", "")).startswith("LogHook")
    if "index" in data and "total" in data and not is_hook:
        on_progress(int(data["index"]), int(data["total"]))
    if event.get("info", {}).get("level") == "error":
        complaints.append(str(event["info"].get("msg", "")).strip())


def _failure(log: Path, results: Path, complaints: list[str]) -> StageError:
    failed = [row for row in _rows(results) if row["status"] in _FAILED]
    names = ", ".join(str(row["unique_id"]).split(".")[2] for row in failed[:3])
    more = f" and {len(failed) - 3} more" if len(failed) > 3 else ""
    reason = " ".join(str(failed[0]["message"]).split()) if failed else " ".join(complaints[-3:])
    what = f"dbt failed in {names}{more} ({reason})" if failed else f"dbt failed ({reason})"
    return StageError(what, next_step=f"Read {log}")


def _summary(results: Path) -> DbtSummary:
    rows = _rows(results)
    counts = Counter(str(row["unique_id"]).split(".")[0] for row in rows)
    counts["test"] += counts.pop("unit_test", 0)
    return DbtSummary(dict(counts), sum(row["status"] == "warn" for row in rows))


def _rows(results: Path) -> list[dict[str, object]]:
    if not results.exists():
        return []
    rows: list[dict[str, object]] = json.loads(results.read_text())["results"]
    return rows
