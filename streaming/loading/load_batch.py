"""The one transaction in which a batch of messages lands."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from enum import StrEnum

import psycopg

from insight.database import Connection
from insight.errors import IntegrityError
from streaming import progress
from streaming.contract import Contract
from streaming.loading.batch import Batch, Rejected
from streaming.messages.codec import Rejection, storable
from streaming.progress import Advance, Claim
from streaming.tables import coordinates_constraint, copy_statement

_LINE = re.compile(r"\bline (\d+)")

# After a first refusal the rest goes in pieces of this size, so that the cost of finding bad rows
# grows with their number and not with the size of the batch.
_PIECE = 500


class Step(StrEnum):
    """Moments at which a test can pause or kill the loader."""

    CONSUMED = "consumed"
    ADVANCED = "advanced"
    COPYING = "copying"
    BEFORE_COMMIT = "before_commit"
    COMMITTED = "committed"


OnStep = Callable[[Step], None]


def ignore_step(_step: Step) -> None:
    """The mark that does nothing."""


def load_batch(
    connection: Connection,
    contract: Contract,
    held: Claim,
    batch: Batch,
    high_watermark: int,
    on_step: OnStep = ignore_step,
) -> Batch:
    """Land one batch; returns it as it was stored, with the rows that Postgres refused moved.

    1. Advance progress, on condition that the claim is good: else nothing is written (FencedError).
    2. Copy the good rows; a row that Postgres refuses joins the rejected ones.
    3. Copy the rejected messages into quarantine.
    4. Insert the ledger row.
    5. Commit. A crash before this line leaves no trace, and Kafka still has the messages.

    Raises FencedError; IntegrityError when a message had been loaded before; psycopg errors of
    the connection or the server, after which the caller has to read progress again.
    """
    with connection.transaction():
        load_id = progress.advance(connection, held, _advance(batch, high_watermark))
        on_step(Step.ADVANCED)
        batch = _copy_rows(connection, contract, held, batch, load_id, on_step)
        _copy_rejected(connection, contract, held, batch.rejected)
        _insert_ledger(connection, contract, held, batch, load_id)
        on_step(Step.BEFORE_COMMIT)
    on_step(Step.COMMITTED)
    return batch


def _advance(batch: Batch, high_watermark: int) -> Advance:
    return Advance(
        lo=batch.lo,
        hi=batch.hi,
        rows=len(batch.lines),
        quarantined=len(batch.rejected),
        gaps=batch.gaps,
        high_watermark=high_watermark,
        newest_event_at=batch.newest_event_at,
        state=progress.HALTED_LIMIT if batch.limit_reason else progress.RUNNING,
        state_reason=batch.limit_reason,
    )


def _copy_rows(
    connection: Connection,
    contract: Contract,
    held: Claim,
    batch: Batch,
    load_id: int,
    on_step: OnStep,
) -> Batch:
    suffix = f"\t{held.partition_id}\t{load_id}\n"
    refused = _copy_lines(connection, contract, batch.lines, suffix, on_step)
    if not refused:
        return batch
    progress.correct_advance(connection, held, len(refused))
    return batch.without(refused)


def _copy_lines(
    connection: Connection, contract: Contract, lines: list[str], suffix: str, on_step: OnStep
) -> dict[int, Rejection]:
    """Copy all lines that Postgres takes; the others by their index, with the reason."""
    refused: dict[int, Rejection] = {}
    start, size = 0, len(lines)
    while start < len(lines):
        piece = lines[start : start + size]
        error = _try_copy(connection, contract, piece, suffix, on_step)
        if error is None:
            start += len(piece)
            continue
        size = min(_PIECE, size)
        bad = _bad_line(error, len(piece))
        if bad is None:
            size = max(1, size // 2)
            continue
        _try_copy(connection, contract, piece[:bad], suffix, on_step)
        refused[start + bad] = _refusal(error)
        start += bad + 1
    return refused


def _try_copy(
    connection: Connection, contract: Contract, lines: list[str], suffix: str, on_step: OnStep
) -> psycopg.Error | None:
    if not lines:
        return None
    text = (suffix.join(lines) + suffix).encode()
    half = len(text) // 2
    try:
        with connection.transaction(), connection.cursor() as cursor:
            with cursor.copy(copy_statement(contract)) as copy:
                copy.write(text[:half])
                on_step(Step.COPYING)
                copy.write(text[half:])
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        if error.diag.constraint_name == coordinates_constraint(contract):
            raise IntegrityError(
                "holds messages that its progress says were never loaded",
                where=f"streaming.{contract.table}",
                next_step="Run `insight verify`",
            ) from error
        return error
    return None


def _bad_line(error: psycopg.Error, lines: int) -> int | None:
    """Index of the line that Postgres complains about; the only one when there is just one."""
    if lines == 1:
        return 0
    found = _LINE.search(error.diag.context or "")
    number = int(found.group(1)) if found else 0
    return number - 1 if 1 <= number <= lines else None


def _refusal(error: psycopg.Error) -> Rejection:
    text = " ".join(filter(None, [error.diag.message_primary, error.diag.message_detail]))
    column = re.search(r"column (\w+)", error.diag.context or "")
    return Rejection("refused_by_database", text, column.group(1) if column else None)


def _copy_rejected(
    connection: Connection, contract: Contract, held: Claim, rejected: list[Rejected]
) -> None:
    if not rejected:
        return
    statement = """copy streaming.quarantine (stream, partition_id, cluster_id, topic, partition,
        "offset", key, value, headers, kafka_timestamp, error_code, error_path, error_text,
        contract_version) from stdin"""
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for each in rejected:
            copy.write_row(
                (
                    contract.stream,
                    held.partition_id,
                    held.key.cluster_id,
                    held.key.topic,
                    held.key.partition,
                    *_quarantine_values(each),
                    contract.version,
                )
            )


def _quarantine_values(rejected: Rejected) -> Iterator[object]:
    message, verdict = rejected.message, rejected.verdict
    yield message.offset()
    yield message.key()
    yield message.value()
    yield _headers_json(rejected)
    yield _kafka_time(rejected)
    yield verdict.code
    yield None if verdict.path is None else storable(verdict.path)
    yield storable(verdict.text)


def _headers_json(rejected: Rejected) -> str:
    try:
        headers = rejected.message.headers() or []
    except UnicodeDecodeError:
        headers = []
    texts = [(name, (value or b"").decode("utf-8", "backslashreplace")) for name, value in headers]
    return json.dumps([(storable(name), storable(text)) for name, text in texts])


def _kafka_time(rejected: Rejected) -> datetime | None:
    try:
        return datetime.fromtimestamp(rejected.message.timestamp()[1] / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _insert_ledger(
    connection: Connection, contract: Contract, held: Claim, batch: Batch, load_id: int
) -> None:
    connection.execute(
        """insert into streaming.load_ledger
               (load_id, stream, partition_id, cluster_id, topic, partition, lo, hi, rows,
                quarantined, gaps, gap_offsets)
           values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        (
            load_id,
            contract.stream,
            held.partition_id,
            held.key.cluster_id,
            held.key.topic,
            held.key.partition,
            batch.lo,
            batch.hi,
            len(batch.lines),
            len(batch.rejected),
            batch.gaps,
            _gap_offsets(batch),
        ),
    )


def _gap_offsets(batch: Batch) -> str | None:
    """Text of an int8multirange; None where every offset has a message."""
    if not batch.gaps:
        return None
    return "{" + ",".join(f"[{first},{last}]" for first, last in batch.gap_ranges()) + "}"
