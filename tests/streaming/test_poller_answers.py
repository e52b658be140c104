"""Answers that cannot be used are kept for a person; requests stay within their budget."""

import gzip
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from streaming.simulators.market_api import (
    NEWS_PATH,
    PRICE_PATH,
    Clock,
    Fault,
    MarketApi,
    market_api,
)
from streaming.sources import SourcePaused, SourceStopped, TransientFailure
from streaming.sources.bad_answers import BadAnswers
from streaming.sources.coingecko import API as COINGECKO
from streaming.sources.http_poller import HttpPoller, PolledApi
from streaming.sources.newsapi import API as NEWSAPI
from streaming.sources.request_budget import RequestBudget
from streaming.sources.retries import RetryPolicy

KEY = "a-very-secret-key"
ONE_TRY = RetryPolicy(attempts=1, connect=1, read=0.5, total=1.0)


@pytest.fixture
def market() -> Iterator[MarketApi]:
    with market_api() as running:
        yield running


def _poller(url: str, kept: Path | None, api: PolledApi = COINGECKO, **changes) -> HttpPoller:
    arguments = {"wait": lambda _seconds: False, "key": SecretStr(KEY), "policy": ONE_TRY}
    bad_answers = BadAnswers(kept) if kept else None
    return HttpPoller(
        api, url, "source", use_proxies=False, bad_answers=bad_answers, **{**arguments, **changes}
    )


USELESS = {
    "html": (PRICE_PATH, b"<html>Just a moment</html>"),
    "cut off": (PRICE_PATH, b'{"bitcoin": {"usd": 72'),
    "other shape": (PRICE_PATH, b'{"coins": []}'),
    "error": (NEWS_PATH, b'{"status": "error", "code": "rateLimited"}'),
    "lasting error": (NEWS_PATH, b'{"status": "error", "code": "apiKeyInvalid"}'),
}


@pytest.mark.parametrize(("path", "body"), USELESS.values(), ids=USELESS)
def test_answer_that_cannot_be_used_is_kept_and_named(market, tmp_path, path, body) -> None:
    market.faults[path] = [Fault(body=body)]
    api = COINGECKO if path == PRICE_PATH else NEWSAPI
    with pytest.raises((TransientFailure, SourceStopped)) as failed:
        _poller(market.url, tmp_path, api).poll(None)
    (file,) = tmp_path.iterdir()
    assert file.read_bytes() == body
    assert str(failed.value).endswith(f"; see {file}")


def test_good_answers_and_failures_without_a_body_keep_nothing(market, tmp_path) -> None:
    poller = _poller(market.url, tmp_path)
    poller.poll(None)
    market.faults[PRICE_PATH] = [Fault(500, body=b"<html>")]
    with pytest.raises(TransientFailure, match=r"^status 500$"):
        poller.poll(None)
    assert list(tmp_path.iterdir()) == []


def test_only_the_beginning_of_the_newest_answers_is_kept_without_the_key(tmp_path) -> None:
    answers = BadAnswers(tmp_path / "prices")
    for number in range(23):
        body = f"{number:02d} {KEY} ".encode() + b"x" * 100_000
        assert answers.keep(body, SecretStr(KEY)) is not None
    kept = sorted((tmp_path / "prices").iterdir())
    texts = [file.read_bytes() for file in kept]
    assert [int(text[:2]) for text in texts] == list(range(3, 23))
    assert {len(text) for text in texts} == {65_536}
    assert not any(KEY.encode() in text for text in texts)


def test_answer_that_cannot_be_kept_does_not_stop_the_poller(market, tmp_path, caplog) -> None:
    (tmp_path / "taken").write_text("a file where a folder should be")
    market.faults[PRICE_PATH] = [Fault(body=b"[]")]
    with pytest.raises(TransientFailure, match=r"it has no bitcoin$"):
        _poller(market.url, tmp_path / "taken").poll(None)
    assert "cannot be kept" in caplog.text


def test_compressed_answers_are_read(market) -> None:
    plain = json.dumps({"bitcoin": {"usd": 7200.5, "last_updated_at": 1_577_664_000}}).encode()
    packed = {"Content-Encoding": "gzip"}
    market.faults[PRICE_PATH] = [Fault(200, packed, gzip.compress(plain))]
    (event,) = _poller(market.url, None).poll(None).events
    assert json.loads(event.value)["price"] == 7200.5


def test_damaged_or_endless_compressed_answers_are_passing_failures(market, tmp_path) -> None:
    packed = {"Content-Encoding": "gzip"}
    bomb = gzip.compress(b" " * 50_000_000)
    market.faults[PRICE_PATH] = [Fault(200, packed, b"\x1f\x8b no gzip"), Fault(200, packed, bomb)]
    poller = _poller(market.url, tmp_path)
    with pytest.raises(TransientFailure):
        poller.poll(None)
    with pytest.raises(TransientFailure, match="longer than 8388608 bytes"):
        poller.poll(None)


