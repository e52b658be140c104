"""A dbt that stays in memory between commands; see `insight.stages.dbt_worker`."""

import json
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO

from insight import attached
from insight.database import DatabaseEndpoint
from insight.errors import StageError
from insight.stages.dbt import environment

_WORKER = "insight.stages.dbt_worker:main"
_FAILED = frozenset({"error", "fail", "runtime error", "partial success"})
_LOOK_SECONDS = 0.2
_SECONDS_TO_END = 1.0

# dbt keeps a little of every command in memory; then it starts anew.
_COMMANDS_A_WORKER = 500


class Interrupted(Exception):  # noqa: N818 (an outcome, asked for by the stop event)
    """We had to end in the middle of a command; Postgres takes back the model at work."""


@dataclass(frozen=True)
class DbtNode:
    """What a command did with one model or test."""

    unique_id: str
    status: str
    message: str

    @property
    def name(self) -> str:
        return self.unique_id.split(".")[2]

    @property
    def has_failed(self) -> bool:
        return self.status in _FAILED


class WarmDbt:
    """Runs dbt commands in one project and warehouse, each in about half a second.

    Use it from one thread, in a `with` block. `options` are added to every command.
    """

    def __init__(
        self,
        project: Path,
        home: Path,
        database: DatabaseEndpoint,
        options: Sequence[str],
        stop: threading.Event,
        seconds_to_finish: float = 5.0,
    ):
        self._project = project
        self._database = database
        self._options = list(options)
        self._stop = stop
        self._seconds_to_finish = seconds_to_finish
        self._folder = home / "dbt" / "schedule"
        self._run_folder = home / "run"
        self._stack = ExitStack()
        self._process: subprocess.Popen[str] | None = None
        self._answers: SimpleQueue[str] = SimpleQueue()
        self._commands = 0

    def __enter__(self) -> "WarmDbt":
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def run(self, *arguments: str) -> list[DbtNode]:
        """One dbt command, for instance `run --select tag:streaming`; all nodes it touched.

        Failed nodes are returned, not raised. Raises StageError when dbt itself fails, for
        instance on a project it cannot read, Interrupted when the stop event is set before the
        command begins, or while it runs and it does not finish soon.
        """
        if self._stop.is_set():
            raise Interrupted
        process = self._worker()
        self._commands += 1
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(arguments) + "\n")
            process.stdin.flush()
        answer = json.loads(self._answer())
        if answer["error"] is not None:
            raise StageError(f"dbt failed ({_one_line(answer['error'])})", next_step=self._log())
        return [DbtNode(*each) for each in answer["results"]]

    def _worker(self) -> "subprocess.Popen[str]":
        if self._process is not None and self._commands < _COMMANDS_A_WORKER:
            return self._process
        self._stack.close()
        self._commands = 0
        self._answers = SimpleQueue()
        lock = self._stack.enter_context(attached.lifeline(self._run_folder))
        self._process = self._stack.enter_context(self._started(lock))
        return self._process

    @contextmanager
    def _started(self, lock: Path) -> "Iterator[subprocess.Popen[str]]":
        process = subprocess.Popen(
            attached.command(lock, _WORKER, self._options),
            cwd=self._project,
            env={
                **environment(self._database),
                "DBT_TARGET_PATH": str(self._folder / "target"),
                "DBT_LOG_PATH": str(self._folder / "logs"),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdin is not None
        reader = threading.Thread(target=_read, args=(process.stdout, self._answers), daemon=True)
        reader.start()
        try:
            yield process
        finally:
            self._process = None
            # At the end of its input it ends by itself; in the middle of a command it would not.
            with suppress(BrokenPipeError):
                process.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_SECONDS_TO_END)
            process.kill()
            process.wait()
            reader.join()

    def _answer(self) -> str:
        """The worker's next line. A worker that died is replaced at the next command."""
        left = self._seconds_to_finish
        while True:
            with suppress(Empty):
                if line := self._answers.get(timeout=_LOOK_SECONDS):
                    return line
                self._stack.close()
                raise StageError("dbt ended in the middle of a command", next_step=self._log())
            left -= _LOOK_SECONDS * self._stop.is_set()
            if left <= 0:
                self._stack.close()
                raise Interrupted

    def _log(self) -> str:
        return f"Read {self._folder / 'logs' / 'dbt.log'}"


def _read(output: IO[str], answers: "SimpleQueue[str]") -> None:
    """Hand over each line, and an empty one at the end."""
    with output:
        for line in output:
            answers.put(line)
    answers.put("")


def _one_line(text: str) -> str:
    return " ".join(text.split())
