"""Who asks, and whether they may: each route says so by one dependency.

    async def stores(principal: Annotated[Principal, Needs(Permission.insights_read)]) -> ...

A route that everybody may ask depends on `open_to_all`. A route with neither fails a test.
"""

import asyncio
import hmac
import logging
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from fastapi import Depends
from fastapi.openapi.models import HTTPBearer as HTTPBearerModel
from fastapi.security.base import SecurityBase
from psycopg_pool import PoolTimeout
from starlette.requests import HTTPConnection

from insight.errors import ServiceError
from serving.access.keys import PresentedKey, key_digest, parse_key
from serving.access.permissions import Permission, Principal, Role
from serving.access.rate_limit import RateLimiter
from serving.access.server_secret import ServerSecret
from serving.access.tokens import InvalidTokenError, TokenVerifier
from serving.api.meter import ApiMeter
from serving.api.problems import Problem
from serving.api.warehouse import Writer

_logger = logging.getLogger(__name__)

_MOST_KEYS = 10_000
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="insight"'}
_LAST_USE = """update access.api_keys set last_used_at = now()
               where key_id = %s and (last_used_at is null
                                      or last_used_at < now() - interval '1 minute')"""
_FIND = """select digest, role, requests_per_minute, expires_at,
               revoked_at is not null as is_revoked
           from access.api_keys where key_id = %s"""


@dataclass(frozen=True)
class _Known:
    """A row of the table of keys, or that there is none, as it was a moment ago."""

    row: dict[str, Any] | None
    until: float


class KeyDirectory:
    """Keys by their id, each read again after a few seconds."""

    def __init__(self, writer: Writer, secret: ServerSecret, seconds: float):
        self._writer = writer
        self._secret = secret
        self._seconds = seconds
        self._known: OrderedDict[str, _Known] = OrderedDict()

    async def principal(self, key: PresentedKey) -> Principal | None:
        """Whose key it is; None when it is unknown, wrong, expired or revoked."""
        row = await self._row(key.key_id)
        stored = bytes(row["digest"]) if row else bytes(32)
        is_right = hmac.compare_digest(key_digest(self._secret, key.token), stored)
        if row is None or not is_right or row["is_revoked"]:
            return None
        if row["expires_at"] is not None and row["expires_at"] <= datetime.now(UTC):
            return None
        return Principal.of(f"key:{key.key_id}", [Role(row["role"])], row["requests_per_minute"])

    def forget(self, key_id: str) -> None:
        """Read the key again at its next use: it was just revoked."""
        self._known.pop(key_id, None)

    async def _row(self, key_id: str) -> dict[str, Any] | None:
        known = self._known.get(key_id)
        if known is None or known.until < time.monotonic():
            row = await self._read(key_id)
            known = self._known[key_id] = _Known(row, time.monotonic() + self._seconds)
            if len(self._known) > _MOST_KEYS:
                self._known.popitem(last=False)
        return known.row

    async def _read(self, key_id: str) -> dict[str, Any] | None:
        try:
            return await self._read_once(key_id)
        except psycopg.OperationalError as error:
            if isinstance(error, PoolTimeout):
                raise
            # A connection of before the server's restart.
            await self._writer.mend()
            return await self._read_once(key_id)

    async def _read_once(self, key_id: str) -> dict[str, Any] | None:
        async with self._writer.transaction() as connection:
            cursor = await connection.execute(_FIND, (key_id,))
            row = await cursor.fetchone()
            if row is not None:
                await connection.execute(_LAST_USE, (key_id,))
        return row


