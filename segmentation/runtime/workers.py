"""Which processes of the role are there, and which version of each segment they run."""

import os
import socket
from collections.abc import Iterable

from insight.database import Connection
from segmentation.runtime.pipelines import Pipeline, Refusal

# Workers that were killed are forgotten after that long.
_FORGOTTEN_AFTER = "1 hour"


def worker_name() -> str:
    """A name for this process that no other one has."""
    return f"{socket.gethostname()}-{os.getpid()}-{os.urandom(2).hex()}"


def announce(connection: Connection, worker: str, state: str) -> None:
    """Say that this process is there and what it does."""
    connection.execute(
        "delete from segmentation.rule_workers where seen_at < now() - %s::interval",
        (_FORGOTTEN_AFTER,),
    )
    connection.execute(
        """insert into segmentation.rule_workers (worker, state) values (%s, %s)
           on conflict (worker) do update set state = excluded.state, seen_at = now()""",
        (worker, state),
    )


def tell_versions(
    connection: Connection,
    worker: str,
    sequence: int,
    running: Iterable[Pipeline],
    refused: Iterable[Refusal],
) -> None:
    """Say which versions are run from now on, and which were refused and why."""
    rows: dict[str, list[object]] = {
        each.segment: [each.segment, each.version, None, None] for each in running
    }
    for each in refused:
        row = rows.setdefault(each.segment, [each.segment, None, None, None])
        row[2:] = [each.version, each.reason]
    with connection.transaction():
        connection.execute(
            """update segmentation.rule_workers
               set configuration_sequence = %s, seen_at = now() where worker = %s""",
            (sequence, worker),
        )
        connection.execute(
            "delete from segmentation.rule_worker_versions where worker = %s", (worker,)
        )
        with connection.cursor() as cursor:
            cursor.executemany(
                """insert into segmentation.rule_worker_versions
                       (worker, segment, version, refused_version, reason)
                   values (%s, %s, %s, %s, %s)""",
                [(worker, *row) for row in rows.values()],
            )


def leave(connection: Connection, worker: str) -> None:
    """Forget this process, which ends in order."""
    connection.execute("delete from segmentation.rule_workers where worker = %s", (worker,))
