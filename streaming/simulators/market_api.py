"""A local HTTP server that answers like CoinGecko and NewsAPI, from an invented market.

An answer depends on the request alone: it is the market one step after the state that the client
has seen, which the client names with If-None-Match. A repeated request gets the same answer, and
a client that goes on after a crash gets what it would have got without it.
"""

import json
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from streaming.simulators.market import END, START, Prices, articles_between

PRICE_PATH = "/api/v3/simple/price"
NEWS_PATH = "/v2/everything"

_PAGE_SIZE = 100
_REMEMBERED_REQUESTS = 100


@dataclass(frozen=True)
class Fault:
    """A wrong answer: `body` instead of the right one, cut after `cut_at` bytes, or dripping.

    With `drip_seconds` each byte comes that many seconds after the one before.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    cut_at: int | None = None
    drip_seconds: float = 0.0


@dataclass
class MarketApi:
    """A running server. `faults` holds what the next requests of a path get, first come first.

    `requests` are the newest ones, as path and headers; a server of a long role answers for weeks.
    """

    url: str
    requests: deque[tuple[str, dict[str, str]]] = field(
        default_factory=lambda: deque(maxlen=_REMEMBERED_REQUESTS)
    )
    faults: dict[str, list[Fault]] = field(default_factory=lambda: defaultdict(list))


@dataclass(frozen=True)
class Clock:
    """Simulated seconds that pass from one answer to the next, and where time ends (or never).

    Simulated time never passes the real time `now` (epoch seconds): there it waits.
    """

    price_step: int = 300
    news_step: int = 1800
    end: datetime | None = END
    now: Callable[[], float] = time.time

    def step(self, path: str) -> int:
        """Simulated seconds between two answers under a path."""
        return self.price_step if path == PRICE_PATH else self.news_step


@contextmanager
def market_api(seed: int = 2019, clock: Clock | None = None) -> Iterator[MarketApi]:
    """Serve the market on a free port of 127.0.0.1 for the length of the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    api = MarketApi(f"http://127.0.0.1:{server.server_address[1]}")
    server.RequestHandlerClass = _bound_handler(_Market(seed, clock or Clock()), api)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()


class _Market:
    """The bodies of the answers for a simulated time."""

    def __init__(self, seed: int, clock: Clock):
        self._seed = seed
        self._clock = clock
        self._prices = Prices(seed)
        self._start = int(START.timestamp())
        self._end = int(clock.end.timestamp()) if clock.end else None

    def next_time(self, path: str, seen: int | None) -> int | None:
        """The time of the next answer; None when the client has seen the last one until now."""
        step = self._clock.step(path)
        # A price tells a moment, from the start on; news tell the time until then.
        first = self._start if path == PRICE_PATH else self._start + step
        following = first if seen is None else seen + step
        if following > self._clock.now():
            return None
        last = None if self._end is None else self._end - (step if path == PRICE_PATH else 0)
        return following if last is None or following <= last else None

    def price(self, now: int) -> dict[str, object]:
        price, change = self._prices.at(now)
        quote = {"usd": price, "usd_24h_change": change, "last_updated_at": now}
        return {"bitcoin": quote}

    def news(self, now: int, since: int, page: int) -> dict[str, object]:
        found = articles_between(self._seed, max(since, self._start), now)
        articles = [
            {
                "source": {"id": None, "name": each.publisher},
                "author": None,
                "title": each.title,
                "description": each.description,
                "url": each.url,
                "urlToImage": None,
                "publishedAt": _iso(each.published),
                "content": None,
            }
            for each in reversed(found)
        ]
        told = articles[(page - 1) * _PAGE_SIZE : page * _PAGE_SIZE]
        return {"status": "ok", "totalResults": len(articles), "articles": told}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # With Nagle's algorithm each answer waits 40 ms for the client's delayed acknowledgement.
    disable_nagle_algorithm = True
    wbufsize = -1

    market: _Market
    api: MarketApi

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self.api.requests.append((self.path, dict(self.headers.items())))
        faults = self.api.faults[parts.path]
        if faults:
            self._answer_wrongly(faults.pop(0), parts.path, parts.query)
        else:
            self._send(*self._answer(parts.path, parts.query))

    def _answer(self, path: str, query: str) -> tuple[int, dict[str, str], bytes]:
        if path not in (PRICE_PATH, NEWS_PATH):
            return 404, {}, b'{"error":"not found"}'
        if path == NEWS_PATH and not self.headers.get("X-Api-Key"):
            return 401, {}, b'{"status":"error","code":"apiKeyMissing"}'
        tag = (self.headers.get("If-None-Match") or "").strip('"')
        now = self.market.next_time(path, int(tag) if tag.isdigit() else None)
        if now is None:
            return 304, {"ETag": f'"{tag}"'}, b""
        body = self.market.price(now) if path == PRICE_PATH else self._news(now, query)
        return 200, {"ETag": f'"{now}"'}, json.dumps(body).encode()

    def _news(self, now: int, query: str) -> dict[str, object]:
        asked = parse_qs(query)
        since = datetime.fromisoformat(asked.get("from", ["1970-01-01T00:00:00"])[0])
        page = int(asked.get("page", ["1"])[0])
        return self.market.news(now, int(since.replace(tzinfo=UTC).timestamp()), page)

    def _answer_wrongly(self, fault: Fault, path: str, query: str) -> None:
        _, headers, body = self._answer(path, query)
        body = body if fault.body is None else fault.body
        if fault.drip_seconds:
            self._drip(fault, body)
            return
        cut = len(body) if fault.cut_at is None else fault.cut_at
        self._send(fault.status, {**headers, **fault.headers}, body[:cut])

    def _drip(self, fault: Fault, body: bytes) -> None:
        self.close_connection = True
        self._start(fault.status, {"Content-Length": str(len(body))})
        try:
            for byte in body:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(fault.drip_seconds)
        except OSError:
            return  # the client had enough

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        kind = {"Content-Type": "application/json; charset=utf-8"}
        length = {} if status == 304 else {"Content-Length": str(len(body))}
        self._start(status, {**kind, **headers, **length})
        self.wfile.write(body)
        self.wfile.flush()

    def _start(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """The newest requests are kept in `MarketApi.requests`, not printed."""


def _bound_handler(market: _Market, api: MarketApi) -> type[_Handler]:
    return type("BoundHandler", (_Handler,), {"market": market, "api": api})


def _iso(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
