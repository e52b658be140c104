"""A TCP proxy that misbehaves on request: cuts, holds, slows or loses what goes through it."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable

_PIECE = 65_536

# Sees each piece that a client sends; True loses the answer to it: the server gets the piece, and
# the connection is cut when the server has answered.
LosesAnswer = Callable[[bytes], bool]


class TcpProxy:
    """Forwards `localhost:port` to a server; use it in a `with` block.

    All connections misbehave alike. What is held or slowed stays in order and is never changed.
    """

    def __init__(self, host: str, port: int, listen_on: int = 0):
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", listen_on))
        self.port: int = self._listener.getsockname()[1]
        self.bytes_per_second: float | None = None
        self.loses_answer: LosesAnswer | None = None
        self.refuses = False
        self._flowing = threading.Event()
        self._flowing.set()
        self._pairs: list[_Pair] = []
        self._lock = threading.Lock()

    def __enter__(self) -> "TcpProxy":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        # Closing alone would leave the thread in its accept.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.go_on()
        self.cut()

    def cut(self) -> None:
        """Close every connection."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for each in pairs:
            each.close()

    def hold(self) -> None:
        """Forward nothing, and tell nobody: every connection is half-open until `go_on`."""
        self._flowing.clear()

    def go_on(self) -> None:
        self._flowing.set()

    def abandon(self) -> None:
        """The connections of now forward nothing ever again; new ones work."""
        with self._lock:
            for each in self._pairs:
                each.is_abandoned = True

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.refuses:
                client.close()
                continue
            try:
                server = socket.create_connection(self._target, timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            self._start(_Pair(client, server))

    def _start(self, pair: "_Pair") -> None:
        with self._lock:
            self._pairs.append(pair)
        for forward in (self._forward_questions, self._forward_answers):
            threading.Thread(target=forward, args=(pair,), daemon=True).start()

    def _forward_questions(self, pair: "_Pair") -> None:
        for piece in self._pieces(pair, pair.client):
            if self.loses_answer is not None and self.loses_answer(piece):
                pair.loses_next_answer = True
            if not pair.send(pair.server, piece):
                return

    def _forward_answers(self, pair: "_Pair") -> None:
        for piece in self._pieces(pair, pair.server):
            if pair.loses_next_answer:
                pair.close()
            if not pair.send(pair.client, piece):
                return

    def _pieces(self, pair: "_Pair", source: socket.socket):  # type: ignore[no-untyped-def]
        while piece := pair.receive(source):
            self._flowing.wait()
            if pair.is_abandoned:
                return
            if self.bytes_per_second:
                time.sleep(len(piece) / self.bytes_per_second)
            yield piece
        if not pair.is_abandoned:
            pair.close()


class _Pair:
    """One connection: the client's end and the server's."""

    def __init__(self, client: socket.socket, server: socket.socket):
        self.client = client
        self.server = server
        self.is_abandoned = False
        self.loses_next_answer = False
        for each in (client, server):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def receive(self, source: socket.socket) -> bytes:
        try:
            return source.recv(_PIECE)
        except OSError:
            return b""

    def send(self, to: socket.socket, piece: bytes) -> bool:
        try:
            to.sendall(piece)
        except OSError:
            self.close()
            return False
        return True

    def close(self) -> None:
        for each in (self.client, self.server):
            # A plain close would leave the other thread waiting in its read.
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
