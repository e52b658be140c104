"""Where the warehouse is and how to connect to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from insight.errors import ConfigurationError, ServiceError

# Parameters of a URL that are carried to every client; libpq has an environment variable for each.
_ENCRYPTION = ("sslmode", "sslrootcert", "sslcert", "sslkey")

Connection = psycopg.Connection[tuple[object, ...]]


@dataclass(frozen=True)
class DatabaseEndpoint:
    """A reachable Postgres database."""

    host: str
    port: int
    user: str
    password: SecretStr
    dbname: str
    encryption: tuple[tuple[str, str], ...] = ()

    @classmethod
    def from_url(cls, url: SecretStr) -> "DatabaseEndpoint":
        """Parse postgresql://user:password@host:port/database[?sslmode=...].

        Raises ConfigurationError, without quoting the URL, when it is not one, names several
        hosts or has a parameter that would be ignored.
        """
        try:
            parts = {k: str(v) for k, v in conninfo_to_dict(url.get_secret_value()).items()}
            port = int(parts.pop("port", "5432"))
        except (psycopg.ProgrammingError, ValueError):
            raise ConfigurationError(
                "is not a URL of one Postgres server",
                where="DATABASE_URL",
                next_step="Write it as postgresql://user:password@host:port/database",
            ) from None
        endpoint = cls(
            host=parts.pop("host", "localhost"),
            port=port,
            user=parts.pop("user", "postgres"),
            password=SecretStr(parts.pop("password", "")),
            dbname=parts.pop("dbname", "postgres"),
            encryption=tuple((k, parts.pop(k)) for k in _ENCRYPTION if k in parts),
        )
        if parts:
            raise ConfigurationError(
                f"has parameters that are not supported: {', '.join(sorted(parts))}",
                where="DATABASE_URL",
                next_step=f"Beside the address it takes {', '.join(_ENCRYPTION)}",
            )
        return endpoint

    def named(self, dbname: str) -> "DatabaseEndpoint":
        """The same server and user, another database."""
        return replace(self, dbname=dbname)

    def environment(self) -> dict[str, str]:
        """The libpq variables that psql, dbt (through profiles.yml) and notebooks read."""
        return {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGPASSWORD": self.password.get_secret_value(),
            "PGDATABASE": self.dbname,
            **{f"PG{name.upper()}": value for name, value in self.encryption},
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
            # Without these a server whose machine vanished would be waited for until the kernel
            # gives up, for a quarter of an hour or for ever.
            keepalives_idle=20,
            keepalives_interval=5,
            keepalives_count=3,
            tcp_user_timeout=30_000,
            application_name="insight",
            options="-c timezone=UTC",
            **dict(endpoint.encryption),  # type: ignore[arg-type]
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
