"""What every command shares: settings, consoles and a line that shows what goes on."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from insight.settings import Settings

out = Console(highlight=False, soft_wrap=True)
# Rows of a table stay on one line each, as in psql: the terminal wraps them, or a pager scrolls.
wide = Console(highlight=False, width=10_000)
err = Console(stderr=True, highlight=False, soft_wrap=True)

_SECONDS_BETWEEN_LINES = 15


def settings_of(context: typer.Context) -> Settings:
    """The settings that the main callback has read."""
    settings = context.obj
    assert isinstance(settings, Settings)
    return settings


@contextmanager
def progress(task: str, console: Console = err) -> Iterator[Callable[[str], None]]:
    """A spinner with a short text on a terminal; elsewhere a line, now and then."""
    if console.is_terminal:
        with console.status(task) as status:
            yield lambda text: status.update(f"{task}: {text}")
        return
    last = -math.inf

    def tell(text: str) -> None:
        nonlocal last
        if time.monotonic() - last > _SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            console.print(f"{task}: {text}")

    yield tell
