"""The poller against a server that misbehaves."""

import json
import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from pydantic import SecretStr

from streaming.contract import load_contracts
from streaming.messages.codec import Codec
from streaming.producing.grid import Grid
from streaming.simulators.market import START, articles_between
from streaming.simulators.market_api import (
    NEWS_PATH,
    PRICE_PATH,
    Clock,
    Fault,
    MarketApi,
    market_api,
)
from streaming.sources import Poll, SourcePaused, SourceStopped, TransientFailure, event_id
from streaming.sources.coingecko import API as COINGECKO
from streaming.sources.http_poller import (
    BadBody,
    HttpPoller,
    PolledApi,
)
from streaming.sources.newsapi import API as NEWSAPI
from streaming.sources.retries import RetryPolicy, retry_after_seconds

KEY = "a-very-secret-key"
QUICK = RetryPolicy(attempts=4, base=0.5, cap=60, connect=1, read=0.5, total=1.0)


class Waits(list[float]):
    """Remembers how long was to be waited, and does not wait."""

    def __call__(self, seconds: float) -> bool:
        self.append(seconds)
        return False


@pytest.fixture
def market() -> Iterator[MarketApi]:
    with market_api() as running:
        yield running


@pytest.fixture
def waits() -> Waits:
    return Waits()


def _poller(market: MarketApi, waits: Waits, api: PolledApi = COINGECKO) -> HttpPoller:
    return HttpPoller(
        api,
        market.url,
        f"{api.name}_simulator",
        wait=waits,
        key=SecretStr(KEY),
        policy=QUICK,
        use_proxies=False,
    )


def _read_all(poller: HttpPoller, polls: int) -> list[Poll]:
    found: list[Poll] = []
    for _ in range(polls):
        found.append(poller.poll(found[-1].cursor if found else None))
    return found


@pytest.mark.parametrize("api", [COINGECKO, NEWSAPI], ids=lambda each: each.name)
def test_events_of_an_api_keep_their_contract(market, waits, api: PolledApi) -> None:
    contract = next(each for each in load_contracts() if each.source == api.name)
    events = [event for poll in _read_all(_poller(market, waits, api), 20) for event in poll.events]
    assert len(events) >= 15
    for event in events:
        Codec(contract).copy_line(event.value)


@pytest.mark.parametrize("api", [COINGECKO, NEWSAPI], ids=lambda each: each.name)
def test_same_cursor_gives_the_same_events(market, waits, api: PolledApi) -> None:
    poller = _poller(market, waits, api)
    polls = _read_all(poller, 12)
    saved = json.loads(json.dumps(polls[5].cursor))
    assert _poller(market, waits, api).poll(saved) == polls[6]


def test_no_article_is_told_twice_or_left_out(market, waits) -> None:
    polls = _read_all(_poller(market, waits, NEWSAPI), 96)
    ids = [event.key for poll in polls for event in poll.events]
    assert len(ids) == len(set(ids)) >= 100


def test_end_of_time_is_unchanged(market, waits) -> None:
    polls = _read_all(_poller(market, waits), 578)
    assert sum(len(poll.events) for poll in polls) == 576
    assert polls[-1] == polls[-2] == Poll([], polls[-3].cursor)


def test_price_that_did_not_change_is_no_event(market, waits) -> None:
    poller = _poller(market, waits)
    first = poller.poll(None)
    assert poller.poll({**first.cursor, "etag": None}).events == []


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_passing_failures_are_tried_again_with_jitter(market, waits, status: int) -> None:
    market.faults[PRICE_PATH] = [Fault(status), Fault(status), Fault(status)]
    assert len(_poller(market, waits).poll(None).events) == 1
    assert len(market.requests) == 4
    assert all(0 <= each <= limit for each, limit in zip(waits, (0.5, 1, 2), strict=True))


def test_attempts_are_bounded(market, waits) -> None:
    market.faults[PRICE_PATH] = [Fault(500)] * 10
    with pytest.raises(TransientFailure, match="status 500"):
        _poller(market, waits).poll(None)
    assert len(market.requests) == QUICK.attempts


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (400, "stopped_bad_request"),
        (401, "stopped_unauthorized"),
        (403, "stopped_forbidden"),
        (404, "stopped_not_found"),
        (302, "stopped_by_status"),
        (426, "stopped_by_status"),
    ],
)
def test_lasting_failures_stop_at_once(market, waits, status: int, state: str) -> None:
    market.faults[PRICE_PATH] = [Fault(status, {"Location": market.url + "/elsewhere"})]
    with pytest.raises(SourceStopped) as stopped:
        _poller(market, waits).poll(None)
    assert stopped.value.state == state
    assert len(market.requests) == 1


