"""Schema segmentation, as far as the store goes: segments, and their versions, which stay."""

from insight.audit import create_audit_log
from insight.database import Connection, DatabaseEndpoint, connect

# Any numbers that no other part locks.
_SCHEMA_LOCK = 7_207_011
_CHANGE_LOCK = 7_207_012

# Who listens on it learns of a new configuration when it commits; the text is its sequence number.
CHANNEL = "segmentation_configuration"

_TABLES = f"""
create schema if not exists segmentation;

create sequence if not exists segmentation.configuration_sequence;

create table if not exists segmentation.segments (
    segment text primary key check (segment ~ '^[a-z][a-z0-9_-]{{0,62}}$'),
    created_by text not null,
    created_at timestamptz not null default now(),
    configuration_sequence bigint not null default 0
);
comment on table segmentation.segments is
    'One row per segment by rule; the sequence grows whenever another version becomes active.';

create table if not exists segmentation.segment_versions (
    segment text not null references segmentation.segments,
    version integer not null check (version > 0),
    status text not null default 'draft' check (status in ('draft', 'active', 'retired')),
    spec jsonb not null,
    spec_sha text not null,
    configuration jsonb not null,
    base_version integer,
    author text not null,
    message text not null default '',
    created_at timestamptz not null default now(),
    activated_at timestamptz,
    retired_at timestamptz,
    primary key (segment, version),
    check ((status = 'draft') = (activated_at is null)),
    check ((status = 'retired') = (retired_at is not null))
);
create unique index segment_versions_one_active
    on segmentation.segment_versions (segment) where status = 'active';
comment on table segmentation.segment_versions is
    'One row per version of a segment: the rule and the pipeline configuration made of it, which '
    'never change. Its status goes from draft over active to retired; one is active at most.';

create function segmentation.keep_versions() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    moving constant text[] := array['status', 'activated_at', 'retired_at'];
begin
    if tg_op = 'UPDATE'
        and to_jsonb(new) - moving = to_jsonb(old) - moving
        and (old.status, new.status) in (('draft', 'active'), ('active', 'retired'))
        and (old.activated_at is null or new.activated_at = old.activated_at)
    then
        return new;
    end if;
    raise exception 'versions of segments never change: % is refused', tg_op
        using errcode = 'insufficient_privilege';
end $$;

create function segmentation.tell_configuration() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    told bigint;
begin
    update segmentation.segments
    set configuration_sequence = nextval('segmentation.configuration_sequence')
    where segments.segment = new.segment
    returning configuration_sequence into told;
    perform pg_notify('{CHANNEL}', told::text);
    return null;
end $$;

create trigger keep_versions before update or delete on segmentation.segment_versions
    for each row execute function segmentation.keep_versions();
create trigger keep_all_versions before truncate on segmentation.segment_versions
    for each statement execute function segmentation.keep_versions();
create trigger tell_configuration after update on segmentation.segment_versions
    for each row execute function segmentation.tell_configuration();
"""  # noqa: S608 (of a constant)


def create_tables(database: DatabaseEndpoint) -> None:
    """Create what is missing; any number of processes may do so at once."""
    with connect(database) as connection:
        connection.execute("select pg_advisory_xact_lock(%s)", (_SCHEMA_LOCK,))
        connection.execute("set local client_min_messages = warning")
        row = connection.execute("select to_regclass('segmentation.segment_versions')").fetchone()
        # Not at every start: it would hide that somebody disabled a trigger.
        if row == (None,):
            connection.execute(_TABLES)
        create_audit_log(connection)


def lock_store(connection: Connection) -> None:
    """One change at a time, until the transaction ends.

    Two changes at once could close a circle of segments that neither sees, and a sequence number
    that commits after a higher one would go unseen.
    """
    connection.execute("select pg_advisory_xact_lock(%s)", (_CHANGE_LOCK,))
