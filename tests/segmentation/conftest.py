"""A database with all tables that a rule can read."""

from collections.abc import Iterator

import pytest
from databases import create_database, drop_database
from rule_worlds import lay_out

from insight.database import Connection, connect
from insight.services import Services


@pytest.fixture(scope="module")
def warehouse(services: Services, _database_names: Iterator[str]) -> Iterator[Connection]:
    """A connection to a database of the module's own; each test fills it anew."""
    name = next(_database_names)
    with connect(create_database(services, name), autocommit=True) as connection:
        # Thousands of small commits, of data that nobody needs after a crash.
        connection.execute("set synchronous_commit = off")
        lay_out(connection)
        yield connection
    drop_database(services, name)
