"""Role `schedule`: the streaming models are rebuilt when new rows have been loaded."""

import logging
import threading

from insight.database import DatabaseEndpoint, connect
from insight.errors import ServiceError, StageError
from insight.stages.context import Context
from insight.stages.job import only_writer

_logger = logging.getLogger(__name__)

_STREAMING_MODELS = "tag:streaming+"


def refresh_when_loaded(context: Context, stop: threading.Event, seconds: float) -> None:
    """Look at the ledger each `seconds` until `stop` is set, and rebuild when it has moved.

    A failed build or an unreachable database is logged and tried again at the next look.
    """
    built = 0
    while not stop.is_set():
        try:
            newest = _newest_load(context.services.database)
            if newest > built:
                _rebuild(context)
                built = newest
        except (ServiceError, StageError) as error:
            _logger.warning("%s", error)
        stop.wait(seconds)


def _rebuild(context: Context) -> None:
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
