"""The schema `access`: keys and answers to repeated requests, beside the audit log."""

from insight.audit import create_audit_log
from insight.database import DatabaseEndpoint, connect

# Any number that no other part of the project locks.
SCHEMA_LOCK = 7_203_411_990

_TABLES = """
create schema if not exists access;

create table if not exists access.api_keys (
    key_id text primary key check (key_id ~ '^[0-9a-f]{12}$'),
    name text not null check (length(name) between 1 and 100),
    role text not null check (role in ('viewer', 'analyst', 'ops', 'admin')),
    digest bytea not null check (length(digest) = 32),
    secret_id text not null,
    requests_per_minute integer check (requests_per_minute > 0),
    created_by text not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz
);
comment on table access.api_keys is
    'One row per API key: an HMAC of it, never the key. secret_id names the secret of the HMAC.';

create table if not exists access.idempotent_answers (
    actor text not null,
    key_digest bytea not null,
    request_digest bytea not null,
    answer bytea,
    created_at timestamptz not null default now(),
    primary key (actor, key_digest)
);
create index if not exists idempotent_answers_created_at
    on access.idempotent_answers (created_at);
comment on table access.idempotent_answers is
    'One row per idempotency key of a caller: the sealed answer that a repetition gets.';
"""


def create_tables(owner: DatabaseEndpoint) -> None:
    """Create what access needs; does nothing the second time. Any number may do so at once."""
    with connect(owner) as connection:
        connection.execute("select pg_advisory_xact_lock(%s)", (SCHEMA_LOCK,))
        connection.execute("set local client_min_messages = warning")
        row = connection.execute("select to_regclass('access.idempotent_answers')").fetchone()
        # Not at every start: to look for an index waits for everybody who writes to its table.
        if row == (None,):
            connection.execute(_TABLES)
        create_audit_log(connection)
