"""Messages in quarantine: look at them, choose some, put them aside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from insight.audit import Author
from insight.database import Connection
from insight.errors import InputError
from streaming.operating.audited import tell_audit_log

OPEN, REPLAYED, IGNORED = "open", "replayed", "ignored"


@dataclass(frozen=True)
class Quarantined:
    """A row of `streaming.quarantine`; `mended` are the bytes that landed when not `value`."""

    quarantine_id: int
    stream: str
    partition_id: int
    cluster_id: str
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, str]]
    kafka_timestamp: datetime | None
    error_code: str
    error_path: str | None
    error_text: str
    contract_version: str
    first_seen_at: datetime
    status: str
    mended: bytes | None
    resolved_at: datetime | None
    resolved_by: str | None
    resolution: str | None
    replay_load_id: int | None

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}] offset {self.offset}"


@dataclass(frozen=True)
class Selection:
    """Which messages are meant; what is None does not matter. `where` is a condition in SQL."""

    stream: str | None = None
    code: str | None = None
    status: str | None = OPEN
    where: str | None = None


@dataclass(frozen=True)
class Resolution:
    """Who decided about messages, as the audit log has it (`cli:ada`), and why."""

    by: str
    reason: str


_COLUMNS = sql.SQL(", ").join(sql.Identifier(each.name) for each in fields(Quarantined))


def quarantined(
    connection: Connection, selection: Selection, limit: int | None = None
) -> list[Quarantined]:
    """The messages selected, newest first."""
    return _read(
        connection,
        sql.SQL("where {} order by quarantine_id desc limit {}").format(
            _condition(selection), sql.Literal(limit)
        ),
    )


def quarantined_message(connection: Connection, quarantine_id: int) -> Quarantined:
    """One message. Raises InputError when there is none of this id."""
    found = _read(
        connection, sql.SQL("where quarantine_id = {}").format(sql.Literal(quarantine_id))
    )
    if not found:
        raise InputError(
            f"there is no quarantined message {quarantine_id}",
            next_step="See: insight quarantine list",
        )
    return found[0]


def locked_messages(connection: Connection, ids: Sequence[int]) -> list[Quarantined]:
    """Those not replayed yet; nobody else can replay them until the transaction ends."""
    # In one order, or two replays of the same messages could wait for each other.
    clause = sql.SQL("where quarantine_id = any({}) and status <> {} order by quarantine_id"
                     " for update")  # fmt: skip
    return _read(connection, clause.format(sql.Literal(list(ids)), sql.Literal(REPLAYED)))


def _read(connection: Connection, clause: sql.Composable) -> list[Quarantined]:
    if connection.execute("select to_regclass('streaming.quarantine')").fetchone() == (None,):
        return []  # nothing was ever streamed
    with connection.cursor(row_factory=class_row(Quarantined)) as cursor:
        return cursor.execute(
            sql.SQL("select {} from streaming.quarantine {}").format(_COLUMNS, clause)
        ).fetchall()


def selected_ids(connection: Connection, selection: Selection) -> list[int]:
    """The ids of the messages selected, oldest first, read in a transaction that cannot write.

    Raises InputError for a `where` that is no condition.
    """
    query = sql.SQL("select quarantine_id from streaming.quarantine where {} order by 1")
    try:
        with connection.transaction():
            # The condition comes from a person: it chooses messages and changes nothing.
            connection.execute("set transaction read only")
            # A prepared statement is a single one: the condition cannot end the transaction.
            rows = connection.execute(query.format(_condition(selection)), prepare=True).fetchall()
    except psycopg.ProgrammingError as error:
        raise InputError(_one_line(error), where=f"--where {selection.where}") from error
    except psycopg.errors.ReadOnlySqlTransaction as error:
        raise InputError("would change data", where=f"--where {selection.where}") from error
    return [int(str(number)) for (number,) in rows]


def ignore(connection: Connection, ids: Sequence[int], resolution: Resolution) -> int:
    """Put open messages aside for good, audited; returns how many were open."""
    with connection.transaction():
        rows = connection.execute(
            """update streaming.quarantine
               set status = %s, resolved_at = now(), resolved_by = %s, resolution = %s
               where quarantine_id = any(%s) and status = %s returning stream, quarantine_id""",
            (IGNORED, resolution.by, resolution.reason, list(ids), OPEN),
        ).fetchall()
        ignored: dict[str, list[int]] = {}
        for stream, number in rows:
            ignored.setdefault(str(stream), []).append(int(str(number)))
        tell_resolved(connection, "quarantine.ignore", ignored, resolution)
    return len(rows)


def tell_resolved(
    connection: Connection, action: str, ids: Mapping[str, Sequence[int]], resolution: Resolution
) -> None:
    """Append to the audit log, within the caller's transaction, which messages of which stream.

    Call it last: from here to the end of the transaction nobody else can append.
    """
    for stream, numbers in ids.items():
        tell_audit_log(connection, Author(resolution.by), action, stream,
                       quarantine_ids=sorted(numbers), reason=resolution.reason)  # fmt: skip


def _condition(selection: Selection) -> sql.Composable:
    columns: tuple[tuple[LiteralString, str | None], ...] = (
        ("stream", selection.stream),
        ("error_code", selection.code),
        ("status", selection.status),
    )
    parts: list[sql.Composable] = [
        sql.SQL("{} = {}").format(sql.Identifier(column), sql.Literal(value))
        for column, value in columns
        if value is not None
    ]
    if selection.where is not None:
        condition: Any = selection.where
        parts.append(sql.SQL("({})").format(sql.SQL(condition)))
    return sql.SQL(" and ").join(parts) if parts else sql.SQL("true")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