class Gate:
    """Checks credentials and rates."""

    def __init__(
        self,
        keys: KeyDirectory,
        tokens: TokenVerifier | None,
        requests: RateLimiter,
        failures: RateLimiter,
        meter: ApiMeter,
        *,
        requests_per_minute: int,
        failures_per_minute: int,
    ):
        self.keys = keys
        self._tokens = tokens
        self._requests = requests
        self._failures = failures
        self._meter = meter
        self._requests_per_minute = requests_per_minute
        self._failures_per_minute = failures_per_minute

    async def admit(self, connection: HTTPConnection, permission: Permission) -> Principal:
        """Who asks, when they may. Raises Problem: 401, 403, 429, or 503 when nobody can tell."""
        principal = await self._principal(connection)
        limit = principal.requests_per_minute or self._requests_per_minute
        verdict = await self._requests.take(principal.actor, limit)
        if not verdict.is_allowed:
            self._meter.refused("rate")
            raise _too_many(f"More than {limit} requests in a minute.", verdict.retry_after)
        if not principal.may(permission):
            self._meter.refused("permission")
            roles = ", ".join(principal.roles)
            raise Problem(403, "not-allowed", f"This needs {permission}; {roles} does not have it.")
        return principal

    async def _principal(self, connection: HTTPConnection) -> Principal:
        values = connection.headers.getlist("authorization")
        if not values:
            self._meter.refused("no credentials")
            detail = "Send an API key or a token: Authorization: Bearer <key>."
            raise Problem(401, "no-credentials", detail, headers=_CHALLENGE)
        scheme, _, token = values[0].partition(" ")
        token = token.strip()
        principal = None
        reason = "The key or token is not valid."
        if len(values) == 1 and scheme.lower() == "bearer" and token:
            await self._expect_few_failures(connection)
            if key := parse_key(token):
                principal = await self.keys.principal(key)
            elif self._tokens and token.count(".") == 2:
                try:
                    principal = await self._of_token(self._tokens, token)
                except InvalidTokenError as error:
                    reason = f"Not taken: {error}."
        if principal is None:
            await self._refuse(connection, reason)
        assert principal is not None
        return principal

    async def _of_token(self, tokens: TokenVerifier, token: str) -> Principal:
        try:
            if tokens.has_keys_for(token):
                return tokens.principal(token)
            # It asks the provider, which may take seconds.
            return await asyncio.to_thread(tokens.principal, token)
        except ServiceError as error:
            raise Problem(503, "identity-provider-away", f"{error.what}. Try again.") from error

    async def _expect_few_failures(self, connection: HTTPConnection) -> None:
        verdict = self._failures.look(_address(connection), self._failures_per_minute)
        if not verdict.is_allowed:
            self._meter.refused("guesses")
            raise _too_many("Too many refused credentials.", verdict.retry_after)

    async def _refuse(self, connection: HTTPConnection, reason: str) -> None:
        self._meter.refused("credentials")
        await self._failures.take(_address(connection), self._failures_per_minute)
        headers = {"WWW-Authenticate": f'{_CHALLENGE["WWW-Authenticate"]}, error="invalid_token"'}
        raise Problem(401, "invalid-credentials", reason, headers=headers)


class _Needs(SecurityBase):
    """The dependency of a route: its value is who asks."""

    def __init__(self, permission: Permission):
        self.permission = permission
        self.scheme_name = "bearer"
        self.model = HTTPBearerModel(
            description="An API key (`insight_...`), or a token of the identity provider."
        )

    async def __call__(self, connection: HTTPConnection) -> Principal:
        gate: Gate = connection.app.state.gate
        principal = await gate.admit(connection, self.permission)
        connection.state.principal = principal
        return principal


def Needs(permission: Permission) -> Any:  # noqa: N802 (read as a type, like Depends)
    """Admits those who have the permission."""
    return Depends(_Needs(permission))


async def open_to_all() -> None:
    """Says that a route asks for no credentials."""


def declared(call: object) -> Permission | None:
    """The permission that a dependency asks for; None when it is another dependency."""
    return call.permission if isinstance(call, _Needs) else None


def _address(connection: HTTPConnection) -> str:
    # Not X-Forwarded-For: who sends the request writes it.
    return connection.client.host if connection.client else "unknown"


def _too_many(what: str, seconds: int) -> Problem:
    detail = f"{what} Try again in {seconds} s."
    return Problem(429, "too-many-requests", detail, headers={"Retry-After": str(seconds)})
