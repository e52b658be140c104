"""What one API server is told at its start."""

from dataclasses import dataclass
from pathlib import Path

from insight.database import DatabaseEndpoint
from insight.services import RedisEndpoint
from insight.settings import Settings
from serving.access.database_roles import ApiDatabase, prepare_database
from serving.access.server_secret import ServerSecret, load_secret
from serving.access.tokens import OidcOptions


@dataclass(frozen=True)
class ApiOptions:
    """Where it reads and writes, whom it trusts, and its limits."""

    database: ApiDatabase
    # Makes tables of streams, tries rules, changes segments; all else goes through the roles.
    owner: DatabaseEndpoint
    redis: RedisEndpoint
    secret: ServerSecret
    oidc: OidcOptions | None = None
    requests_per_minute: int = 6_000
    connections: int = 8
    # Of credentials that are refused, for one address.
    failures_per_minute: int = 120
    body_bytes: int = 256 * 1024
    body_seconds: float = 10.0
    most_in_flight: int = 512
    # How long another server's revocation of a key may go unseen.
    key_cache_seconds: float = 5.0
    # WebSockets at once, and messages that may wait for one that reads slowly.
    most_sockets: int = 500
    most_waiting: int = 256


def api_options(
    settings: Settings, owner: DatabaseEndpoint, redis: RedisEndpoint, home: Path | None = None
) -> ApiOptions:
    """Read the settings and prepare the warehouse, as its owner, for an API server."""
    oidc = OidcOptions.from_settings(settings)
    secret = load_secret(home or settings.home, settings.api_secret)
    return ApiOptions(
        database=prepare_database(owner, secret),
        owner=owner,
        redis=redis,
        secret=secret,
        oidc=oidc,
        requests_per_minute=settings.api_requests_per_minute,
        connections=settings.api_connections,
    )
