"""The route that is asked a thousand times a second, without the framework around it.

Routing, dependencies and validation cost three times what the answer does. Whatever is not the
common case (no key, no Redis, a strange path, too many requests) is left to the route itself, so
that it is refused and answered in one place only.
"""

import re

import psycopg
from psycopg_pool import PoolTimeout
from starlette.routing import BaseRoute
from starlette.types import Scope

from serving.access.keys import parse_key
from serving.access.permissions import Permission, Principal
from serving.api.problems import Problem
from serving.api.redis_link import RedisAwayError
from serving.api.state import Serving
from serving.segment_lookup import is_lookup_of, lookup_key

# Of the ids that this takes none has to be decoded or validated.
_PATH = re.compile(r"/v1/customers/([A-Za-z0-9_-]{1,64})/segment", re.ASCII)
_BEARER = b"Bearer "

HEADERS = ((b"content-type", b"application/json"), (b"x-source", b"redis"))


class SegmentShortcut:
    """One customer's segment from Redis for a key that is known to be good."""

    def __init__(self, serving: Serving, route: BaseRoute):
        self._serving = serving
        self._route = route

    async def body(self, scope: Scope, authorization: bytes) -> bytes | None:
        """The answer; None when the route itself has to find one."""
        if scope["method"] != "GET" or scope["query_string"]:
            return None
        found = _PATH.fullmatch(scope["path"])
        if found is None or not authorization.startswith(_BEARER):
            return None
        try:
            principal = await self._principal(scope, authorization)
            if principal is None:
                return None
            body = await self._serving.redis.read(lookup_key(found[1]))
            if body is None or not is_lookup_of(found[1], body):
                return None
            await self._serving.gate.take(principal)
        except (psycopg.OperationalError, PoolTimeout, Problem, RedisAwayError):
            return None
        # The metrics are by route.
        scope["route"] = self._route
        self._serving.meter.segment_read("redis")
        return body

    async def _principal(self, scope: Scope, authorization: bytes) -> Principal | None:
        gate = self._serving.gate
        # Two headers were joined by a comma, which no key has.
        key = parse_key(authorization[len(_BEARER) :].decode("latin-1"))
        client = scope["client"]
        if key is None or gate.must_wait(client[0] if client else "unknown"):
            return None
        principal = await gate.keys.principal(key)
        if principal is None or not principal.may(Permission.customers_read):
            return None
        return principal if gate.has_room(principal) else None
