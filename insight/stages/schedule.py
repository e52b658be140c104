"""Role `schedule`: the streaming models are rebuilt when new rows have been loaded."""

import logging
import threading

import psycopg

from insight.database import DatabaseEndpoint, connect
from insight.errors import ServiceError, StageError
from insight.stages.context import Context
from insight.stages.job import only_writer

_logger = logging.getLogger(__name__)

_STREAMING_MODELS = "tag:streaming+"
_LONGEST_PAUSE_SECONDS = 300.0


def refresh_when_loaded(context: Context, stop: threading.Event, seconds: float) -> None:
    """Look at the ledger each `seconds` until `stop` is set, and rebuild when it has moved.

    An unreachable database and a failed build are logged. A failed build is tried again after a
    pause that doubles up to five minutes.
    """
    built, pause = 0, seconds
    while not stop.is_set():
        try:
            newest = _newest_load(context.services.database)
            if newest > built:
                _rebuild(context)
            built, pause = newest, seconds
        except (ServiceError, StageError, psycopg.OperationalError) as error:
            _logger.warning("%s", " ".join(str(error).split()))
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        stop.wait(pause)


def _rebuild(context: Context) -> None:
    """Raises StageError when the models around the streaming ones were never built."""
    with connect(context.services.database) as connection:
        if connection.execute("select to_regclass('marts.dim_datetime')").fetchone() == (None,):
            raise StageError("the warehouse is not built yet", next_step="Run: insight run")
    with only_writer(context.services.database, context.tell):
        summary = context.build("--select", _STREAMING_MODELS)
    _logger.info("refreshed: %s", summary.sentence())


def _newest_load(database: DatabaseEndpoint) -> int:
    with connect(database) as connection:
        if connection.execute("select to_regclass('streaming.load_ledger')").fetchone() == (None,):
            return 0
        row = connection.execute(
            "select coalesce(max(load_id), 0) from streaming.load_ledger"
        ).fetchone()
    assert row is not None
    return int(str(row[0]))
