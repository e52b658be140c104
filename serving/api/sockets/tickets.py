"""One-time tickets: a browser cannot send a header with a WebSocket, so it puts one in the address.

A ticket is sealed by the server and names who asked for it; Redis remembers for all servers that it
was used. In a log of addresses it is worthless.
"""

import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from serving.access.permissions import Principal, Role
from serving.access.sealing import Seal
from serving.api.problems import Problem
from serving.api.redis_link import RedisLink

SECONDS = 30
_CONTEXT = b"ws ticket"
_LONGEST = 2_000


@dataclass(frozen=True)
class NewTicket:
    """For the one who asked; `text` goes into the address."""

    text: str
    expires_at: datetime


class Tickets:
    """Gives tickets out and takes them, each once."""

    def __init__(self, seal: Seal, redis: RedisLink):
        self._seal = seal
        self._redis = redis

    def give(self, principal: Principal) -> NewTicket:
        """A ticket for who asks, good for half a minute."""
        ends_at = time.time() + SECONDS
        content = orjson.dumps(
            {
                "id": secrets.token_hex(12),
                "ends_at": ends_at,
                "actor": principal.actor,
                "roles": principal.roles,
                "rate": principal.requests_per_minute,
                "until": principal.expires_at.timestamp() if principal.expires_at else None,
            }
        )
        text = self._seal.seal_text(content, _CONTEXT)
        return NewTicket(text, datetime.fromtimestamp(ends_at, UTC))

    async def principal(self, ticket: str) -> Principal | None:
        """Who asked for it; None when it is none, was used or is too old.

        Raises Problem 503 while Redis is away: nobody could tell whether it was used.
        """
        content = self._seal.open_text(ticket, _CONTEXT) if len(ticket) <= _LONGEST else None
        if content is None:
            return None
        known = orjson.loads(content)
        if known["ends_at"] <= time.time():
            return None
        uses = await self._redis.count(f"insight:ws-ticket:{known['id']}", 1, 2 * SECONDS)
        if uses is None:
            raise Problem(503, "redis-away", "Tickets cannot be taken now. Send the key itself.")
        if uses > 1:
            return None
        until = known["until"]
        return Principal.of(
            known["actor"],
            map(Role, known["roles"]),
            known["rate"],
            datetime.fromtimestamp(until, UTC) if until else None,
        )
