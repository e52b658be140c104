"""Schema segmentation, as far as live segments go: customers, model, offsets, ids seen."""

from psycopg import sql

from insight.database import Connection, DatabaseEndpoint, connect

# Any number that no other part locks: several processes can make the tables at once.
_SCHEMA_LOCK = 7_207_001

_TABLES = """
create schema if not exists segmentation;

create table if not exists segmentation.live_customers (
    customer_id text primary key,
    customer_number integer not null,
    income numeric(16, 2),
    balance numeric(20, 2) not null,
    customer_lifetime_value numeric(20, 4) not null,
    debt numeric(16, 2),
    tenure integer,
    credit_default boolean,
    days_from_last_transaction integer not null,
    avg_transaction_amt numeric(16, 2) not null,
    num_transactions bigint not null,
    digital_engagement_score numeric(16, 2),
    total_products_owned bigint,
    transaction_freq numeric(16, 4) not null,
    segment text not null,
    last_updated timestamptz not null,
    last_transaction_at timestamptz not null,
    amount_moved numeric(22, 2) not null,
    recent_at bigint[] not null,
    recent_cents bigint[] not null
) with (fillfactor = 50);
comment on table segmentation.live_customers is
    'One row per bank customer: figures and live segment as of its last change. customer_number is '
    'the place in the turn; recent_* are the newest movements (microseconds since 1970, cents).';

create table if not exists segmentation.live_transactions (
    transaction_id text collate "C" primary key
);
comment on table segmentation.live_transactions is
    'One row per movement that live segments have counted: one that comes again is passed over.';

create table if not exists segmentation.live_offsets (
    partition_id integer primary key,
    topic text not null,
    partition integer not null,
    next_offset bigint not null
);
comment on table segmentation.live_offsets is
    'One row per partition of account-transactions: the next offset that live segments will read.';

create table if not exists segmentation.live_change_log (
    revision bigint primary key,
    customers integer not null,
    customer_ids text[] not null,
    changed_at timestamptz not null default now()
);
comment on table segmentation.live_change_log is
    'One row per transaction of the last minutes: whose rows it changed. Followed by listeners.';

create table if not exists segmentation.live_state (
    is_only boolean primary key default true check (is_only),
    revision bigint not null,
    load_id bigint not null,
    partition_id integer not null,
    "offset" bigint not null,
    duplicates bigint not null,
    events bigint not null,
    mini_batches bigint not null,
    refits integer not null,
    refused_refits integer not null,
    clock bigint not null,
    turn bigint not null,
    pending bigint[] not null,
    names text[] not null,
    features text[] not null,
    scaler_mean double precision[] not null,
    scaler_scale double precision[] not null,
    centroids double precision[] not null,
    weights double precision[] not null,
    fitted_distance double precision not null,
    distance double precision not null,
    choices jsonb not null,
    start_file text not null,
    start_sha256 text not null,
    started_at timestamptz not null default now()
);
comment on table segmentation.live_state is
    'At most one row: the model of the live segments, its counters, and the place in the order of '
    'loads up to which movements are counted. centroids has a row per name.';
"""


def create_tables(database: DatabaseEndpoint) -> None:
    """Create what is missing; any number of processes may do so at once."""
    with connect(database) as connection:
        connection.execute("select pg_advisory_xact_lock(%s)", [_SCHEMA_LOCK])
        connection.execute("set local client_min_messages = warning")
        connection.execute(_TABLES)


def clear(connection: Connection) -> None:
    """Forget everything, in the caller's transaction; readers see the old rows until it ends."""
    for table in ("customers", "transactions", "offsets", "change_log", "state"):
        name = sql.Identifier("segmentation", f"live_{table}")
        connection.execute(sql.SQL("delete from {}").format(name))
