"""Homes for embedded services, whatever the rest of the tests runs on."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from insight.services import stop
from insight.services.account import fallback_folder


@pytest.fixture
def new_home() -> Iterator[Callable[..., Path]]:
    """Makes empty home folders, each stopped and removed at the end."""
    with ExitStack() as stack:

        def make(name: str = "home") -> Path:
            parent = stack.enter_context(tempfile.TemporaryDirectory(prefix="insight-", dir="/tmp"))
            Path(parent).chmod(0o755)
            home = Path(parent) / name
            stack.callback(shutil.rmtree, fallback_folder(home), ignore_errors=True)
            stack.callback(stop, home, now=True)
            return home

        yield make
