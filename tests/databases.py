"""Databases for tests: created empty or as a copy, and dropped whoever is connected."""

from psycopg import sql

from insight.database import DatabaseEndpoint, connect
from insight.services import Services


def create_database(services: Services, name: str, template: str | None = None) -> DatabaseEndpoint:
    """A database, empty or a copy of another one to which nobody is connected."""
    statement = sql.SQL("create database {} template {}").format(
        sql.Identifier(name), sql.Identifier(template or "template1")
    )
    with connect(services.database, autocommit=True) as connection:
        connection.execute(statement)
    return services.database.named(name)


def drop_database(services: Services, name: str) -> None:
    """Remove a database, whoever is connected to it.

    Not `with (force)`: it fails on an autovacuum worker, which only a superuser may terminate,
    while a plain drop cancels one by itself.
    """
    with connect(services.database, autocommit=True) as connection:
        connection.execute(
            """select pg_terminate_backend(pid, 5000) from pg_stat_activity
               where datname = %s and usename = current_user""",
            (name,),
        )
        connection.execute(sql.SQL("drop database if exists {}").format(sql.Identifier(name)))
