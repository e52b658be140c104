"""The PostgreSQL sink of Quix Streams, in a virtual environment made for it."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from psycopg import sql

from benchmarks.streams.contenders import Contender, Running, create_plain_tables, start_workers
from benchmarks.streams.ground import CACHE, Ground
from insight.database import DatabaseEndpoint

VERSION = "3.28.1"
_PACKAGE = f"quixstreams[postgresql]=={VERSION}"
_ENVIRONMENT = CACHE / f"quix-{VERSION}"
_SCRIPT = Path(__file__).with_name("quix_sink.py")


@dataclass(frozen=True)
class Quix(Contender):
    """`commit_every=20000`, into the contract's columns, which it finds ready and typed.

    By default it adds key and time of the message, the latter to a column `timestamp`: so the
    sale's own time is lost. Without metadata it stores what the others store.
    """

    include_metadata: bool = True

    @property
    def table(self) -> sql.Identifier:
        return sql.Identifier("bench", "sales")

    def prepare(self) -> None:
        _environment()

    def create(self, database: DatabaseEndpoint) -> None:
        create_plain_tables(database)

    def start(self, ground: Ground, database: DatabaseEndpoint) -> Running:
        command = [str(_environment() / "bin" / "python"), str(_SCRIPT)]
        request = self.request(ground, database)
        request["include_metadata"] = self.include_metadata
        log = ground.folder / "quix.log"
        return start_workers(command, [request], log)


def _environment() -> Path:
    """The virtual environment; a half-made one is made anew."""
    finished = _ENVIRONMENT / "finished"
    if not finished.exists():
        shutil.rmtree(_ENVIRONMENT, ignore_errors=True)
        uv = [sys.executable, "-m", "uv"]
        python = str(_ENVIRONMENT / "bin" / "python")
        make = [*uv, "venv", "--quiet", "--python", sys.executable, str(_ENVIRONMENT)]
        subprocess.run(make, check=True)
        install = [*uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python]
        subprocess.run([*install, _PACKAGE], check=True)
        finished.touch()
    return _ENVIRONMENT
