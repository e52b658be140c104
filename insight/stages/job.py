"""The stages, their order, and how they are run one after the other."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from insight.database import DatabaseEndpoint, connect
from insight.stages import load, publish, segment, stream, transform
from insight.stages.context import Context

# A number of our own choice: whoever holds this advisory lock changes the warehouse.
_WAREHOUSE_LOCK = 20190101


@dataclass(frozen=True)
class Stage:
    """One step of the main job; `run` returns one line that says what it made."""

    name: str
    run: Callable[[Context], str]


@dataclass(frozen=True)
class StageOutcome:
    """A finished stage."""

    stage: Stage
    summary: str
    seconds: float


STAGES = (
    Stage("load", load.run),
    Stage("stream", stream.run),
    Stage("transform", transform.run),
    Stage("segment", segment.run),
    Stage("publish", publish.run),
)


def run_stage(stage: Stage, context: Context) -> StageOutcome:
    """Run one stage, alone in its warehouse.

    Raises the stage's InsightError; what earlier stages made stays.
    """
    started = time.monotonic()
    with only_writer(context.services.database, context.tell):
        summary = stage.run(context)
    return StageOutcome(stage, summary, time.monotonic() - started)


def run_stages(context: Context) -> Iterator[StageOutcome]:
    """Run all stages in order, each yielded when it is done."""
    with only_writer(context.services.database, context.tell):
        for stage in STAGES:
            started = time.monotonic()
            yield StageOutcome(stage, stage.run(context), time.monotonic() - started)


@contextmanager
def only_writer(database: DatabaseEndpoint, tell: Callable[[str], None]) -> Iterator[None]:
    """Wait until no other command changes this warehouse, and keep others out for the block.

    The lock belongs to a database session, so it is free again when the holder is killed.
    """
    with connect(database, autocommit=True) as connection:
        attempt = connection.execute("select pg_try_advisory_lock(%s)", [_WAREHOUSE_LOCK])
        if attempt.fetchone() != (True,):
            tell("waiting for another command that changes the warehouse")
            connection.execute("select pg_advisory_lock(%s)", [_WAREHOUSE_LOCK])
        yield


@contextmanager
def writer_unless_busy(database: DatabaseEndpoint) -> Iterator[bool]:
    """Like `only_writer`, without waiting: False when another command changes the warehouse."""
    with connect(database, autocommit=True) as connection:
        attempt = connection.execute("select pg_try_advisory_lock(%s)", [_WAREHOUSE_LOCK])
        yield attempt.fetchone() == (True,)
