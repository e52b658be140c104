"""What every command shares: settings, consoles and a line that shows what goes on."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import typer
from rich.console import Console

from insight.settings import Settings

out = Console(highlight=False, soft_wrap=True)
# Rows of a table stay on one line each, as in psql: the terminal wraps them, or a pager scrolls.
wide = Console(highlight=False, width=10_000)
err = Console(stderr=True, highlight=False, soft_wrap=True)

_SECONDS_BETWEEN_LINES = 15


@dataclass(frozen=True)
class CliState:
    """Set by the main callback, read by every command through the Typer context."""

    settings: Settings
    verbose: bool


def settings_of(context: typer.Context) -> Settings:
    state = context.obj
    assert isinstance(state, CliState)
    return state.settings


@contextmanager
def progress(task: str) -> Iterator[Callable[[str], None]]:
    """A spinner with a short text on a terminal; elsewhere a line now and then on stderr."""
    if err.is_terminal:
        with err.status(task) as status:
            yield lambda text: status.update(f"{task}: {text}")
        return
    last = time.monotonic()

    def tell(text: str) -> None:
        nonlocal last
        if time.monotonic() - last > _SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            err.print(f"{task}: {text}")

    yield tell