@contextmanager
def _server(answer: bytes) -> Iterator[str]:
    """Gives every client the same bytes and closes the connection."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client:
                client.recv(65_536)
                client.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def test_answer_shorter_than_announced_is_a_failure_though_it_is_json(tmp_path) -> None:
    body = b'{"bitcoin": {"usd": 7200, "last_updated_at": 1577664000}}'
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body) + 10}\r\n\r\n".encode()
    with _server(head + body) as url, pytest.raises(TransientFailure):
        _poller(url, tmp_path).poll(None)
    (file,) = tmp_path.iterdir()
    assert file.read_bytes() == body


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\n"])
def test_server_that_speaks_no_http_is_a_passing_failure(answer: bytes) -> None:
    with _server(answer) as url, pytest.raises(TransientFailure):
        _poller(url, None).poll(None)


def test_name_that_cannot_be_resolved_is_a_passing_failure() -> None:
    with pytest.raises(TransientFailure, match="no answer"):
        _poller("http://no-such-host.invalid", None).poll(None)


def test_redirect_is_not_followed_and_keeps_the_key_here(market) -> None:
    with market_api() as elsewhere:
        target = {"Location": elsewhere.url + PRICE_PATH}
        market.faults[PRICE_PATH] = [Fault(307, target)]
        with pytest.raises(SourceStopped, match="status 307"):
            _poller(market.url, None).poll(None)
        assert not elsewhere.requests


CURSORS = {
    "future price": (COINGECKO, {"last_updated_at": 4_000_000_000}),
    "absurd price": (COINGECKO, {"last_updated_at": 10**30}),
    "future news": (NEWSAPI, {"newest": "2999-01-01T00:00:00+00:00", "seen": {}}),
    "other shape": (NEWSAPI, {"until": "2020-01-01T00:00:00+00:00"}),
}


@pytest.mark.parametrize(("api", "position"), CURSORS.values(), ids=CURSORS)
def test_cursor_that_cannot_be_right_is_none_and_told(market, caplog, api, position) -> None:
    with caplog.at_level(logging.WARNING):
        poll = _poller(market.url, None, api).poll({"etag": '"4000000000"', "position": position})
    assert len(poll.events) >= 1
    assert "starts anew" in caplog.text
    assert "If-None-Match" not in market.requests[0][1]


def test_requests_of_a_day_are_bounded_and_free_again_a_day_later() -> None:
    now = [0.0]
    budget = RequestBudget(4, lambda: now[0])
    for hour in range(4):
        now[0] = hour * 3600.0
        budget.take()
    now[0] = 5 * 3600.0
    with pytest.raises(SourcePaused, match="the 4 requests of a day are used up") as paused:
        budget.take()
    assert paused.value.seconds == 19 * 3600
    now[0] = 86_400.0
    budget.take()
    with pytest.raises(SourcePaused):
        budget.take()


def test_budget_follows_from_the_interval() -> None:
    budget = RequestBudget.for_interval(86_400 / 100)
    for _ in range(100):
        budget.take()
    with pytest.raises(SourcePaused):
        budget.take()


def test_retries_and_further_pages_take_from_the_budget() -> None:
    with market_api(clock=Clock(news_step=4 * 86_400, end=None)) as market:
        market.faults[NEWS_PATH] = [Fault(500)]
        policy = RetryPolicy(attempts=3, connect=1, read=1)
        poller = _poller(market.url, None, NEWSAPI, policy=policy, budget=RequestBudget(5))
        assert len(poller.poll(None).events) > 200
        assert len(market.requests) == 4
        with pytest.raises(SourcePaused):
            poller.poll(None)
        assert len(market.requests) == 5


def test_waits_are_spread_over_their_whole_range(market) -> None:
    waits: list[float] = []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return False

    policy = RetryPolicy(attempts=60, base=1.0, cap=2.0, connect=1, read=1)
    market.faults[PRICE_PATH] = [Fault(503)] * 59
    _poller(market.url, None, wait=wait, policy=policy).poll(None)
    assert len(waits) == 59
    assert 0 <= min(waits) < 0.5
    assert 1.5 < max(waits) <= 2.0


def test_retry_after_that_is_short_of_the_cap_is_waited_for(market) -> None:
    waits: list[float] = []
    later = datetime.now(UTC) + timedelta(seconds=2)
    stamp = later.strftime("%a, %d %b %Y %H:%M:%S GMT")
    market.faults[PRICE_PATH] = [Fault(429, {"Retry-After": stamp}), Fault(429)]
    policy = RetryPolicy(attempts=4, connect=1, read=1)
    _poller(market.url, None, wait=lambda s: bool(waits.append(s)), policy=policy).poll(None)
    assert len(waits) == 2


def test_polls_do_not_leak_files_or_sockets(market) -> None:
    poller = _poller(market.url, None)
    cursor = poller.poll(None).cursor
    before = _open_files()
    for _ in range(20):
        market.faults[PRICE_PATH] = [Fault(500), Fault(drip_seconds=0.0, cut_at=5)]
        for _ in range(2):
            with pytest.raises(TransientFailure):
                poller.poll(cursor)
    deadline = time.monotonic() + 5
    while _open_files() > before + 4 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _open_files() <= before + 4


def _open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
