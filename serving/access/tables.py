"""The schema `access`: keys, the audit log, answers to repeated requests."""

from insight.database import DatabaseEndpoint, connect

# Any number that no other part of the project locks.
SCHEMA_LOCK = 7_203_411_990
_AUDIT_LOCK = 7_203_411_991

# What of a row is hashed, in SQL: also `insight audit verify` reads it so. Times as text in UTC,
# because the text of a timestamp depends on the session that reads it.
AUDITED_TEXT = """jsonb_build_array(
    {row}.seq, to_char({row}.recorded_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'),
    {row}.actor, {row}.action, {row}.object, {row}.detail, {row}.request_id, {row}.client,
    encode({row}.previous_hash, 'hex'))::text"""

_TABLES = f"""
create schema if not exists access;

create table if not exists access.api_keys (
    key_id text primary key check (key_id ~ '^[0-9a-f]{{12}}$'),
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
    perform pg_advisory_xact_lock({_AUDIT_LOCK});
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


def create_tables(owner: DatabaseEndpoint) -> None:
    """Create what access needs; does nothing the second time. Any number may do so at once."""
    with connect(owner) as connection:
        connection.execute("select pg_advisory_xact_lock(%s)", (SCHEMA_LOCK,))
        connection.execute("set local client_min_messages = warning")
        row = connection.execute("select to_regclass('access.audit_log')").fetchone()
        # Not at every start: to replace a trigger waits for everybody who uses the table, and it
        # would hide that somebody disabled it.
        if row == (None,):
            connection.execute(_TABLES)
