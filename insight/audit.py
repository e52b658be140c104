"""The audit log: who changed what, in a chain that shows a later change of it."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from psycopg.types.json import Jsonb

from insight.database import Connection, DatabaseEndpoint, connect
from insight.errors import InputError

# Any number that no other part of the project locks.
_SCHEMA_LOCK = 7_203_411_992
_LOCK = 7_203_411_991

# What of a row is hashed, in SQL: also `insight audit verify` reads it so. Times as text in UTC,
# because the text of a timestamp depends on the session that reads it.
AUDITED_TEXT = """jsonb_build_array(
    {row}.seq, to_char({row}.recorded_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'),
    {row}.actor, {row}.action, {row}.object, {row}.detail, {row}.request_id, {row}.client,
    encode({row}.previous_hash, 'hex'))::text"""

_TABLES = f"""
create schema if not exists access;

create table if not exists access.audit_log (
    seq bigint primary key,
    recorded_at timestamptz not null,
    actor text not null,
    action text not null,
    object text not null,
    detail jsonb not null default '{{}}',
    request_id text,
    client text,
    previous_hash bytea not null,
    hash bytea not null
);
comment on table access.audit_log is
    'One row per change: append-only by trigger, each row hashed together with the hash before it.';

create or replace function access.chain_audit_row() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform pg_advisory_xact_lock({_LOCK});
    select last.seq, last.hash into new.seq, new.previous_hash
    from access.audit_log as last order by last.seq desc limit 1;
    new.seq := coalesce(new.seq, 0) + 1;
    new.previous_hash := coalesce(new.previous_hash, decode(repeat('00', 32), 'hex'));
    new.recorded_at := clock_timestamp();
    new.hash := sha256(convert_to({AUDITED_TEXT.format(row="new")}, 'UTF8'));
    return new;
end $$;

create or replace function access.refuse_audit_change() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    raise exception 'access.audit_log is append-only: % is refused', tg_op
        using errcode = 'insufficient_privilege';
end $$;

create or replace trigger chain_audit_row before insert on access.audit_log
    for each row execute function access.chain_audit_row();
create or replace trigger refuse_audit_change before update or delete or truncate
    on access.audit_log for each statement execute function access.refuse_audit_change();
"""  # noqa: S608 (of constants)

_TRIGGERS = ("chain_audit_row", "refuse_audit_change")
_BEGINNING = bytes(32)
_MOST_BREAKS = 20

INSERT = """insert into access.audit_log (actor, action, object, detail, request_id, client)
            values (%(actor)s, %(action)s, %(target)s, %(detail)s, %(request_id)s, %(client)s)"""


@dataclass(frozen=True)
class Author:
    """Who makes a change: `cli:ada`, `key:0123`; over the API also in which request, from where."""

    actor: str
    request_id: str | None = None
    client: str | None = None

    def did(self, action: str, target: str, detail: Mapping[str, object]) -> "AuditEvent":
        return AuditEvent(self.actor, action, target, detail, self.request_id, self.client)


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


def create_audit_log(connection: Connection) -> None:
    """Create what is missing, in the caller's transaction. Any number may do so at once."""
    connection.execute("select pg_advisory_xact_lock(%s)", (_SCHEMA_LOCK,))
    connection.execute("set local client_min_messages = warning")
    row = connection.execute("select to_regclass('access.audit_log')").fetchone()
    # Not at every start: to replace a trigger waits for everybody who uses the table, and it would
    # hide that somebody disabled it.
    if row == (None,):
        connection.execute(_TABLES)


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
