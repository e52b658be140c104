"""One connection: a bounded queue of messages, sent one after the other, and how it ends."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable

from starlette.websockets import WebSocket, WebSocketDisconnect

from serving.access.permissions import Principal
from serving.api.connection import ABORT
from serving.api.sockets.messages import Closing, error_message

# A client that is told to go gets so long to read what it is told.
_FAREWELL_SECONDS = 5.0


class Client:
    """Somebody who listens. `offer` never waits: a client that reads too slowly is sent away."""

    def __init__(self, websocket: WebSocket, principal: Principal, most_waiting: int):
        self.principal = principal
        self.code: int | None = None
        # Held while a wish is granted, so that one follows the other.
        self.turn = asyncio.Lock()
        self._websocket = websocket
        self._most_waiting = most_waiting
        self._waiting: deque[str] = deque()
        self._reason = ""
        self._wake = asyncio.Event()
        self._is_ending = asyncio.Event()

    @property
    def is_ending(self) -> bool:
        return self._is_ending.is_set()

    def offer(self, message: str, *, at_once: bool = True) -> None:
        """Put a message at the end of the queue; when that is full, end.

        It goes out `at_once`, or when `wake` is called.
        """
        if self.is_ending:
            return
        if len(self._waiting) >= self._most_waiting:
            # What waits is lost: the client resumes after the last offset that it has read.
            self._waiting.clear()
            detail = f"More than {self._most_waiting} messages waited. Resume with since."
            self.end(Closing.too_slow, detail, kind="too-slow")
            return
        self._waiting.append(message)
        if at_once:
            self._wake.set()

    def wake(self) -> None:
        """Send what waits."""
        self._wake.set()

    def end(self, code: Closing, reason: str, *, kind: str) -> None:
        """Say why, after what waits already, and close."""
        if self.is_ending:
            return
        self._waiting.append(error_message(kind, reason))
        # A reason of the protocol has at most 123 bytes.
        self.code, self._reason = code, kind
        self._is_ending.set()
        self._wake.set()

    async def run(self, hear: Callable[[str], Awaitable[None]]) -> None:
        """Send and hear until either side ends it."""
        tasks = {
            asyncio.create_task(self._send_all()),
            asyncio.create_task(self._hear_all(hear)),
            asyncio.create_task(self._is_ending.wait()),
        }
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if self.is_ending:
                await self._say_farewell()
        finally:
            # A defect in one of them is raised here, once the others have ended.
            for task in tasks:
                task.cancel()
            for found in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(found, Exception):
                    raise found

    async def _send_all(self) -> None:
        with contextlib.suppress(WebSocketDisconnect):
            while not self.is_ending:
                self._wake.clear()
                while self._waiting and not self.is_ending:
                    await self._websocket.send_text(self._waiting.popleft())
                if not self.is_ending:
                    await self._wake.wait()

    async def _say_farewell(self) -> None:
        assert self.code is not None
        try:
            async with asyncio.timeout(_FAREWELL_SECONDS):
                for message in [*self._waiting]:
                    await self._websocket.send_text(message)
                await self._websocket.close(self.code, self._reason)
        except TimeoutError:
            # It reads nothing at all: what is in the buffers would stay there for ever.
            if abort := self._websocket.scope.get("extensions", {}).get(ABORT):
                abort()
        except (WebSocketDisconnect, RuntimeError):
            # It has gone by itself meanwhile.
            return

    async def _hear_all(self, hear: Callable[[str], Awaitable[None]]) -> None:
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                message = await self._websocket.receive()
                if message["type"] == "websocket.disconnect":
                    if self.code is None:
                        self.code = message.get("code", 1005)
                    return
                await hear(message.get("text") or "")
