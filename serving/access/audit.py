"""The audit log: who changed what, in a chain that shows a later change of it."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from psycopg.types.json import Jsonb

from insight.database import Connection, DatabaseEndpoint, connect
from insight.errors import InputError
from serving.access.tables import AUDITED_TEXT

_TRIGGERS = ("chain_audit_row", "refuse_audit_change")
_BEGINNING = bytes(32)
_MOST_BREAKS = 20

INSERT = """insert into access.audit_log (actor, action, object, detail, request_id, client)
            values (%(actor)s, %(action)s, %(target)s, %(detail)s, %(request_id)s, %(client)s)"""


@dataclass(frozen=True)
class AuditEvent:
    """One change, written in the transaction that makes it. No secret goes into `detail`."""

    actor: str
    action: str
    target: str
    detail: Mapping[str, object] = field(default_factory=dict)
    request_id: str | None = None
    client: str | None = None

    def values(self) -> dict[str, object]:
        """The parameters of INSERT."""
        return {**vars(self), "detail": Jsonb(dict(self.detail))}


def record(connection: Connection, event: AuditEvent) -> None:
    """Append the event; it is there when the connection's transaction commits."""
    connection.execute(INSERT, event.values())


@dataclass(frozen=True)
class Head:
    """The end of the chain. Kept elsewhere, it also proves that no row was cut off since."""

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> "Head":
        """Raises InputError when it is not `<seq>:<hash>` as `insight audit verify` prints it."""
        seq, _, digest = text.partition(":")
        if not seq.isdecimal() or len(digest) != 64 or set(digest) - set("0123456789abcdef"):
            raise InputError(
                "is not a head of the audit log",
                where=text,
                next_step="Give it as insight audit verify printed it: number:hash",
            )
        return cls(int(seq), digest)


@dataclass(frozen=True)
class AuditReport:
    """What the check found. `breaks` are sentences, at most 20."""

    rows: int
    head: Head
    breaks: tuple[str, ...]


def verify(database: DatabaseEndpoint, expected: Head | None = None) -> AuditReport:
    """Reckon the whole chain again, row by row, outside of the database.

    Finds rows that were changed, removed or put in between, triggers that are switched off and,
    when an earlier head is given, rows cut off at the end or a chain that was made anew.
    """
    with connect(database) as connection:
        if connection.execute("select to_regclass('access.audit_log')").fetchone() == (None,):
            raise InputError(
                "there is no audit log yet", next_step="Make a key: insight keys create"
            )
        chain = _Chain(expected)
        breaks = [*_switched_off(connection), *chain.breaks(connection)]
    return AuditReport(chain.rows, chain.head, tuple(breaks[:_MOST_BREAKS]))


class _Chain:
    def __init__(self, expected: Head | None):
        self._expected = expected
        self.rows = 0
        self.head = Head(0, _BEGINNING.hex())

    def breaks(self, connection: Connection) -> Iterator[str]:
        text = AUDITED_TEXT.format(row="audit_log")
        with connection.cursor("audit") as cursor:
            cursor.itersize = 10_000
            cursor.execute(
                f"select seq, previous_hash, hash, {text} from access.audit_log order by seq"  # noqa: S608 (a constant)
            )
            previous = _BEGINNING
            for seq, stored_previous, stored, audited in cursor:
                assert isinstance(seq, int)
                assert isinstance(stored, bytes)
                self.rows += 1
                if seq != self.head.seq + 1:
                    yield f"rows {self.head.seq + 1} to {seq - 1} are missing"
                elif stored_previous != previous:
                    yield f"row {seq} does not follow row {seq - 1}"
                if hashlib.sha256(str(audited).encode()).digest() != stored:
                    yield f"row {seq} was changed"
                previous, self.head = stored, Head(seq, stored.hex())
                if self._expected and seq == self._expected.seq and self.head != self._expected:
                    yield f"row {seq} is not the one that was expected"
        if self._expected and self.head.seq < self._expected.seq:
            yield f"rows {self.head.seq + 1} to {self._expected.seq} were cut off"


def _switched_off(connection: Connection) -> Iterator[str]:
    rows = connection.execute(
        """select tgname from pg_trigger
           where tgrelid = 'access.audit_log'::regclass and tgenabled in ('O', 'A')"""
    ).fetchall()
    enabled = {str(name) for (name,) in rows}
    for name in _TRIGGERS:
        if name not in enabled:
            yield f"the trigger {name} is switched off or gone"
