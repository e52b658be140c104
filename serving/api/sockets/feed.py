"""One reader for each topic, however many listen to it; it rests while nobody does."""

import asyncio
import contextlib
import logging
from collections.abc import Callable

import psycopg
from psycopg_pool import PoolTimeout, TooManyRequests

from serving.access.permissions import Permission, Principal
from serving.api.meter import ApiMeter
from serving.api.problems import Problem
from serving.api.sockets.client import Client
from serving.api.sockets.messages import rows_message, subscribed_message
from serving.api.sockets.topic import Batch, Topic
from serving.api.warehouse import Row

_logger = logging.getLogger(__name__)

AWAY = (psycopg.OperationalError, PoolTimeout, TooManyRequests, Problem)
_SECONDS_AFTER_A_FAILURE = 1.0
_SECONDS_BEFORE_MORE = 0.02
_WOKEN_AT_ONCE = 16

# A row as a principal may see it.
Show = Callable[[Row, Principal], Row]


class Feed:
    """Reads a topic and offers each batch to all who listen, encoded once for each kind of them."""

    def __init__(self, topic: Topic, show: Show, meter: ApiMeter):
        self.topic = topic
        self._show = show
        self._meter = meter
        self._offset = ""
        # A listener that still gets what it missed keeps here what comes meanwhile.
        self._listeners: dict[Client, list[Batch] | None] = {}
        self._starting = asyncio.Lock()
        self._reader: asyncio.Task[None] | None = None

    async def join(self, client: Client, since: str | None) -> None:
        """Listen from now on, after what came since an offset.

        Raises OffsetError, or one of AWAY; then the client does not listen.
        """
        async with self._starting:
            if self._reader is None:
                self._offset = await self.topic.start()
                self._reader = asyncio.create_task(self._read_on())
            offset = self._offset
            self._listeners[client] = []
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(self.leave, client)
            missed = self.topic.resume(since, offset)
            first = await anext(missed, None)
            client.offer(subscribed_message(self.topic.name, since or offset))
            if first is not None:
                self._send(client, first)
                async for batch in missed:
                    self._send(client, batch)
            on_failure.pop_all()
        for batch in self._listeners.get(client) or ():
            self._send(client, batch)
        if client in self._listeners:
            self._listeners[client] = None

    def leave(self, client: Client) -> bool:
        """Listen no longer; False when it did not."""
        was_there = client in self._listeners
        self._listeners.pop(client, None)
        if not self._listeners and self._reader is not None:
            self._reader.cancel()
            self._reader = None
        return was_there

    async def _read_on(self) -> None:
        while True:
            await asyncio.sleep(self.topic.seconds)
            try:
                while (batch := await self.topic.read(self._offset)).is_more:
                    await self._spread(batch)
                    await asyncio.sleep(_SECONDS_BEFORE_MORE)
                await self._spread(batch)
            except AWAY as error:
                # Nothing is lost: the next look begins where this one did.
                self._meter.feed_failed(self.topic.name)
                _logger.warning("topic %s: %s", self.topic.name, " ".join(str(error).split()))
                await asyncio.sleep(_SECONDS_AFTER_A_FAILURE)
            # The outermost loop of the reader: a defect must not end a topic for everybody.
            except Exception:
                self._meter.feed_failed(self.topic.name)
                _logger.exception("topic %s", self.topic.name)
                await asyncio.sleep(_SECONDS_AFTER_A_FAILURE)

    async def _spread(self, batch: Batch) -> None:
        """Offer a batch to all, in one step; then let them send, a few at a time.

        Hundreds of clients that send at once would let every request wait for all of them.
        """
        woken = self._offered(batch)
        for number, client in enumerate(woken, start=1):
            client.wake()
            if number % _WOKEN_AT_ONCE == 0:
                await asyncio.sleep(0)

    def _offered(self, batch: Batch) -> list[Client]:
        self._offset = batch.offset
        if not batch.rows and not batch.skipped:
            return []
        woken = []
        messages: dict[bool, str] = {}
        for client, kept in list(self._listeners.items()):
            if kept is not None:
                kept.append(batch)
                continue
            sees_ids = client.principal.may(Permission.customers_read)
            if sees_ids not in messages:
                messages[sees_ids] = self._message(batch, client.principal)
            client.offer(messages[sees_ids], at_once=False)
            self._meter.socket_message(self.topic.name)
            woken.append(client)
        return woken

    def _send(self, client: Client, batch: Batch) -> None:
        client.offer(self._message(batch, client.principal))
        self._meter.socket_message(self.topic.name)

    def _message(self, batch: Batch, principal: Principal) -> str:
        return rows_message(self.topic.name, batch, lambda row: self._show(row, principal))
