"""All connections of `/v1/ws` of a server: who is let in, what they hear, when they must go."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from starlette.websockets import WebSocket, WebSocketDisconnect

from serving.access.permissions import Principal
from serving.api.gate import Gate
from serving.api.meter import ApiMeter
from serving.api.problems import Problem
from serving.api.sockets.client import Client
from serving.api.sockets.feed import AWAY, Feed, Show
from serving.api.sockets.messages import (
    Closing,
    NotAMessageError,
    Wish,
    error_message,
    pong_message,
    topics_message,
    unsubscribed_message,
    wish_of,
)
from serving.api.sockets.tickets import Tickets
from serving.api.sockets.topic import OffsetError, Topic

_logger = logging.getLogger(__name__)

_CHECK_SECONDS = 0.5
_MOST_RESUMING = 2
_PARAMETERS = {"topics", "since", "ticket"}


class BadAddressError(Exception):
    """The query of a connection asks for what is not there."""


class Hub:
    """Opened and closed with the server."""

    def __init__(
        self,
        topics: Sequence[Topic],
        gate: Gate,
        tickets: Tickets,
        show: Show,
        meter: ApiMeter,
        *,
        most_clients: int,
        most_waiting: int,
    ):
        self._feeds = {topic.name: Feed(topic, show, meter) for topic in topics}
        self._gate = gate
        self._tickets = tickets
        self._meter = meter
        self._most_clients = most_clients
        self._most_waiting = most_waiting
        self._clients: set[Client] = set()
        self._resuming = asyncio.Semaphore(_MOST_RESUMING)
        self._checks: asyncio.Task[None] | None = None

    async def open(self) -> None:
        self._checks = asyncio.create_task(self._check_on())

    async def close(self) -> None:
        for feed in self._feeds.values():
            for client in self._clients:
                feed.leave(client)
        if self._checks is not None:
            self._checks.cancel()

    async def serve(self, websocket: WebSocket) -> None:
        """One connection from its first to its last message."""
        try:
            principal, wishes = await self._admitted(websocket)
        except Problem as problem:
            await self._turn_away(websocket, _closing(problem), problem.kind, problem.detail)
            return
        except BadAddressError as error:
            await self._turn_away(websocket, Closing.bad_address, "bad-address", str(error))
            return
        except AWAY as error:
            _logger.warning("keys cannot be read: %s", " ".join(str(error).split()))
            detail = "The warehouse does not answer. Try again."
            await self._turn_away(websocket, Closing.try_again_later, "warehouse-away", detail)
            return
        if len(self._clients) >= self._most_clients:
            detail = f"There are {self._most_clients} connections already."
            await self._turn_away(websocket, Closing.try_again_later, "too-many-clients", detail)
            return
        await self._converse(websocket, Client(websocket, principal, self._most_waiting), wishes)

    async def _admitted(self, websocket: WebSocket) -> tuple[Principal, list[Wish]]:
        query = websocket.query_params
        tickets = query.getlist("ticket")
        if tickets and "authorization" not in websocket.headers:
            principal = await self._tickets.principal(tickets[0] if len(tickets) == 1 else "")
            principal = await self._gate.admit_known(websocket, principal)
        else:
            principal = await self._gate.admit_anywhere(websocket)
        if unknown := sorted(set(query) - _PARAMETERS):
            raise BadAddressError(f"The query knows topics, since and ticket, not {unknown[0]!r}.")
        return principal, self._wishes(query.getlist("topics"), query.getlist("since"))

    def _wishes(self, topics: Sequence[str], offsets: Sequence[str]) -> list[Wish]:
        names = list(dict.fromkeys(name for each in topics for name in each.split(",") if name))
        for name in names:
            if name not in self._feeds:
                raise BadAddressError(self._no_topic(name))
        since: dict[str, str] = {}
        for each in offsets:
            topic, at, offset = each.rpartition("@")
            if not at and len(names) == 1:
                topic = names[0]
            if topic not in names:
                raise BadAddressError("since is topic@offset, of one of topics.")
            since[topic] = offset
        return [Wish("subscribe", name, since.get(name)) for name in names]

    def _no_topic(self, name: str) -> str:
        return f"There is no topic {name[:50]!r}. There are {', '.join(self._feeds)}."

    async def _turn_away(self, websocket: WebSocket, code: Closing, kind: str, detail: str) -> None:
        # A browser sees the code only of a connection that was accepted.
        self._meter.socket_closed(code)
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await websocket.accept()
            await websocket.send_text(error_message(kind, detail))
            await websocket.close(code, kind)

    async def _converse(self, websocket: WebSocket, client: Client, wishes: list[Wish]) -> None:
        self._clients.add(client)
        self._meter.sockets = len(self._clients)
        try:
            await websocket.accept()
            client.offer(topics_message(list(self._feeds)))

            async def hear(text: str) -> None:
                await self._hear(client, text)

            first = asyncio.create_task(self._grant_all(client, wishes))
            try:
                await client.run(hear)
            finally:
                first.cancel()
                await asyncio.gather(first, return_exceptions=True)
        finally:
            self._clients.discard(client)
            self._meter.sockets = len(self._clients)
            self._meter.socket_closed(client.code or 1006)
            for feed in self._feeds.values():
                feed.leave(client)

    async def _grant_all(self, client: Client, wishes: list[Wish]) -> None:
        for wish in wishes:
            await self._grant(client, wish)

    async def _hear(self, client: Client, text: str) -> None:
        try:
            await self._gate.take(client.principal)
        except Problem as problem:
            client.end(Closing.too_many_messages, problem.detail, kind=problem.kind)
            return
        try:
            wish = wish_of(text)
        except NotAMessageError as error:
            client.offer(error_message("not-a-message", str(error)))
            return
        await self._grant(client, wish)

    async def _grant(self, client: Client, wish: Wish) -> None:
        async with client.turn:
            await self._grant_in_turn(client, wish)

    async def _grant_in_turn(self, client: Client, wish: Wish) -> None:
        if wish.op == "ping":
            client.offer(pong_message())
            return
        feed = self._feeds.get(wish.topic)
        if feed is None:
            client.offer(error_message("no-such-topic", self._no_topic(wish.topic)))
        elif wish.op == "unsubscribe":
            feed.leave(client)
            client.offer(unsubscribed_message(wish.topic))
        elif not client.principal.may(feed.topic.permission):
            detail = f"Topic {wish.topic} needs {feed.topic.permission}."
            client.end(Closing.not_allowed, detail, kind="not-allowed")
        else:
            await self._subscribe(client, feed, wish)

    async def _subscribe(self, client: Client, feed: Feed, wish: Wish) -> None:
        # Again from another offset is from the beginning.
        feed.leave(client)
        try:
            # Each reads up to thousands of rows: they must leave connections for the requests.
            async with self._resuming:
                await feed.join(client, wish.since)
        except OffsetError as error:
            client.offer(error_message(error.kind, error.detail, wish.topic))
        except AWAY as error:
            kind, detail = "warehouse-away", "The warehouse does not answer. Subscribe again."
            if isinstance(error, Problem):
                kind, detail = error.kind, error.detail
            client.offer(error_message(kind, detail, wish.topic))

    async def _check_on(self) -> None:
        """End the connections whose key or token no longer opens anything."""
        while True:
            await asyncio.sleep(_CHECK_SECONDS)
            self._end_expired(datetime.now(UTC))
            try:
                await self._end_revoked()
            except AWAY as error:
                # Whoever is connected stays: without the table of keys none can be revoked.
                _logger.warning("keys cannot be read: %s", " ".join(str(error).split()))

    def _end_expired(self, now: datetime) -> None:
        for client in self._clients:
            until = client.principal.expires_at
            if until is not None and until <= now:
                detail = "The key or token has expired."
                client.end(Closing.not_admitted, detail, kind="expired")

    async def _end_revoked(self) -> None:
        for client in list(self._clients):
            if not await self._gate.is_still_good(client.principal):
                detail = "The key is not valid any more."
                client.end(Closing.not_admitted, detail, kind="revoked")


def _closing(problem: Problem) -> Closing:
    return {
        401: Closing.not_admitted,
        403: Closing.not_allowed,
        429: Closing.too_many_messages,
    }.get(problem.status, Closing.try_again_later)