def test_retry_after_in_seconds_is_kept(market, waits) -> None:
    market.faults[PRICE_PATH] = [Fault(429, {"Retry-After": "7"})]
    _poller(market, waits).poll(None)
    assert 7 <= waits[0] <= 8


def test_retry_after_as_a_date_is_kept(market, waits) -> None:
    later = datetime.now(UTC) + timedelta(seconds=30)
    market.faults[PRICE_PATH] = [Fault(503, {"Retry-After": format_datetime(later, usegmt=True)})]
    _poller(market, waits).poll(None)
    assert 25 <= waits[0] <= 31


@pytest.mark.parametrize("value", ["0", "-5", "soon", "Mon, 01 Jan 2001 00:00:00 GMT"])
def test_useless_retry_after_backs_off_instead(market, waits, value: str) -> None:
    market.faults[PRICE_PATH] = [Fault(429, {"Retry-After": value})] * 3
    _poller(market, waits).poll(None)
    assert all(0 <= each <= limit for each, limit in zip(waits, (0.5, 1, 2), strict=True))
    assert sum(waits) > 0


def test_retry_after_beyond_the_cap_pauses(market, waits) -> None:
    market.faults[PRICE_PATH] = [Fault(429, {"Retry-After": "86400"})]
    with pytest.raises(SourcePaused) as paused:
        _poller(market, waits).poll(None)
    assert paused.value.seconds == 86_400
    assert len(market.requests) == 1


BAD_BODIES = {
    "cut off": Fault(cut_at=20),
    "html": Fault(body=b"<html>Just a moment</html>"),
    "empty": Fault(body=b""),
    "invalid utf-8": Fault(body=b'{"bitcoin": "\xff"}'),
    "null": Fault(body=b"null"),
    "list": Fault(body=b"[]"),
    "error": Fault(body=b'{"status": {"error_code": 429, "error_message": "rate"}}'),
    "no price": Fault(body=b'{"bitcoin": {"last_updated_at": 1577664000}}'),
    "price as text": Fault(body=b'{"bitcoin": {"usd": "1", "last_updated_at": 1577664000}}'),
    "nan": Fault(body=b'{"bitcoin": {"usd": NaN, "last_updated_at": 1577664000}}'),
    "absurd time": Fault(body=b'{"bitcoin": {"usd": 1, "last_updated_at": 1e300}}'),
    "deep": Fault(body=b"[" * 100_000),
}


@pytest.mark.parametrize("fault", BAD_BODIES.values(), ids=BAD_BODIES)
def test_bad_body_under_status_200_is_an_error(market, waits, fault: Fault) -> None:
    market.faults[PRICE_PATH] = [fault]
    assert len(_poller(market, waits).poll(None).events) == 1
    assert len(waits) == 1


def test_news_error_under_status_200_is_tried_again_or_stops(market, waits) -> None:
    market.faults[NEWS_PATH] = [
        Fault(body=b'{"status": "error", "code": "rateLimited"}'),
        Fault(body=b'{"status": "error", "code": "apiKeyInvalid"}'),
    ]
    with pytest.raises(SourceStopped, match="apiKeyInvalid"):
        _poller(market, waits, NEWSAPI).poll(None)
    assert len(waits) == 1


def test_slow_drip_does_not_hold_the_poller(market, waits) -> None:
    market.faults[PRICE_PATH] = [Fault(drip_seconds=0.2)]
    assert len(_poller(market, waits).poll(None).events) == 1
    assert len(waits) == 1


def test_server_that_is_not_there_is_a_passing_failure(waits) -> None:
    with pytest.raises(TransientFailure):
        _poller(MarketApi("http://127.0.0.1:9"), waits).poll(None)
    assert len(waits) == QUICK.attempts - 1


def test_withdrawn_and_incomplete_articles_are_left_out(market, waits) -> None:
    article = {
        "source": {"id": None, "name": "Reuters"},
        "title": "Bitcoin rises",
        "url": "https://news.example/1",
        "publishedAt": "2019-12-30T01:00:00Z",
        "description": None,
    }
    broken = [
        {**article, "title": "[Removed]"},
        {**article, "url": None},
        {**article, "publishedAt": "yesterday"},
        {**article, "source": None},
        None,
        17,
    ]
    body = json.dumps({"status": "ok", "totalResults": 7, "articles": [*broken, article]})
    market.faults[NEWS_PATH] = [Fault(body=body.encode())]
    (event,) = _poller(market, waits, NEWSAPI).poll(None).events
    value = json.loads(event.value)
    assert (value["word_count"], value["has_crypto_mention"], value["category"]) == (
        2,
        True,
        "crypto",
    )


