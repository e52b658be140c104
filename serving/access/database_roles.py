"""The two database roles of the API: one that only reads what is served, one for its few writes.

The owner of the warehouse makes them, gives them passwords derived from the server's secret, and
grants again at every start, so that a dropped schema heals.
"""

import hashlib
from dataclasses import dataclass, replace

import psycopg
from psycopg import sql
from pydantic import SecretStr

from insight.database import Connection, DatabaseEndpoint, connect
from insight.errors import ConfigurationError
from segmentation.live import tables as live_tables
from segmentation.runtime import run as segment_runtime
from serving.access import tables
from serving.access.server_secret import ServerSecret
from streaming.contract import load_contracts
from streaming.feeds import create_feeds

# Everything in these, now and later; of schema streaming these views only.
SERVED_SCHEMAS = ("marts", "ops", "segmentation")
SERVED_VIEWS = ("stream_status", "partition_status", "stream_onboarding", "transaction_feed")

_LONGEST_NAME = 63


@dataclass(frozen=True)
class ApiDatabase:
    """The warehouse as the API reaches it."""

    reader: DatabaseEndpoint
    writer: DatabaseEndpoint


def prepare_database(owner: DatabaseEndpoint, secret: ServerSecret) -> ApiDatabase:
    """Make or mend both roles and their grants, as the owner; how to connect as them.

    Raises ConfigurationError when the owner may not make roles.
    """
    segment_runtime.prepare(owner, load_contracts())
    tables.create_tables(owner)
    live_tables.create_tables(owner)
    reader = _endpoint(owner, secret, "reader")
    writer = _endpoint(owner, secret, "writer")
    with connect(owner) as connection:
        connection.execute("select pg_advisory_xact_lock(%s)", (tables.SCHEMA_LOCK,))
        connection.execute("set local client_min_messages = warning")
        try:
            for role in (reader, writer):
                _ensure_role(connection, role)
        except psycopg.errors.InsufficientPrivilege as error:
            raise ConfigurationError(
                f"may not make the database roles of the API ({error.diag.message_primary})",
                where=f"{owner.user} at {owner}",
                next_step=f"As a superuser: alter role {owner.user} createrole",
            ) from error
        create_feeds(connection)
        _grant_reads(connection, reader)
        _grant_writes(connection, writer)
    return ApiDatabase(reader, writer)


def drop_roles(owner: DatabaseEndpoint) -> None:
    """Take both roles of a database away, with all that was granted to them."""
    with connect(owner) as connection:
        for kind in ("reader", "writer"):
            name = role_name(owner.dbname, kind)
            found = connection.execute("select from pg_roles where rolname = %s", (name,))
            if found.fetchone() is not None:
                role = sql.Identifier(name)
                connection.execute(sql.SQL("grant {} to current_user").format(role))
                connection.execute(sql.SQL("drop owned by {0}; drop role {0}").format(role))


def role_name(dbname: str, kind: str) -> str:
    """Roles belong to the whole server: each database has its own."""
    name = f"{dbname}_api_{kind}"
    if len(name.encode()) <= _LONGEST_NAME:
        return name
    return f"insight_{hashlib.sha256(dbname.encode()).hexdigest()[:16]}_api_{kind}"


def _endpoint(owner: DatabaseEndpoint, secret: ServerSecret, kind: str) -> DatabaseEndpoint:
    password = secret.derive(f"database role {kind} {owner.dbname}").hex()
    return replace(owner, user=role_name(owner.dbname, kind), password=SecretStr(password))


def _ensure_role(connection: Connection, role: DatabaseEndpoint) -> None:
    name = sql.Identifier(role.user)
    found = connection.execute("select from pg_roles where rolname = %s", (role.user,)).fetchone()
    if found is None:
        connection.execute(sql.SQL("create role {}").format(name))
    # The server logs a statement that fails: it is told a verifier, never the password.
    password = role.password.get_secret_value().encode()
    verifier = connection.pgconn.encrypt_password(password, role.user.encode()).decode()
    connection.execute(
        sql.SQL(
            "alter role {} login nocreatedb nocreaterole noinherit connection limit 40 password {}"
        ).format(name, sql.Literal(verifier))
    )
    connection.execute(
        sql.SQL("grant connect on database {} to {}").format(sql.Identifier(role.dbname), name)
    )
    for setting, value in (
        ("statement_timeout", "10s"),
        ("idle_in_transaction_session_timeout", "30s"),
    ):
        connection.execute(
            sql.SQL("alter role {} in database {} set {} = {}").format(
                name, sql.Identifier(role.dbname), sql.Identifier(setting), sql.Literal(value)
            )
        )


def _grant_reads(connection: Connection, role: DatabaseEndpoint) -> None:
    name = sql.Identifier(role.user)
    for schema in map(sql.Identifier, SERVED_SCHEMAS):
        connection.execute(sql.SQL("create schema if not exists {}").format(schema))
        connection.execute(sql.SQL("grant usage on schema {} to {}").format(schema, name))
        connection.execute(
            sql.SQL("grant select on all tables in schema {} to {}").format(schema, name)
        )
        # dbt makes a table anew at each build, and the grants of the old one go with it.
        connection.execute(
            sql.SQL("alter default privileges in schema {} grant select on tables to {}").format(
                schema, name
            )
        )
    connection.execute(sql.SQL("grant usage on schema streaming to {}").format(name))
    for view in SERVED_VIEWS:
        connection.execute(
            sql.SQL("grant select on {} to {}").format(sql.Identifier("streaming", view), name)
        )
    connection.execute(
        sql.SQL("alter role {} in database {} set default_transaction_read_only = on").format(
            name, sql.Identifier(role.dbname)
        )
    )


def _grant_writes(connection: Connection, role: DatabaseEndpoint) -> None:
    name = sql.Identifier(role.user)
    for statement in (
        "grant usage on schema access to {}",
        "grant select, insert on access.api_keys to {}",
        "grant update (revoked_at, last_used_at) on access.api_keys to {}",
        "grant select, insert on access.audit_log to {}",
        "grant select, insert, update (answer), delete on access.idempotent_answers to {}",
    ):
        connection.execute(sql.SQL(statement).format(name))
