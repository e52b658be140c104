"""Schema segmentation, as far as members go: who is in, what changed, what is still to be told."""

from insight.database import Connection

# Any number that no other part locks: several processes can make the tables at once.
_SCHEMA_LOCK = 7_207_021

_TABLES = """
create schema if not exists segmentation;

create table if not exists segmentation.current_members (
    segment text not null,
    customer_id text not null,
    since timestamptz not null default now(),
    primary key (segment, customer_id)
);
create index if not exists current_members_by_customer
    on segmentation.current_members (customer_id);
comment on table segmentation.current_members is
    'One row per segment by rule and customer in it; since is the moment as of which they entered.';

create table if not exists segmentation.membership_changes (
    change_id bigint generated always as identity primary key,
    segment text not null,
    customer_id text not null,
    version integer not null,
    change text not null check (change in ('entered', 'left')),
    as_of timestamptz not null,
    evidence jsonb,
    recorded_at timestamptz not null default now()
);
create index if not exists membership_changes_by_segment
    on segmentation.membership_changes (segment, change_id);
create index if not exists membership_changes_by_customer
    on segmentation.membership_changes (customer_id, change_id);
comment on table segmentation.membership_changes is
    'One row per customer who entered or left a segment. evidence has an object per condition of '
    'the rule, in its order; none where nothing was found of the customer.';

create table if not exists segmentation.membership_outbox (
    change_id bigint primary key,
    published_at timestamptz
);
comment on table segmentation.membership_outbox is
    'One row per change that is not yet in Kafka (published_at is empty) or not yet in Redis.';

create table if not exists segmentation.pipelines (
    segment text primary key,
    version integer not null,
    as_of timestamptz not null,
    asks_all boolean not null default false,
    traits_state text,
    evaluated_at timestamptz not null default now()
);
comment on table segmentation.pipelines is
    'One row per segment that is kept up to date: the version whose members are there, and as of '
    'when. With asks_all every customer has to be asked again.';

create table if not exists segmentation.rule_workers (
    worker text primary key,
    state text not null check (state in ('waiting', 'at work')),
    configuration_sequence bigint not null default 0,
    started_at timestamptz not null default now(),
    seen_at timestamptz not null default now()
);
comment on table segmentation.rule_workers is
    'One row per process of the role segment-rules; one is at work, others wait to take over.';

create table if not exists segmentation.rule_worker_versions (
    worker text not null references segmentation.rule_workers on delete cascade,
    segment text not null,
    version integer,
    refused_version integer,
    reason text,
    primary key (worker, segment)
);
comment on table segmentation.rule_worker_versions is
    'One row per worker and segment: the version that it runs, and one that it refused and why.';
"""


def create_tables(connection: Connection) -> None:
    """Create what is missing, in the caller's transaction; any number may do so at once."""
    connection.execute("select pg_advisory_xact_lock(%s)", (_SCHEMA_LOCK,))
    connection.execute("set local client_min_messages = warning")
    row = connection.execute("select to_regclass('segmentation.rule_worker_versions')").fetchone()
    # Not at every start: to look for an index waits for everybody who writes to its table.
    if row == (None,):
        connection.execute(_TABLES)
