"""Who asks, and whether they may: each route says so by one dependency.

    async def stores(principal: Annotated[Principal, Needs(Permission.insights_read)]) -> ...

A route that everybody may ask depends on `open_to_all`. A route with neither fails a test.
"""

import asyncio
import hashlib
import hmac
import logging
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from fastapi import Depends
from fastapi.dependencies.utils import get_flat_dependant
from fastapi.openapi.models import HTTPBearer as HTTPBearerModel
from fastapi.routing import APIRoute
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
from serving.api.problems import InvalidPart, Problem
from serving.api.warehouse import Writer

_logger = logging.getLogger(__name__)

_MOST_KEYS = 10_000
_KEY = "key:"
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="insight"'}
_LAST_USE = "update access.api_keys set last_used_at = now() where key_id = %s"
_FIND = """select digest, role, requests_per_minute, expires_at,
               revoked_at is not null as is_revoked,
               coalesce(last_used_at < now() - interval '1 minute', true) as is_use_to_be_noted
           from access.api_keys where key_id = %s"""


@dataclass
class _Known:
    """A row of the table of keys, or that there is none, as it was at a moment.

    `verified` is the token that was found right for it, hashed, and whose it is: until the row is
    read again, the same token need not be reckoned again.
    """

    row: dict[str, Any] | None
    read_at: float
    verified: tuple[bytes, Principal] | None = None


