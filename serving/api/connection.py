"""Connections that cannot hold the server up: a request's head is bounded in size and in time.

The parser below collects a head for as long as it comes, before anything else sees it.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

# In a WebSocket's scope: ends the connection with all that waits to be sent.
ABORT = "insight.abort"

_MOST_HEAD_BYTES = 64 * 1024
_HEAD_SECONDS = 10.0
_MOST_UPGRADE_LINES, _MOST_UPGRADE_LINE_BYTES = 64, 8_000


class LimitedHttpProtocol(HttpToolsProtocol):
    """One connection. One that sends too large or too slow a head is closed."""

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        self._head_bytes = 0
        self._chunk_bytes = 0
        self._is_in_head = False
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._begin_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._chunk_bytes = len(data)
        super().data_received(data)
        if self._is_in_head:
            self._head_bytes += len(data)
            if self._head_bytes > _MOST_HEAD_BYTES:
                self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_head = True
        # The chunk in which a head begins can hold the end of a body.
        self._head_bytes = -self._chunk_bytes
        if self._deadline is None:
            self._begin_head()

    def on_headers_complete(self) -> None:
        self._end_head()
        super().on_headers_complete()

    def handle_websocket_upgrade(self) -> None:
        """The library that goes on from here takes shorter lines, and hangs at longer ones."""
        lines = [self.url, *(name + value for name, value in self.headers)]
        if len(lines) > _MOST_UPGRADE_LINES or max(map(len, lines)) > _MOST_UPGRADE_LINE_BYTES:
            self.send_400_response("The address or the headers are too long for a WebSocket.")
            return
        super().handle_websocket_upgrade()

    def _begin_head(self) -> None:
        self._deadline = self.loop.call_later(_HEAD_SECONDS, self._give_up)

    def _end_head(self) -> None:
        self._is_in_head = False
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.close()


class AbortableWebSocket(WebSocketsSansIOProtocol):
    """One WebSocket. A peer that reads nothing does not keep what it was sent in memory."""

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        # The application's task has not begun yet. A refused handshake has no scope.
        if hasattr(self, "scope"):
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[ABORT] = self.transport.abort

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self.transport.abort()
