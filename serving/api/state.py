"""What the routes of one running server share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from insight.audit import Author
from serving.access.masking import mask_customers
from serving.access.permissions import Permission, Principal
from serving.access.rate_limit import RateLimiter
from serving.access.sealing import Seal
from serving.access.tokens import TokenVerifier
from serving.api.gate import Gate, KeyDirectory
from serving.api.meter import ApiMeter
from serving.api.options import ApiOptions
from serving.api.pages import Pager
from serving.api.redis_link import RedisLink
from serving.api.repetition import Repetition
from serving.api.revocations import Revocations
from serving.api.sockets.hub import Hub
from serving.api.sockets.tickets import Tickets
from serving.api.sockets.topic import Topic
from serving.api.sockets.topics import topics_of
from serving.api.warehouse import Warehouse, Writer

Topics = Callable[[Warehouse], Sequence[Topic]]


@dataclass(frozen=True)
class Serving:
    """Connections and what stands on them; opened and closed with the server."""

    options: ApiOptions
    meter: ApiMeter
    warehouse: Warehouse
    writer: Writer
    redis: RedisLink
    gate: Gate
    pager: Pager
    repetition: Repetition
    revocations: Revocations
    tickets: Tickets
    hub: Hub

    @classmethod
    def of(
        cls,
        options: ApiOptions,
        meter: ApiMeter,
        topics: Topics = topics_of,
    ) -> "Serving":
        """Nothing is connected before `open`."""
        secret = options.secret
        warehouse = Warehouse(options.database.reader, options.connections)
        writer = Writer(options.database.writer)
        link = RedisLink(options.redis)
        keys = KeyDirectory(writer, secret, options.key_cache_seconds)
        revocations = Revocations(options.database.writer, keys)
        gate = Gate(
            keys,
            TokenVerifier(options.oidc) if options.oidc else None,
            RateLimiter(link.count),
            RateLimiter(),
            meter,
            requests_per_minute=options.requests_per_minute,
            failures_per_minute=options.failures_per_minute,
        )
        # AES-SIV takes two keys in one.
        cursor_key = secret.derive("cursors 1") + secret.derive("cursors 2")
        answer_key = secret.derive("answers 1") + secret.derive("answers 2")
        pager = Pager(warehouse, Seal(cursor_key), secret.derive("masks"))
        repetition = Repetition(writer, Seal(answer_key))
        ticket_key = secret.derive("tickets 1") + secret.derive("tickets 2")
        tickets = Tickets(Seal(ticket_key), link)
        hub = Hub(
            topics(warehouse),
            gate,
            tickets,
            pager.shown,
            meter,
            most_clients=options.most_sockets,
            most_waiting=options.most_waiting,
        )
        return cls(
            options,
            meter,
            warehouse,
            writer,
            link,
            gate,
            pager,
            repetition,
            revocations,
            tickets,
            hub,
        )

    async def open(self) -> None:
        await self.warehouse.open()
        await self.writer.open()
        await self.revocations.open()
        await self.hub.open()

    async def close(self) -> None:
        await self.hub.close()
        await self.revocations.close()
        await self.redis.close()
        await self.writer.close()
        await self.warehouse.close()

    def shown_rule(self, document: dict[str, object], principal: Principal) -> dict[str, object]:
        """A document about a rule as the principal may see it: the rule can name customers."""
        if principal.may(Permission.customers_read):
            return document
        return mask_customers(document, self.options.secret.derive("masks"))


def serving_of(connection: HTTPConnection) -> Serving:
    """What the server of this request shares."""
    serving = connection.app.state.serving
    assert isinstance(serving, Serving)
    return serving


def author_of(request: HTTPConnection, principal: Principal) -> Author:
    """Who makes a change, as the audit log has it."""
    client = request.client.host if request.client else None
    return Author(principal.actor, request.state.request_id, client)
