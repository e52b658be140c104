"""The roles and what each may do: the only place that says so."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Permission(StrEnum):
    """What a route can ask for."""

    streams_read = "streams:read"
    streams_write = "streams:write"
    insights_read = "insights:read"
    # Without it customer ids are masked, and no customer can be looked up.
    customers_read = "customers:read"
    segments_read = "segments:read"
    segments_write = "segments:write"
    segments_activate = "segments:activate"
    metrics_read = "metrics:read"
    keys_manage = "keys:manage"
    audit_read = "audit:read"


class Role(StrEnum):
    """A key has one role; a token of an identity provider can carry several."""

    viewer = "viewer"
    analyst = "analyst"
    ops = "ops"
    admin = "admin"


_READ = frozenset({Permission.streams_read, Permission.insights_read, Permission.segments_read})

PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.viewer: _READ,
    Role.analyst: _READ
    | {Permission.customers_read, Permission.segments_write, Permission.segments_activate},
    Role.ops: _READ
    | {Permission.customers_read, Permission.streams_write, Permission.metrics_read},
    Role.admin: frozenset(Permission),
}


@dataclass(frozen=True)
class Principal:
    """Who asks. `actor` is what the audit log calls them: `key:<id>` or `oidc:<subject>`."""

    actor: str
    roles: tuple[Role, ...]
    permissions: frozenset[Permission]
    requests_per_minute: int | None = None
    # When the key or token ends; a request is over before, a WebSocket may not be.
    expires_at: datetime | None = None

    @classmethod
    def of(
        cls,
        actor: str,
        roles: Iterable[Role],
        requests_per_minute: int | None = None,
        expires_at: datetime | None = None,
    ) -> "Principal":
        """Somebody with all that the roles allow together."""
        held = tuple(sorted(set(roles)))
        allowed = frozenset().union(*(PERMISSIONS[role] for role in held))
        return cls(actor, held, allowed, requests_per_minute, expires_at)

    def may(self, permission: Permission) -> bool:
        return permission in self.permissions