def test_key_is_sent_as_a_header_and_told_nowhere(market, waits, caplog) -> None:
    market.faults[NEWS_PATH] = [Fault(500), Fault(401)]
    with caplog.at_level(logging.DEBUG), pytest.raises(SourceStopped) as stopped:
        _poller(market, waits, NEWSAPI).poll(None)
    assert all(headers["X-Api-Key"] == KEY for _, headers in market.requests)
    assert all(KEY not in path for path, _ in market.requests)
    assert KEY not in caplog.text
    assert KEY not in repr(stopped.value.__context__) + repr(stopped.value)


def test_event_id_depends_on_each_part() -> None:
    ids = {event_id("a", "b", "c"), event_id("a", "bc", ""), event_id("ab", "", "c")}
    assert len(ids) == 3
    assert event_id("a", "b", "c") == event_id("a", "b", "c")


def test_retry_after_is_read_in_both_forms() -> None:
    now = datetime(2020, 1, 1, tzinfo=UTC)
    assert retry_after_seconds("120", now) == 120
    assert retry_after_seconds("Wed, 01 Jan 2020 00:02:00 GMT", now) == 120
    assert retry_after_seconds("Tue, 31 Dec 2019 23:59:00 GMT", now) == -60
    assert retry_after_seconds("9" * 26, now) == 86_400
    assert retry_after_seconds("Wed, 01 Jan 2999 00:00:00 GMT", now) == 86_400
    assert retry_after_seconds("1.5", now) is None
    assert retry_after_seconds(None, now) is None


def test_grid_skips_ticks_that_a_long_poll_missed() -> None:
    clock = [0.0]
    grid = Grid(10, lambda: clock[0])
    clock[0] = 4
    assert grid.seconds_to_next() == 6
    clock[0] = 45
    assert grid.seconds_to_next() == 5
    clock[0] = 50
    assert grid.seconds_to_next() == 10
    assert grid.missed == 3


def _first_news(waits: Waits, days: int, faults: list[Fault]) -> Poll:
    with market_api(clock=Clock(news_step=days * 86_400, end=None)) as market:
        market.faults[NEWS_PATH] = faults
        return _poller(market, waits, NEWSAPI).poll(None)


def test_all_pages_of_an_answer_are_read(waits) -> None:
    first = int(START.timestamp())
    expected = articles_between(2019, first, first + 4 * 86_400)
    poll = _first_news(waits, 4, [])
    assert len({event.key for event in poll.events}) == len(expected) > 200
    assert poll.note is None


def test_articles_beyond_the_last_page_are_told(waits) -> None:
    poll = _first_news(waits, 12, [])
    assert len(poll.events) == 500
    assert poll.note is not None
    assert "gave the newest 500" in poll.note


def test_plan_that_ends_at_the_first_page_is_told(waits) -> None:
    poll = _first_news(waits, 4, [Fault(), Fault(426)])
    assert len(poll.events) == 100
    assert poll.note is not None
    assert "gave the newest 100" in poll.note


def test_page_that_fails_for_a_moment_is_read_again(waits) -> None:
    poll = _first_news(waits, 4, [Fault(), Fault(500)])
    assert (len(waits), poll.note) == (1, None)
    assert len(poll.events) > 200


def test_price_from_the_future_is_a_bad_body_and_moves_no_cursor() -> None:
    tomorrow = int(time.time()) + 86_400
    answer = {"bitcoin": {"usd": 7000, "last_updated_at": tomorrow}}
    with pytest.raises(BadBody, match="future"):
        COINGECKO.parse(answer, None, "coingecko")


@pytest.mark.parametrize(
    "published",
    ["2999-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"],
)
def test_article_from_an_impossible_time_moves_no_cursor(published: str) -> None:
    articles = [_article("2019-12-30T00:00:00Z"), _article(published)]
    answer = {"status": "ok", "totalResults": 2, "articles": articles}
    parsed = NEWSAPI.parse(answer, None, "newsapi")
    assert len(parsed.events) == 1
    assert parsed.position["newest"].startswith("2019-12-30")


def _article(published: str) -> dict[str, object]:
    return {
        "source": {"name": "Reuters"},
        "title": "Markets are calm",
        "url": f"https://news.example/{published}",
        "publishedAt": published,
    }
