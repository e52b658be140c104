"""The load generator: requests at set moments, whether or not the ones before were answered.

A request's time begins at the moment it was due, so that a server that stalls is charged for all
that waited meanwhile. Prints one JSON object.
"""

import asyncio
import json
import random
import sys
import time
from collections import deque
from urllib.parse import urlsplit

from benchmarks.api.plan import CUSTOMERS

_CONNECTIONS = 64
_WARM_UP_SECONDS = 2.0


class _Connection(asyncio.Protocol):
    """One kept-alive connection with at most one request under way."""

    def __init__(self, load: "_Load"):
        self._load = load
        self._answer = bytearray()
        self._due = 0.0
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def send(self, due: float) -> None:
        self._due = due
        self._transport.write(self._load.request())

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, found, body = self._answer.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        if len(body) >= length:
            is_good = self._answer.startswith(b"HTTP/1.1 200")
            from_redis = b"x-source: redis" in head.lower()
            self._answer.clear()
            self._load.answered(self, self._due, is_good=is_good, from_redis=from_redis)


class _Load:
    def __init__(self, host: str, token: str):
        self._host = host
        self._token = token
        self._random = random.Random(7)
        self._idle: deque[_Connection] = deque()
        self._waiting: deque[float] = deque()
        self.measured_from = float("inf")
        self.times: list[float] = []
        self.lateness: list[float] = []
        self.failed = self.redis = 0
        self.last_answer = 0.0

    async def connect(self, host: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(_CONNECTIONS):
            _, connection = await loop.create_connection(lambda: _Connection(self), host, port)
            self._idle.append(connection)

    def request(self) -> bytes:
        """The segment that machine learning gave a customer, or their segments by rule."""
        customer = self._random.randrange(CUSTOMERS)
        what = self._random.choice(("segment", "segments"))
        return (
            f"GET /v1/customers/{customer:06d}/{what} HTTP/1.1\r\nHost: {self._host}\r\n"
            f"Authorization: Bearer {self._token}\r\nAccept: application/json\r\n\r\n"
        ).encode()

    def send(self, due: float) -> None:
        if due >= self.measured_from:
            self.lateness.append(time.perf_counter() - due)
        if self._idle:
            self._idle.popleft().send(due)
        else:
            self._waiting.append(due)

    def answered(
        self, connection: _Connection, due: float, *, is_good: bool, from_redis: bool
    ) -> None:
        self.last_answer = time.perf_counter()
        if due >= self.measured_from:
            self.times.append(self.last_answer - due)
            self.failed += not is_good
            self.redis += from_redis
        if self._waiting:
            connection.send(self._waiting.popleft())
        else:
            self._idle.append(connection)

    @property
    def is_drained(self) -> bool:
        return len(self._idle) == _CONNECTIONS


async def _run(address: str, token: str, rate: int, seconds: int) -> dict[str, float]:
    url = urlsplit(address)
    assert url.hostname
    assert url.port
    load = _Load(url.netloc, token)
    await load.connect(url.hostname, url.port)
    started = time.perf_counter() + 0.1
    load.measured_from = started + _WARM_UP_SECONDS
    requests = int(rate * (seconds + _WARM_UP_SECONDS))
    sent = 0
    while sent < requests:
        due = started + sent / rate
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
            continue
        load.send(due)
        sent += 1
        if sent % 50 == 0:
            await asyncio.sleep(0)
    deadline = time.perf_counter() + 30
    while not load.is_drained and time.perf_counter() < deadline:
        await asyncio.sleep(0.01)
    times, late = sorted(load.times), sorted(load.lateness)
    return {
        "sent": sent,
        "requests": len(late),
        "answered": len(times),
        "failed": load.failed,
        "from_redis": load.redis,
        "achieved": len(times) / (load.last_answer - load.measured_from),
        "p50_ms": 1000 * times[len(times) // 2],
        "p99_ms": 1000 * times[int(len(times) * 0.99)],
        "longest_ms": 1000 * times[-1],
        "late_p99_ms": 1000 * late[int(len(late) * 0.99)],
    }


def main() -> None:
    address, token, rate, seconds = sys.argv[1:]
    figures = asyncio.run(_run(address, token, int(rate), int(seconds)))
    sys.stdout.write(json.dumps(figures))


if __name__ == "__main__":
    main()
