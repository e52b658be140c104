"""One API server: listens, answers, and ends in order when it is asked to."""

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Iterator

import uvicorn
from starlette.types import ASGIApp

from insight.errors import ServiceError
from serving.api.connection import AbortableWebSocket, LimitedHttpProtocol

_logger = logging.getLogger(__name__)

_DRAIN_SECONDS = 10
_WATCH_SECONDS = 0.1
_MOST_MESSAGE_BYTES = 4 * 1024


class _Server(uvicorn.Server):
    """Leaves signals to who runs it, and ends when that one says so."""

    def __init__(self, config: uvicorn.Config, stop: threading.Event, ready: Callable[[], None]):
        super().__init__(config)
        self._stop = stop
        self._ready = ready

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def main_loop(self) -> None:
        watch = asyncio.create_task(self._watch())
        try:
            await super().main_loop()
        finally:
            watch.cancel()

    async def _watch(self) -> None:
        while not self._stop.is_set():
            await asyncio.sleep(_WATCH_SECONDS)
        self.should_exit = True


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises ServiceError when the address is taken or not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise ServiceError(
            f"the API cannot be served ({error.strerror or error})",
            where=f"{host}:{port}",
            next_step="Choose another port with --port, 0 for a free one",
        ) from error
    return listening


def serve(
    app: ASGIApp,
    listening: socket.socket,
    stop: threading.Event,
    on_ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Answer requests until `stop` is set; those under way then get 10 seconds to end.

    `on_ready` is told the address once requests are answered.
    """
    host, port = listening.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    config = uvicorn.Config(
        app,
        http=LimitedHttpProtocol,
        ws=AbortableWebSocket,
        # Of what a client sends.
        ws_max_size=_MOST_MESSAGE_BYTES,
        ws_ping_interval=20.0,
        ws_ping_timeout=20.0,
        # It would cost each client 40 KiB and more time than all the rest.
        ws_per_message_deflate=False,
        # The client's address is that of its connection: a header can say anything.
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
        timeout_keep_alive=30,
        backlog=1024,
        lifespan="on",
    )
    server = _Server(config, stop, lambda: on_ready(address))
    server.run(sockets=[listening])
    if not server.started:
        raise ServiceError("the API did not start", where=address, next_step="Run insight -v api")
