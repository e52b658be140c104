"""`insight status --watch`: the tables of the status, again and again, until Ctrl-C."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from insight.cli.state import wide
from insight.cli.status import Snapshot, sections, take_snapshot
from insight.database import DatabaseEndpoint, connect
from insight.errors import ServiceError

Show = Callable[[RenderableType], None]


def watch_status(
    database: DatabaseEndpoint, every_seconds: float, stop: threading.Event, console: Console
) -> None:
    """Show the status each `every_seconds` until `stop`; a database that is away is told.

    On a terminal it takes the screen and gives it back; elsewhere one table follows the other.
    """
    before: Snapshot | None = None
    latest: RenderableType | None = None
    with _screen(console) as show:
        while not stop.is_set():
            try:
                with connect(database) as connection:
                    now = take_snapshot(connection)
            except (ServiceError, psycopg.OperationalError) as error:
                show(Text(" ".join(str(error).split()), style="red"))
            else:
                latest = _page(now, before)
                show(latest)
                before = now
            stop.wait(every_seconds)
    if console.is_terminal and latest is not None:
        console.print(latest)


def _page(now: Snapshot, before: Snapshot | None) -> RenderableType:
    blank = Text()
    return Group(*(each for part in sections(now, before) for each in (part, blank)))


@contextmanager
def _screen(console: Console) -> Iterator[Show]:
    if not console.is_terminal:
        yield wide.print
        return
    with Live(console=console, screen=True, auto_refresh=False) as live:
        yield lambda page: live.update(page, refresh=True)
