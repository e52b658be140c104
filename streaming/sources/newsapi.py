"""NewsAPI's everything: articles about money, newest first."""

import re
from datetime import UTC, datetime, timedelta

import msgspec

from streaming.sources.http_poller import BadBody, Pages, Parsed, PolledApi
from streaming.sources.interface import (
    Cursor,
    Event,
    SourceStopped,
    TransientFailure,
    event_id,
    lies_ahead,
)

_QUERY = "bitcoin OR cryptocurrency OR economy OR retail OR technology"
_PAGE_SIZE = 100
_MOST_PAGES = 5

# Articles can appear later than they say they were published; those of the last hour are asked
# for again, and the ones already seen are left out by their id.
_OVERLAP = timedelta(hours=1)

_CRYPTO = re.compile(r"\b(bitcoin|btc|crypto\w*|ethereum|blockchain|stablecoins?)\b", re.IGNORECASE)
_CATEGORIES = (
    ("crypto", _CRYPTO),
    (
        "markets",
        re.compile(
            r"\b(stocks?|markets?|shares|bonds?|traders?|investors?|retail\w*|prices?|earnings|"
            r"sales|economy|inflation|rates?)\b",
            re.IGNORECASE,
        ),
    ),
    (
        "technology",
        re.compile(r"\b(software|chips?|tech\w*|robots?|phones?|cloud|apps?)\b", re.IGNORECASE),
    ),
    (
        "politics",
        re.compile(
            r"\b(elections?|parliament|senate|ministers?|lawmakers|government|vote\w*)\b",
            re.IGNORECASE,
        ),
    ),
)
_STOPPING_CODES = {"apiKeyDisabled", "apiKeyExhausted", "apiKeyInvalid", "apiKeyMissing"}


def _parameters(position: Cursor | None) -> dict[str, str]:
    parameters = {
        "q": _QUERY,
        "language": "en",
        "sortBy": "publishedAt",
        "pageSize": str(_PAGE_SIZE),
    }
    if position:
        since = datetime.fromisoformat(position["newest"]) - _OVERLAP
        parameters["from"] = since.strftime("%Y-%m-%dT%H:%M:%S")
    return parameters


def _parse(body: object, position: Cursor | None, source: str) -> Parsed:
    """Events for the articles not seen before, oldest first."""
    articles = _articles(body)
    seen: dict[str, str] = dict(position["seen"]) if position else {}
    known = set(seen)
    events: dict[str, Event] = {}
    for article in reversed(articles):
        read = _read(article, source)
        # One that says it is from the future is asked for again when its time has come.
        if read is not None and not lies_ahead(read[1]):
            identity, published, event = read
            seen[identity] = published.isoformat()
            if identity not in known:
                events[identity] = event
    return Parsed(list(events.values()), _position(seen, position), _left_out(body, len(articles)))


def _position(seen: dict[str, str], position: Cursor | None) -> Cursor:
    if not seen:
        return position or {"newest": datetime.fromtimestamp(0, UTC).isoformat(), "seen": {}}
    newest = max(datetime.fromisoformat(each) for each in seen.values())
    recent = {
        identity: published
        for identity, published in sorted(seen.items())
        if datetime.fromisoformat(published) >= newest - _OVERLAP
    }
    return {"newest": newest.isoformat(), "seen": recent}


def _newest(position: Cursor) -> datetime:
    return datetime.fromisoformat(position["newest"])


def _articles(body: object) -> list[object]:
    if not isinstance(body, dict):
        raise BadBody("it is not an object")
    if body.get("status") != "ok":
        _raise_error(str(body.get("code")))
    articles = body.get("articles")
    if not isinstance(articles, list):
        raise BadBody("it has no articles")
    return articles


def _total(body: object) -> int:
    total = body.get("totalResults") if isinstance(body, dict) else None
    return total if isinstance(total, int) else 0


def _following_page(body: object, pages: int) -> dict[str, str] | None:
    is_last = len(_articles(body)) < _PAGE_SIZE or pages * _PAGE_SIZE >= _total(body)
    return None if is_last or pages == _MOST_PAGES else {"page": str(pages + 1)}


def _join(bodies: list[object]) -> object:
    articles = [article for body in bodies for article in _articles(body)]
    return {"status": "ok", "totalResults": _total(bodies[0]), "articles": articles}


def _left_out(body: object, told: int) -> str | None:
    """What to tell when the API has more articles than it gave."""
    if told < _PAGE_SIZE or _total(body) <= told:
        return None
    return f"the API has {_total(body):,} articles and gave the newest {told:,}"


def _raise_error(code: str) -> None:
    if code in _STOPPING_CODES:
        raise SourceStopped("stopped_unauthorized", f"error {code}")
    raise TransientFailure(f"error {code}")


def _read(article: object, source: str) -> tuple[str, datetime, Event] | None:
    """(id, time, event) of an article; None for a withdrawn one or one without its main fields."""
    if not isinstance(article, dict) or not isinstance(article.get("source"), dict):
        return None
    headline, url = _text(article.get("title")), _text(article.get("url"))
    publisher = _text(article["source"].get("name"))
    published = _time(article.get("publishedAt"))
    if not headline or not url or not publisher or published is None or headline == "[Removed]":
        return None
    identity = event_id(source, url, published.isoformat())
    description = _text(article.get("description"))
    words = f"{headline} {description or ''}"
    value = {
        "id": identity,
        "source": source,
        "headline": headline[:1000],
        "description": description[:10_000] if description else None,
        "category": _category(words),
        "source_name": publisher[:200],
        # Still too long for the contract, so it goes to quarantine, and short enough for Kafka.
        "url": url[:10_000],
        "published_at": published,
        "word_count": len(words.split()),
        "has_crypto_mention": _CRYPTO.search(words) is not None,
        "event_timestamp": published,
    }
    return identity, published, Event(identity, msgspec.json.encode(value))


def _text(value: object) -> str | None:
    text = value.strip() if isinstance(value, str) else ""
    return text or None


def _time(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(value))
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _category(words: str) -> str:
    return next((name for name, pattern in _CATEGORIES if pattern.search(words)), "general")


API = PolledApi(
    name="newsapi",
    path="/v2/everything",
    key_header="X-Api-Key",
    key_required=True,
    parameters=_parameters,
    parse=_parse,
    newest=_newest,
    pages=Pages(_following_page, _join),
)
