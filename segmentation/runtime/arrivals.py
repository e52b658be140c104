"""What the runtime remembers of the raw rows that it has read, and the indexes that rules need.

A message can arrive twice, and of the rows with one event id only the one that landed first counts.
To look for it at every question would cost a look-up a row; so each row is looked up once, when it
is new, and those that do not count are noted. Rows, notes and how far they go are seen together:
whoever reads in one statement sees no row that was not judged.
"""

from psycopg import sql

from insight.database import Connection, DatabaseEndpoint, connect
from segmentation.rules.catalogue import Stream

_LOCK = 7_203_411_983

_TABLES = """
create schema if not exists segmentation;

create table if not exists segmentation.stream_reads (
    partition_id integer primary key,
    next_offset bigint not null,
    load_id bigint not null
);
comment on table segmentation.stream_reads is
    'One row per partition: the rows up to this load are judged, and the next offset is new.';

create table if not exists segmentation.repeated_rows (
    partition_id integer not null,
    row_offset bigint not null,
    primary key (partition_id, row_offset)
);
comment on table segmentation.repeated_rows is
    'One row per raw row that does not count, because another one of its event landed before.';

create table if not exists segmentation.known_customers (
    domain text not null,
    customer_id text not null,
    primary key (domain, customer_id)
);
comment on table segmentation.known_customers is
    'One row per customer of a domain who is named by an event that was read.';

create table if not exists segmentation.changed_customers (
    source text not null,
    customer_id text
);
comment on table segmentation.changed_customers is
    'Whose rows of a stream (or segment) changed since the runtime last asked; one without a '
    'customer stands for all of them. The same can be there twice.';
"""

_PARTITIONS = """
with recursive partitions as (
    (select _partition_id as partition_id from {table} order by 1 limit 1)
    union all
    select following.partition_id
    from partitions as previous
    cross join lateral (
        select _partition_id as partition_id from {table}
        where _partition_id > previous.partition_id order by 1 limit 1
    ) as following
)
"""

_IS_FIRST_TIME = """
select coalesce(bool_and(reads.partition_id is null), false)
from partitions left join segmentation.stream_reads as reads using (partition_id)
"""

# The first time nothing is looked up row by row: ids that come twice are found by their hashes.
_NOTE_ALL = """
with repeated_hashes as (
    select hashtextextended({key}::text, 0) as hash from {table} group by 1 having count(*) > 1
),
landed as (
    select
        raw._partition_id,
        raw._offset,
        row_number() over (
            partition by raw.{key} order by raw._load_id, raw._partition_id, raw._offset
        ) as place
    from {table} as raw
    inner join repeated_hashes on repeated_hashes.hash = hashtextextended(raw.{key}::text, 0)
),
repeated as (
    insert into segmentation.repeated_rows (partition_id, row_offset)
    select _partition_id, _offset from landed where place > 1
    on conflict do nothing
),
customers as (
    insert into segmentation.known_customers (domain, customer_id)
    select distinct {domain}, {customer} from {table}
    on conflict do nothing
),
changed as (
    insert into segmentation.changed_customers (source) values ({stream})
),
moved as (
    insert into segmentation.stream_reads (partition_id, next_offset, load_id)
    select _partition_id, max(_offset) + 1, max(_load_id) from {table} group by _partition_id
)
select count(*) from {table}
"""

# Partitions are found by skipping along the unique index. "offset 0" keeps the planner from making
# a scan of the whole table of the look-ups.
_NOTE = """,
unread as materialized (
    select fresh.*
    from partitions
    left join segmentation.stream_reads as reads using (partition_id)
    cross join lateral (
        select {key} as event_id, {customer} as customer_id, _load_id, _partition_id, _offset
        from {table}
        where _partition_id = partitions.partition_id
            and _offset >= coalesce(reads.next_offset, -9223372036854775808)
        offset 0
    ) as fresh
    union all
    select mended.*
    from streaming.quarantine as bad
    inner join segmentation.stream_reads as reads using (partition_id)
    cross join lateral (
        select {key}, {customer}, _load_id, _partition_id, _offset
        from {table}
        where _partition_id = bad.partition_id and _offset = bad."offset"
        offset 0
    ) as mended
    where bad.stream = {stream} and bad.replay_load_id > reads.load_id
        and bad."offset" < reads.next_offset
),
ids as (
    select distinct event_id from unread
),
landed as materialized (
    select
        found._partition_id,
        found._offset,
        found.customer_id,
        row_number() over (
            partition by ids.event_id
            order by found._load_id, found._partition_id, found._offset
        ) as place
    from ids
    cross join lateral (
        select {customer} as customer_id, _load_id, _partition_id, _offset
        from {table} where {key} = ids.event_id
        offset 0
    ) as found
),
repeated as (
    insert into segmentation.repeated_rows (partition_id, row_offset)
    select _partition_id, _offset from landed where place > 1
    on conflict do nothing
),
first_after_all as (
    delete from segmentation.repeated_rows as noted
    using landed
    where landed.place = 1
        and noted.partition_id = landed._partition_id and noted.row_offset = landed._offset
),
customers as (
    insert into segmentation.known_customers (domain, customer_id)
    select distinct {domain}, customer_id from unread
    on conflict do nothing
),
moved as (
    insert into segmentation.stream_reads as reads (partition_id, next_offset, load_id)
    select _partition_id, max(_offset) + 1, max(_load_id) from unread group by _partition_id
    on conflict (partition_id) do update set
        next_offset = greatest(reads.next_offset, excluded.next_offset),
        load_id = greatest(reads.load_id, excluded.load_id)
),
changed as (
    insert into segmentation.changed_customers (source, customer_id)
    select {stream}, customer_id from unread
    union
    select {stream}, customer_id from landed
)
select count(*) from unread
"""


