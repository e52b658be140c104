"""The invented market and the server that tells it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import requests

from streaming.contract import load_contracts
from streaming.polling import StreamOptions, poll_interval
from streaming.simulators.market import END, START, Prices, articles_between
from streaming.simulators.market_api import NEWS_PATH, PRICE_PATH, Clock, market_api

FIRST, LAST = int(START.timestamp()), int(END.timestamp())


def test_market_is_a_function_of_time_and_seed() -> None:
    times = range(FIRST, LAST, 300)
    one, other = Prices(1), Prices(1)
    assert [one.at(each) for each in times] == [other.at(each) for each in reversed(times)][::-1]
    assert one.at(FIRST) != Prices(2).at(FIRST)
    assert articles_between(1, FIRST, LAST) == articles_between(1, FIRST, LAST)
    assert articles_between(1, FIRST, LAST) != articles_between(2, FIRST, LAST)


def test_prices_have_calm_and_wild_days() -> None:
    prices = Prices(2019)
    changes = [abs(prices.at(each)[1]) for each in range(FIRST, LAST, 300)]
    assert sum(each >= 5 for each in changes) >= 5
    assert sum(2 <= each < 5 for each in changes) >= 50
    assert sum(each < 2 for each in changes) >= 50


def test_change_is_the_change_over_a_day() -> None:
    prices = Prices(2019)
    now = FIRST + 86_400
    assert prices.at(now)[1] == round((prices.at(now)[0] / prices.at(FIRST)[0] - 1) * 100, 4) or (
        abs(prices.at(now)[1] - (prices.at(now)[0] / prices.at(FIRST)[0] - 1) * 100) < 0.001
    )


def test_news_come_from_many_publishers_on_many_subjects() -> None:
    articles = articles_between(2019, FIRST, LAST)
    assert 100 <= len(articles) <= 200
    assert len({each.publisher for each in articles}) >= 6
    assert len({each.url for each in articles}) == len(articles)
    assert any(each.description is None for each in articles)
    assert 20 <= sum("itcoin" in each.title or "rypto" in each.title for each in articles) <= 100


def test_windows_of_news_join_without_gap_or_overlap() -> None:
    whole = articles_between(2019, FIRST, LAST)
    middle = FIRST + 12_345
    assert articles_between(2019, FIRST, middle) + articles_between(2019, middle, LAST) == whole


def test_answer_depends_on_what_the_client_has_seen() -> None:
    with market_api() as market:
        first = requests.get(market.url + PRICE_PATH, timeout=5)
        again = requests.get(market.url + PRICE_PATH, timeout=5)
        seen = {"If-None-Match": first.headers["ETag"]}
        following = requests.get(market.url + PRICE_PATH, headers=seen, timeout=5)
    assert first.json() == again.json()
    assert first.json()["bitcoin"]["last_updated_at"] == FIRST
    assert following.json()["bitcoin"]["last_updated_at"] == FIRST + 300


def test_time_ends_with_not_modified() -> None:
    key = {"X-Api-Key": "any"}
    with market_api(clock=Clock(end=START + timedelta(hours=1))) as market:
        for path, last in ((PRICE_PATH, FIRST + 3300), (NEWS_PATH, FIRST + 3600)):
            seen = {**key, "If-None-Match": f'"{last}"'}
            answer = requests.get(market.url + path, headers=seen, timeout=5)
            assert answer.status_code == 304


def test_news_are_told_newest_first_since_a_time() -> None:
    since = datetime(2019, 12, 30, 6, tzinfo=UTC)
    with market_api() as market:
        headers = {"X-Api-Key": "any", "If-None-Match": f'"{LAST - 1800}"'}
        answer = requests.get(
            market.url + NEWS_PATH,
            params={"from": since.strftime("%Y-%m-%dT%H:%M:%S")},
            headers=headers,
            timeout=5,
        ).json()
    times = [each["publishedAt"] for each in answer["articles"]]
    assert answer["status"] == "ok"
    assert times == sorted(times, reverse=True)
    assert min(times) >= "2019-12-30T06:00:00Z"
    assert answer["totalResults"] >= len(times) == 100 or answer["totalResults"] == len(times)


def test_simulated_time_never_passes_the_real_time() -> None:
    real = [FIRST + 400.0]
    with market_api(clock=Clock(end=None, now=lambda: real[0])) as market:

        def status(path: str, seen: int) -> int:
            headers = {"X-Api-Key": "any", "If-None-Match": f'"{seen}"'}
            return requests.get(market.url + path, headers=headers, timeout=5).status_code

        assert (status(PRICE_PATH, FIRST), status(PRICE_PATH, FIRST + 300)) == (200, 304)
        assert status(NEWS_PATH, FIRST) == 304
        real[0] = FIRST + 1800
        assert (status(PRICE_PATH, FIRST + 300), status(NEWS_PATH, FIRST)) == (200, 200)


def test_speed_has_one_meaning_for_all_streams(tmp_path: Path) -> None:
    for speed in (600.0, 60.0):
        options = StreamOptions(tmp_path, simulation_speed=speed)
        found = {each.stream: poll_interval(each, options, live=False) for each in load_contracts()}
        assert found["bitcoin-prices"] == 300 / speed
        assert found["news-events"] == 1800 / speed


def test_server_of_a_long_role_forgets_old_requests() -> None:
    with market_api() as market, requests.Session() as session:
        for number in range(130):
            session.get(f"{market.url}/{number}", timeout=5)
        assert len(market.requests) == 100
        assert market.requests[-1][0] == "/129"