class KeyDirectory:
    """Keys by their id, each read again every few seconds.

    At half of that time a key in use is read again beside the requests, so that none waits for it;
    however many ask, one reads.
    """

    def __init__(self, writer: Writer, secret: ServerSecret, seconds: float):
        self._writer = writer
        self._secret = secret
        self._seconds = seconds
        # Of this process only.
        self._mark_key = secrets.token_bytes(32)
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._reads: dict[str, asyncio.Task[_Known]] = {}

    async def principal(self, key: PresentedKey) -> Principal | None:
        """Whose key it is; None when it is unknown, wrong, expired or revoked."""
        known = await self._found(key.key_id)
        mark = hashlib.blake2b(key.token.encode(), key=self._mark_key).digest()
        if known.verified is None or not hmac.compare_digest(known.verified[0], mark):
            principal = self._verified(key, known.row)
            if principal is None:
                return None
            known.verified = (mark, principal)
        principal = known.verified[1]
        if principal.expires_at is not None and principal.expires_at <= datetime.now(UTC):
            return None
        return principal

    def _verified(self, key: PresentedKey, row: dict[str, Any] | None) -> Principal | None:
        stored = bytes(row["digest"]) if row else bytes(32)
        is_right = hmac.compare_digest(key_digest(self._secret, key.token), stored)
        if row is None or not is_right or row["is_revoked"]:
            return None
        return Principal.of(
            f"{_KEY}{key.key_id}",
            [Role(row["role"])],
            row["requests_per_minute"],
            row["expires_at"],
        )

    async def is_usable(self, key_id: str) -> bool:
        """Whether a key that was taken once is still neither revoked nor expired."""
        row = (await self._found(key_id)).row
        if row is None or row["is_revoked"]:
            return False
        return row["expires_at"] is None or row["expires_at"] > datetime.now(UTC)

    def forget(self, key_id: str) -> None:
        """Read the key again at its next use: it was just revoked."""
        self._known.pop(key_id, None)
        self._reads.pop(key_id, None)

    def forget_all(self) -> None:
        """The same for all keys: some may have been revoked unseen."""
        self._known.clear()
        self._reads.clear()

    async def _found(self, key_id: str) -> _Known:
        known = self._known.get(key_id)
        age = time.monotonic() - known.read_at if known else self._seconds
        if known is None or age >= self._seconds:
            # Shielded: a caller who goes away must not end the read for the others.
            known = await asyncio.shield(self._read(key_id))
        elif age >= self._seconds / 2:
            self._read(key_id)
        return known

    def _read(self, key_id: str) -> "asyncio.Task[_Known]":
        task = self._reads.get(key_id)
        if task is None:
            task = self._reads[key_id] = asyncio.create_task(self._read_now(key_id))
            task.add_done_callback(lambda done: self._finish(key_id, done))
        return task

    def _finish(self, key_id: str, task: "asyncio.Task[_Known]") -> None:
        # A read that began before the key was revoked here must not bring it back.
        if self._reads.get(key_id) is not task:
            return
        del self._reads[key_id]
        if task.cancelled() or task.exception():
            return
        self._known[key_id] = task.result()
        self._known.move_to_end(key_id)
        if len(self._known) > _MOST_KEYS:
            self._known.popitem(last=False)

    async def _read_now(self, key_id: str) -> _Known:
        began_at = time.monotonic()
        try:
            row = await self._read_once(key_id)
        except psycopg.OperationalError as error:
            if isinstance(error, PoolTimeout):
                raise
            # A connection of before the server's restart.
            await self._writer.mend()
            row = await self._read_once(key_id)
        return _Known(row, began_at)

    async def _read_once(self, key_id: str) -> dict[str, Any] | None:
        async with self._writer.transaction() as connection:
            cursor = await connection.execute(_FIND, (key_id,))
            row = await cursor.fetchone()
            if row is not None and row["is_use_to_be_noted"]:
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
        principal = await self.admit_anywhere(connection)
        if not principal.may(permission):
            self._meter.refused("permission")
            roles = ", ".join(principal.roles)
            raise Problem(403, "not-allowed", f"This needs {permission}; {roles} does not have it.")
        return principal

    async def admit_anywhere(self, connection: HTTPConnection) -> Principal:
        """Who asks, whatever they may do. Raises Problem: 401, 429 or 503."""
        principal = await self._principal(connection)
        await self.take(principal)
        return principal

    async def admit_known(
        self, connection: HTTPConnection, principal: Principal | None
    ) -> Principal:
        """The same for who came with a ticket; None: it opens nothing."""
        await self._expect_few_failures(connection)
        if principal is None or not await self.is_still_good(principal):
            await self._refuse(connection, "The ticket is not valid, or was used.")
        assert principal is not None
        await self.take(principal)
        return principal

    async def take(self, principal: Principal) -> None:
        """Count one request or message. Raises Problem 429 above the caller's rate."""
        limit = principal.requests_per_minute or self._requests_per_minute
        verdict = await self._requests.take(principal.actor, limit)
        if not verdict.is_allowed:
            self._meter.refused("rate")
            raise _too_many(f"More than {limit} requests in a minute.", verdict.retry_after)

    def has_room(self, principal: Principal) -> bool:
        """Whether `take` would let the next request go on, as far as is known here."""
        limit = principal.requests_per_minute or self._requests_per_minute
        return self._requests.look(principal.actor, limit).is_allowed

    def must_wait(self, address: str) -> bool:
        """Whether too many credentials from there were refused."""
        return not self._failures.look(address, self._failures_per_minute).is_allowed

    async def is_still_good(self, principal: Principal) -> bool:
        """Whether a key was not revoked since; who came with a token is known by its expiry."""
        if not principal.actor.startswith(_KEY):
            return True
        return await self.keys.is_usable(principal.actor.removeprefix(_KEY))

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
        if connection.scope["query_string"]:
            _expect_known_parameters(connection)
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


def _expect_known_parameters(connection: HTTPConnection) -> None:
    """A filter that is misspelt must not be a list without the filter."""
    route = connection.scope.get("route")
    if not isinstance(route, APIRoute):
        return
    known = {parameter.alias for parameter in get_flat_dependant(route.dependant).query_params}
    unknown = sorted(set(connection.query_params) - known)
    repeated = sorted(name for name in known if len(connection.query_params.getlist(name)) > 1)
    if unknown or repeated:
        errors = [
            InvalidPart(where=f"query.{name}"[:100], message="is not a parameter of this route")
            for name in unknown[:20]
        ] + [InvalidPart(where=f"query.{name}", message="stands twice") for name in repeated]
        detail = "The query has parameters that are unknown here or stand twice."
        raise Problem(422, "invalid-request", detail, errors=errors)


def _address(connection: HTTPConnection) -> str:
    # Not X-Forwarded-For: who sends the request writes it.
    return connection.client.host if connection.client else "unknown"


def _too_many(what: str, seconds: int) -> Problem:
    detail = f"{what} Try again in {seconds} s."
    return Problem(429, "too-many-requests", detail, headers={"Retry-After": str(seconds)})
