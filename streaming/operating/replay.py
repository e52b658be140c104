"""Replay: messages in quarantine land after all, mended or under a mended contract.

A message that lands keeps its place: its row has the partition and offset under which it was
quarantined. Row, status and audit log change in one transaction, so it lands once, however often
and by however many people it is replayed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import psycopg

from insight.database import Connection
from insight.errors import InputError, IntegrityError
from streaming.contract import Contract
from streaming.messages.codec import Codec, Headers, Rejection, storable
from streaming.operating.quarantine import (
    REPLAYED,
    Quarantined,
    Resolution,
    locked_messages,
    tell_resolved,
)
from streaming.tables import copy_statement

# So many messages are locked and landed in one transaction.
_CHUNK = 500


@dataclass
class ReplayReport:
    """What became of the messages, by quarantine_id; `refused` ones stay open."""

    landed: list[int] = field(default_factory=list)
    refused: dict[int, Rejection] = field(default_factory=dict)


def replay(
    connection: Connection,
    contracts: Sequence[Contract],
    ids: Sequence[int],
    resolution: Resolution,
    mended: bytes | None = None,
) -> ReplayReport:
    """Decode messages under the contracts in use and land the good ones; `mended` replaces bytes.

    `connection` commits by itself. Messages that are replayed already, or being replayed by
    somebody else, are left out of the report. Raises InputError when a stream has no contract,
    IntegrityError when a row stands at the place of a message that is still in quarantine.
    """
    report = ReplayReport()
    known = {each.stream: each for each in contracts}
    for start in range(0, len(ids), _CHUNK):
        with connection.transaction():
            messages = locked_messages(connection, ids[start : start + _CHUNK])
            landed: dict[str, list[int]] = {}
            for stream in sorted({each.stream for each in messages}):
                _refuse_unknown(stream, known)
                group = [each for each in messages if each.stream == stream]
                replayer = _Replay(connection, known[stream], resolution, mended)
                if numbers := replayer.land(group, report):
                    landed[stream] = numbers
            tell_resolved(connection, "quarantine.replay", landed, resolution)
    return report


@dataclass(frozen=True)
class _Line:
    message: Quarantined
    text: str


class _Replay:
    """Lands messages of one stream within the caller's transaction."""

    def __init__(
        self,
        connection: Connection,
        contract: Contract,
        resolution: Resolution,
        mended: bytes | None,
    ):
        self._connection = connection
        self._contract = contract
        self._resolution = resolution
        self._mended = mended
        self._codec = Codec(contract)
        self._copy = copy_statement(contract)

    def land(self, messages: Sequence[Quarantined], report: ReplayReport) -> list[int]:
        """Returns the ids of those that landed."""
        refused: dict[int, Rejection] = {}
        load_id = _next_load_id(self._connection, {each.partition_id for each in messages})
        lines = list(self._decoded(messages, load_id, refused))
        landed = [each.message for each in self._copied(lines, refused)]
        self._mark_landed(landed, load_id)
        self._mark_refused(refused)
        report.refused |= refused
        numbers = [each.quarantine_id for each in landed]
        report.landed += numbers
        return numbers

    def _decoded(
        self, messages: Sequence[Quarantined], load_id: int, refused: dict[int, Rejection]
    ) -> Iterator[_Line]:
        for each in messages:
            try:
                line = self._decode(each)
            except Rejection as verdict:
                refused[each.quarantine_id] = verdict
            else:
                place = f"{each.offset}\t{each.partition_id}\t{load_id}"
                yield _Line(each, f"{line}\t{place}\n")

    def _decode(self, message: Quarantined) -> str:
        if self._mended is not None:
            # The version that a message names is about its own bytes.
            return self._codec.copy_line(self._mended)[0]
        self._codec.check_version(_headers(message))
        return self._codec.copy_line(message.value)[0]

    def _copied(self, lines: Sequence[_Line], refused: dict[int, Rejection]) -> Iterator[_Line]:
        """The lines that Postgres takes; looks for the others by halves."""
        if not lines:
            return
        try:
            with (
                self._connection.transaction(),
                self._connection.cursor() as cursor,
                cursor.copy(self._copy) as copy,
            ):
                copy.write("".join(each.text for each in lines))
        except psycopg.errors.UniqueViolation as error:
            raise IntegrityError(
                f"a quarantined message is stored as a row too ({_one_line(error)})",
                where=f"streaming.{self._contract.table}",
                next_step="Run: insight verify",
            ) from error
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            if len(lines) == 1:
                text = str(error.diag.message_primary)
                refused[lines[0].message.quarantine_id] = Rejection("refused_by_database", text)
            else:
                half = len(lines) // 2
                yield from self._copied(lines[:half], refused)
                yield from self._copied(lines[half:], refused)
        else:
            yield from lines

    def _mark_landed(self, messages: Sequence[Quarantined], load_id: int) -> None:
        self._connection.execute(
            """update streaming.quarantine set
                   status = %s, replay_load_id = %s, mended = %s, resolved_at = now(),
                   resolved_by = %s, resolution = %s
               where quarantine_id = any(%s)""",
            (
                REPLAYED,
                load_id,
                self._mended,
                self._resolution.by,
                f"{self._resolution.reason} (under contract {self._contract.version})",
                [each.quarantine_id for each in messages],
            ),
        )

    def _mark_refused(self, refused: dict[int, Rejection]) -> None:
        """Say why a message is still bad; a mended one that is not good leaves no trace."""
        if self._mended is not None or not refused:
            return
        with self._connection.cursor() as cursor:
            cursor.executemany(
                """update streaming.quarantine set
                       error_code = %s, error_path = %s, error_text = %s, contract_version = %s
                   where quarantine_id = %s""",
                [
                    (each.code, each.path and storable(each.path), storable(each.text),
                     self._contract.version, number)
                    for number, each in refused.items()
                ],
            )  # fmt: skip


def _refuse_unknown(stream: str, contracts: dict[str, Contract]) -> None:
    if stream not in contracts:
        raise InputError(
            "has no contract any more",
            where=f"stream {stream}",
            next_step="Register one: insight streams register FILE",
        )


def _next_load_id(connection: Connection, partition_ids: set[int]) -> int:
    """A new load id; no loader commits to these partitions before the transaction ends.

    Without the lock a load with a higher number could be read by the models before this one,
    whose rows would then count as older than rows that were published already.
    """
    connection.execute(
        """select from streaming.stream_progress where partition_id = any(%s)
           order by partition_id for no key update""",
        (sorted(partition_ids),),
    )
    row = connection.execute(
        "select nextval(pg_get_serial_sequence('streaming.load_ledger', 'load_id'))"
    ).fetchone()
    assert row is not None
    return int(str(row[0]))


def _headers(message: Quarantined) -> Headers:
    return [(name, text.encode()) for name, text in message.headers]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