def create_tables(connection: Connection) -> None:
    """Create what is missing; any number of processes may do so at once."""
    connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
    connection.execute("set local client_min_messages = warning")
    connection.execute(_TABLES)


def create_indexes(database: DatabaseEndpoint, stream: Stream) -> None:
    """The indexes of a raw table that rules need; while they are made the loader goes on.

    Only streams that rules read get them: they cost the loader (see docs/rules.md).
    """
    with connect(database, autocommit=True) as connection:
        connection.execute("set client_min_messages = warning")
        connection.execute("select pg_advisory_lock(%s)", (_LOCK,))
        for name, definition in _indexes(stream).items():
            _drop_invalid(connection, stream, name)
            connection.execute(
                sql.SQL("create index concurrently if not exists {} on {} {}").format(
                    sql.Identifier(name), _table(stream), definition
                )
            )
        connection.execute("select pg_advisory_unlock(%s)", (_LOCK,))


def note_arrivals(connection: Connection, stream: Stream) -> int:
    """Judge the rows of a stream that came since the last time; how many there were.

    In the caller's transaction; needs the index on the event id. Customers are noted for
    `take_changed`: those of the new rows, and when a row takes the place of one that landed later,
    those of both. The first time that is everybody.
    """
    connection.execute("select pg_advisory_xact_lock(%s, hashtext(%s))", (7203, stream.name))
    if _ask(connection, _PARTITIONS + _IS_FIRST_TIME, stream) == (True,):
        # Few rows a group, many groups: with less memory they go to disk time and again.
        connection.execute("set local work_mem = '128MB'")
        row = _ask(connection, _NOTE_ALL, stream)
        connection.execute("set local work_mem to default")
    else:
        row = _ask(connection, _PARTITIONS + _NOTE, stream)
    return int(str(row[0]))


def take_changed(connection: Connection) -> dict[str, set[str] | None]:
    """Whose rows changed since the last time, by source; None stands for all customers.

    They are forgotten when the caller's transaction commits.
    """
    changed: dict[str, set[str] | None] = {}
    rows = connection.execute(
        "delete from segmentation.changed_customers returning source, customer_id"
    )
    for source, customer in rows:
        known = changed.setdefault(str(source), set())
        if customer is None:
            changed[str(source)] = None
        elif known is not None:
            known.add(str(customer))
    return changed


def _ask(connection: Connection, statement: str, stream: Stream) -> tuple[object, ...]:
    row = connection.execute(
        sql.SQL(statement).format(
            table=_table(stream),
            key=sql.Identifier(stream.key),
            customer=sql.Identifier(stream.customer),
            stream=sql.Literal(stream.name),
            domain=sql.Literal(stream.domain),
        )
    ).fetchone()
    assert row is not None
    return row


def _indexes(stream: Stream) -> dict[str, sql.Composed]:
    key, at, customer = map(sql.Identifier, (stream.key, stream.event_time, stream.customer))
    return {
        f"{stream.table}_by_event": sql.SQL("using hash ({})").format(key),
        f"{stream.table}_by_customer": sql.SQL("({}, {})").format(customer, at),
        # Rows come nearly in the order of their times: 200 kB for 10,000,000 of them.
        f"{stream.table}_by_time": sql.SQL(
            "using brin ({}) with (pages_per_range = 32, autosummarize = on)"
        ).format(at),
    }


def _drop_invalid(connection: Connection, stream: Stream, name: str) -> None:
    """What an attempt left that was broken off."""
    row = connection.execute(
        """select from pg_index where not indisvalid
           and indexrelid = to_regclass(format('%%I.%%I', %s::text, %s::text))""",
        (stream.schema, name),
    ).fetchone()
    if row is not None:
        connection.execute(
            sql.SQL("drop index concurrently {}").format(sql.Identifier(stream.schema, name))
        )


def _table(stream: Stream) -> sql.Identifier:
    return sql.Identifier(stream.schema, stream.table)
