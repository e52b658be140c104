"""dbt processes that are ready at once and can be killed like any other.

One process reads the project; each command then runs in a fork of it. Standard input has one JSON
list of arguments a line, and each is answered by a number.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ForkedDbt:
    """Starts dbt commands; `start` returns the pid, `wait` the exit code (-9: killed)."""

    _server: "subprocess.Popen[str]"

    def start(self, *arguments: str) -> int:
        return self._ask(["start", *arguments])

    def wait(self, pid: int) -> int:
        return self._ask(["wait", str(pid)])

    def _ask(self, request: list[str]) -> int:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        return int(self._server.stdout.readline())


@contextmanager
def forked_dbt(folder: Path, environment: Mapping[str, str]) -> Iterator[ForkedDbt]:
    with subprocess.Popen(
        [sys.executable, __file__],
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        yield ForkedDbt(server)
        assert server.stdin is not None
        server.stdin.close()


def _serve() -> None:
    from dbt.cli.main import dbtRunner

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    manifest = dbtRunner().invoke(["--quiet", "parse"]).result
    for line in sys.stdin:
        action, *arguments = json.loads(line)
        if action == "wait":
            answer = os.waitstatus_to_exitcode(os.waitpid(int(arguments[0]), 0)[1])
        elif (answer := os.fork()) == 0:
            outcome = dbtRunner(manifest=manifest).invoke(["--quiet", *arguments])
            os._exit(0 if outcome.success else 1)
        answers.write(f"{answer}\n")
        answers.flush()


if __name__ == "__main__":
    _serve()
