"""Every command in the README works as written, in order, from the top of a clone.

A command is a line that starts with `$ ` in a ```console block. `make demo` and `make test` set up
a virtual environment and are run by continuous integration; here their inner command stands in.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from typed_dbt_commands import TYPED

from insight.services import stop

_BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)

# Commands that run until stopped; each gets this many seconds, then Ctrl-C.
_LONG_LIVED = {"insight up": 15, "dbt docs serve": 8}
# What `make` runs after setting up; `make test` is what runs this test.
_STANDS_FOR = {"make demo": "insight run", "make test": "true"}
# They open an editor or a browser, or replace the data that later commands read.
_NOT_RUN_HERE = re.compile(r"^(git clone|jupyter lab|docker compose|cd marketing)")


def commands_of(readme: str) -> list[str]:
    lines = "\n".join(_BLOCK.findall(readme)).splitlines()
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


@pytest.fixture(scope="module")
def clone(project_root: Path) -> Iterator[Path]:
    """A copy of the project with a home of its own; the packages are those of this environment."""
    with tempfile.TemporaryDirectory(prefix="insight-", dir="/tmp") as parent:
        Path(parent).chmod(0o755)
        folder = Path(parent) / "clone"
        ignored = (".venv", ".insight", ".git", "target", "logs", "jars", "site", ".*_cache")
        shutil.copytree(project_root, folder, ignore=shutil.ignore_patterns(*ignored))
        yield folder
        stop(folder / ".insight", now=True)


def test_every_command_of_the_readme_works(clone: Path) -> None:
    commands = commands_of((clone / "README.md").read_text())
    assert len(commands) > 20
    script = "\n".join(shell_line(command) for command in commands)
    external = {"DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL"}
    environment = {
        **{name: value for name, value in os.environ.items() if name not in external},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(clone),
        "INSIGHT_HOME": str(clone / ".insight"),
    }
    outcome = subprocess.run(
        ["bash", "-c", f"set -e\n{script}"],
        cwd=clone,
        env=environment,
        capture_output=True,
        text=True,
        timeout=840,
    )
    assert outcome.returncode == 0, f"{outcome.stdout[-3000:]}\n{outcome.stderr[-3000:]}"


def shell_line(command: str) -> str:
    """The command as a line of a script that stops at the first failure and says which it was."""
    command = _STANDS_FOR.get(command, command)
    if _NOT_RUN_HERE.match(command) or command in TYPED:  # tests/dbt runs these, and reads them
        return f": {command!r}"
    seconds = next((s for prefix, s in _LONG_LIVED.items() if command.startswith(prefix)), None)
    if seconds:
        interrupted = 128 + signal.SIGINT
        command = (
            f"timeout --signal=INT --kill-after=30 {seconds} {command}"
            f" || case $? in 124 | {interrupted}) ;; *) exit 1 ;; esac"
        )
    return f"echo '+ {command.translate({39: None})}'\n{command}"
