"""Where the warehouse is and how to connect to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from insight.errors import ConfigurationError, ServiceError

Connection = psycopg.Connection[tuple[object, ...]]


@dataclass(frozen=True)
class DatabaseEndpoint:
    """A reachable Postgres database."""

    host: str
    port: int
    user: str
    password: SecretStr
    dbname: str

    @classmethod
    def from_url(cls, url: SecretStr) -> "DatabaseEndpoint":
        """Parse postgresql://user:password@host:port/database.

        Raises ConfigurationError, without quoting the URL, when it is not one.
        """
        try:
            parts = conninfo_to_dict(url.get_secret_value())
        except psycopg.ProgrammingError:
            raise ConfigurationError(
                "is not a Postgres URL",
                where="DATABASE_URL",
                next_step="Write it as postgresql://user:password@host:port/database",
            ) from None
        return cls(
            host=str(parts.get("host", "localhost")),
            port=int(str(parts.get("port", 5432))),
            user=str(parts.get("user", "postgres")),
            password=SecretStr(str(parts.get("password", ""))),
            dbname=str(parts.get("dbname", "postgres")),
        )

    def named(self, dbname: str) -> "DatabaseEndpoint":
        """The same server and user, another database."""
        return DatabaseEndpoint(self.host, self.port, self.user, self.password, dbname)

    def environment(self) -> dict[str, str]:
        """The libpq variables that psql, dbt (through profiles.yml) and notebooks read."""
        return {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGPASSWORD": self.password.get_secret_value(),
            "PGDATABASE": self.dbname,
        }

    def __str__(self) -> str:
        return f"{self.host}:{self.port}/{self.dbname}"


@contextmanager
def connect(endpoint: DatabaseEndpoint, *, autocommit: bool = False) -> Iterator[Connection]:
    """A connection in UTC that is closed at the end: committed on success, rolled back on error.

    Raises ServiceError, without the password, when the server cannot be reached.
    """
    try:
        connection = psycopg.connect(
            host=endpoint.host,
            port=endpoint.port,
            user=endpoint.user,
            password=endpoint.password.get_secret_value(),
            dbname=endpoint.dbname,
            autocommit=autocommit,
            connect_timeout=10,
            application_name="insight",
            options="-c timezone=UTC",
        )
    except psycopg.OperationalError as error:
        reason = " ".join(str(error).split())
        raise ServiceError(
            f"cannot connect to Postgres ({reason})",
            where=str(endpoint),
            next_step="Check that it runs and that DATABASE_URL is right",
        ) from error
    with connection:
        yield connection
