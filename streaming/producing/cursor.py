"""How far each source was read, saved only after its events were delivered."""

import json
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TypeVar

import psycopg

from insight.database import Connection, DatabaseEndpoint, connect
from insight.errors import ServiceError
from streaming.outages import DATABASE_OUTAGES
from streaming.producing.delivery import Offsets
from streaming.sources import Cursor

T = TypeVar("T")

_RECONNECT_SECONDS = 0.5

# The messages of the cursor are all in the warehouse: every offset lies before the next one to
# load, in the progress of the cluster that they were produced to.
_IS_COVERED = """not exists (
    select 1
    from jsonb_each_text(saved.offsets) as delivered (partition, newest)
    left join streaming.stream_progress as progress
        on progress.cluster_id = saved.cluster_id and progress.topic = saved.topic
        and progress.partition = delivered.partition::integer
    where coalesce(progress.next_offset, 0) <= delivered.newest::bigint
)"""


class Stopped(Exception):  # noqa: N818 (an outcome, asked for by the stop event)
    """The stop event was set while the database was away."""


class DatabaseSession:
    """A connection that is opened again when it was lost; what failed is done again.

    `on_connect` prepares each new connection; what it raises is raised by `do`.
    """

    def __init__(
        self,
        database: DatabaseEndpoint,
        stop: threading.Event,
        on_connect: Callable[[Connection], None] = lambda _connection: None,
    ):
        self._database = database
        self._stop = stop
        self._on_connect = on_connect
        self._connection: Connection | None = None
        self._open = ExitStack()

    def do(self, work: Callable[[Connection], T]) -> T:
        """The result of `work` in one transaction. Raises Stopped when asked to stop meanwhile.

        A lost answer to COMMIT lets `work` be done twice.
        """
        while True:
            try:
                connection = self._connected()
                with connection.transaction():
                    return work(connection)
            except (*DATABASE_OUTAGES, ServiceError):
                self.close()
                if self._stop.wait(_RECONNECT_SECONDS):
                    raise Stopped from None

    def close(self) -> None:
        self._connection = None
        # A connection that was lost cannot be committed; there is nothing in it to commit.
        with suppress(psycopg.Error):
            self._open.close()

    def _connected(self) -> Connection:
        if self._connection is None:
            connection = self._open.enter_context(connect(self._database, autocommit=True))
            try:
                self._on_connect(connection)
            except BaseException:
                self.close()
                raise
            self._connection = connection
        return self._connection


@dataclass(frozen=True)
class SavedCursor:
    """A cursor and the newest delivered offset of each partition of the present cluster."""

    cursor: Cursor
    offsets: Offsets


@dataclass(frozen=True)
class CursorKey:
    """Whose cursor: a source of a stream, delivered to a topic of a cluster."""

    stream: str
    source: str
    cluster_id: str
    topic: str


def load_cursor(connection: Connection, key: CursorKey) -> SavedCursor | None:
    """Where to go on; None is from the beginning.

    In the cluster of the newest cursor: that cursor. In another cluster the old one may have
    died with messages that nobody had loaded (an embedded broker does): the newest cursor whose
    messages all were, so that the lost ones are polled again.
    """
    newest = connection.execute(
        """select cluster_id, topic, cursor, offsets from streaming.producer_cursor
           where stream = %s and source = %s order by cursor_id desc limit 1""",
        (key.stream, key.source),
    ).fetchone()
    if newest is None:
        return None
    if (newest[0], newest[1]) == (key.cluster_id, key.topic):
        return SavedCursor(_object(newest[2]), _offsets(newest[3]))
    covered = connection.execute(
        f"""select cursor from streaming.producer_cursor as saved
            where stream = %s and source = %s and {_IS_COVERED}
            order by cursor_id desc limit 1""",  # noqa: S608 (a constant)
        (key.stream, key.source),
    ).fetchone()
    return None if covered is None else SavedCursor(_object(covered[0]), {})


def save_cursor(connection: Connection, key: CursorKey, saved: SavedCursor) -> None:
    """Record that everything up to the cursor was delivered."""
    connection.execute(
        """insert into streaming.producer_cursor
               (stream, source, cluster_id, topic, cursor, offsets)
           values (%s, %s, %s, %s, %s, %s)""",
        (
            key.stream,
            key.source,
            key.cluster_id,
            key.topic,
            json.dumps(saved.cursor),
            json.dumps(saved.offsets),
        ),
    )


def prune_cursors(connection: Connection, key: CursorKey) -> int:
    """Delete the cursors that no start can need any more; returns how many."""
    return connection.execute(
        f"""delete from streaming.producer_cursor
            where stream = %(stream)s and source = %(source)s and cursor_id < (
                select max(cursor_id) from streaming.producer_cursor as saved
                where stream = %(stream)s and source = %(source)s and {_IS_COVERED}
            )""",  # noqa: S608 (a constant)
        {"stream": key.stream, "source": key.source},
    ).rowcount


def _object(value: object) -> Cursor:
    assert isinstance(value, dict)
    return value


def _offsets(value: object) -> Offsets:
    return {int(partition): int(offset) for partition, offset in _object(value).items()}
