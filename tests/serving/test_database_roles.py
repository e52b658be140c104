"""The database role of the API reads what is served, and can do nothing else."""

from collections.abc import Callable, Iterator

import psycopg
import pytest
from served_marts import SERVED

from insight.database import Connection, DatabaseEndpoint, connect
from serving.access.database_roles import (
    SERVED_SCHEMAS,
    SERVED_VIEWS,
    ApiDatabase,
    drop_roles,
    prepare_database,
    role_name,
)
from serving.access.server_secret import ServerSecret
from serving.api.options import ApiOptions

LIVE = ("customers", "transactions", "offsets", "change_log", "state")
BY_RULE = (
    "segments", "segment_versions", "current_members", "membership_changes", "membership_outbox",
    "pipelines", "rule_workers", "rule_worker_versions", "stream_reads", "repeated_rows",
    "known_customers", "changed_customers",
)  # fmt: skip

_ALL = """select schemaname || '.' || name, has_table_privilege(name_of, 'select')
          from (select schemaname, tablename as name,
                    quote_ident(schemaname) || '.' || quote_ident(tablename) as name_of
                from pg_tables
                union all
                select schemaname, viewname, quote_ident(schemaname) || '.' || quote_ident(viewname)
                from pg_views) as relations
          where schemaname not in ('pg_catalog', 'information_schema')
              and has_schema_privilege(schemaname, 'usage')"""


@pytest.fixture(scope="module")
def roles(options: ApiOptions, warehouse: DatabaseEndpoint) -> Iterator[ApiDatabase]:
    with connect(warehouse) as connection:
        connection.execute("create schema raw")
        connection.execute("create table raw.customers (customer_id text)")
        connection.execute("create table if not exists ops.dbt_runs (invocation_id text)")
        connection.execute("create table if not exists segmentation.members (customer_id text)")
    return options.database


def readable(database: DatabaseEndpoint) -> set[str]:
    with connect(database) as connection:
        return {str(name) for name, can in connection.execute(_ALL).fetchall() if can}


def test_the_reader_reads_what_is_served_and_nothing_else(roles: ApiDatabase) -> None:
    assert readable(roles.reader) == {
        *(f"marts.{name}" for name in SERVED),
        *(f"streaming.{name}" for name in SERVED_VIEWS),
        "ops.dbt_runs",
        "segmentation.members",
        *(f"segmentation.live_{name}" for name in LIVE),
        *(f"segmentation.{name}" for name in BY_RULE),
    }


@pytest.mark.parametrize(
    "statement",
    [
        "select * from raw.customers",
        "select * from streaming.stream_progress",
        "select * from streaming.quarantine",
        "select * from access.api_keys",
        "select * from access.audit_log",
        "select rolpassword from pg_authid",
        "select pg_read_file('/etc/passwd')",
        "copy (select 1) to program 'true'",
    ],
)
def test_the_reader_may_not_read_more(roles: ApiDatabase, statement: str) -> None:
    with connect(roles.reader) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "statement",
    [
        "insert into marts.fct_sales_daily (date_day) values ('2030-01-01')",
        "delete from marts.fct_sales_daily",
        "truncate marts.fct_sales_daily",
        "update marts.dim_pos_stores set city = 'x'",
        "create table marts.mine (a integer)",
        "create table public.mine (a integer)",
        "create schema mine",
        "create role mine",
        "alter role current_user superuser",
        "drop view streaming.stream_status",
        "lock table marts.fct_sales_daily in access exclusive mode",
    ],
)
def test_the_reader_writes_nothing_even_in_a_transaction_that_may(
    roles: ApiDatabase, statement: str
) -> None:
    with connect(roles.reader) as connection:
        with pytest.raises(psycopg.Error):
            connection.execute(statement)  # type: ignore[call-overload]
    with connect(roles.reader) as connection:
        connection.execute("set transaction read write")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)  # type: ignore[call-overload]


@pytest.mark.parametrize("name", SERVED_SCHEMAS)
def test_the_reader_reads_tables_that_are_made_later(
    roles: ApiDatabase, warehouse: DatabaseEndpoint, name: str
) -> None:
    with connect(warehouse) as connection:
        connection.execute(f"create table {name}.made_later as select 1 as a")  # type: ignore[call-overload]
    try:
        assert f"{name}.made_later" in readable(roles.reader)
    finally:
        with connect(warehouse) as connection:
            connection.execute(f"drop table {name}.made_later")  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "statement",
    [
        "select * from marts.fct_sales_daily",
        "update access.api_keys set role = 'admin'",
        "update access.api_keys set digest = ''",
        "update access.api_keys set expires_at = null",
        "delete from access.api_keys",
        "delete from access.audit_log",
        "update access.audit_log set actor = 'somebody else'",
        "truncate access.audit_log",
        "alter table access.audit_log disable trigger all",
    ],
)
def test_the_writer_makes_and_revokes_keys_and_changes_nothing_else(
    roles: ApiDatabase, statement: str
) -> None:
    with connect(roles.writer) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)  # type: ignore[call-overload]


def test_preparing_again_heals_a_schema_that_was_dropped(
    database: DatabaseEndpoint,
) -> None:
    secret = ServerSecret(bytes(32))
    try:
        reader = prepare_database(database, secret).reader
        with connect(database) as connection:
            connection.execute("drop schema marts cascade")
            connection.execute("create schema marts")
            connection.execute("create table marts.new as select 1 as a")
        assert "marts.new" not in readable(reader)
        assert prepare_database(database, secret).reader == reader
        assert "marts.new" in readable(reader)
        other = prepare_database(database, ServerSecret(bytes([1] * 32))).reader
        assert other.password != reader.password
        assert "marts.new" in readable(other)
    finally:
        drop_roles(database)


def test_long_names_of_databases_do_not_collide() -> None:
    names = {role_name("x" * 60 + ending, kind) for ending in "ab" for kind in ("reader", "writer")}
    assert len(names) == 4
    assert all(len(name) <= 63 for name in names)


def test_an_owner_who_may_not_make_roles_is_told_what_to_do(
    database: DatabaseEndpoint, run_as_plain_owner: Callable[[], object]
) -> None:
    with pytest.raises(Exception, match="createrole"):
        run_as_plain_owner()


@pytest.fixture
def run_as_plain_owner(database: DatabaseEndpoint) -> Iterator[Callable[[], object]]:
    """Prepares the database as an owner without the right to make roles."""
    from dataclasses import replace

    from psycopg import sql
    from pydantic import SecretStr

    name = f"{database.dbname}_plain"
    with connect(database) as connection:
        _as_owner(connection, "create role {} login password 'plain'", name)
        _as_owner(connection, f"grant create on database {database.dbname} to {{}}", name)
    plain = replace(database, user=name, password=SecretStr("plain"))
    yield lambda: prepare_database(plain, ServerSecret(bytes(32)))
    with connect(database) as connection:
        connection.execute(sql.SQL("grant {} to current_user").format(sql.Identifier(name)))
        _as_owner(connection, "drop owned by {}", name)
        _as_owner(connection, "drop role {}", name)


def _as_owner(connection: Connection, statement: str, name: str) -> None:
    from psycopg import sql

    connection.execute(sql.SQL(statement).format(sql.Identifier(name)))  # type: ignore[arg-type]
