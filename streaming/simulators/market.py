"""An invented market: the price of a coin and the news, as functions of time and a seed.

Prices follow a random walk whose volatility comes in clusters (GARCH(1,1), Bollerslev 1986).
"""

import math
import random
import threading
from array import array
from dataclasses import dataclass
from datetime import UTC, datetime

START = datetime(2019, 12, 30, tzinfo=UTC)
END = datetime(2020, 1, 1, tzinfo=UTC)

_MINUTE = 60
_DAY_MINUTES = 1440
_WARM_UP_MINUTES = 2 * _DAY_MINUTES

_FIRST_PRICE = 7300.0
# Variance of a minute's return; the three add up to a daily volatility of about 4 %.
_BASE_VARIANCE = 2.2e-8
_SHOCK = 0.06
_PERSISTENCE = 0.92
_PULL_TO_FIRST_PRICE = 2e-5


class Prices:
    """Price of the coin in dollars for each simulated minute from the warm-up before START on."""

    def __init__(self, seed: int):
        self._random = random.Random(f"prices:{seed}")
        # A role at work for days makes millions of minutes.
        self._logs = array("d", [math.log(_FIRST_PRICE)])
        self._variance = 1e-6
        self._lock = threading.Lock()

    def at(self, second: int) -> tuple[float, float]:
        """(price in dollars, change over 24 hours in percent) at a time in epoch seconds."""
        minute = (second - int(START.timestamp())) // _MINUTE + _WARM_UP_MINUTES
        now, before = self._log(minute), self._log(minute - _DAY_MINUTES)
        return round(math.exp(now), 2), round((math.exp(now - before) - 1) * 100, 4)

    def _log(self, minute: int) -> float:
        with self._lock:
            while len(self._logs) <= minute:
                self._logs.append(self._next())
        return self._logs[minute]

    def _next(self) -> float:
        shock = self._random.gauss(0, 1) * math.sqrt(self._variance)
        self._variance = _BASE_VARIANCE + _SHOCK * shock**2 + _PERSISTENCE * self._variance
        distance = math.log(_FIRST_PRICE) - self._logs[-1]
        return self._logs[-1] + shock + _PULL_TO_FIRST_PRICE * distance


@dataclass(frozen=True)
class Article:
    """An invented article; `published` in epoch seconds."""

    published: int
    publisher: str
    title: str
    description: str | None
    url: str


_SLOT_SECONDS = 1200

_PUBLISHERS = (
    ("Reuters", "reuters"),
    ("Associated Press", "ap"),
    ("BBC News", "bbc"),
    ("CNN", "cnn"),
    ("Bloomberg", "bloomberg"),
    ("The Daily Ledger", "daily-ledger"),
    ("Harbour Times", "harbour-times"),
    ("Fox News", "fox"),
)

_TITLES = (
    "Bitcoin {moves} as {crowd} wait for {event}",
    "Bitcoin {moves}",
    "Why crypto exchanges {plan} before {event}",
    "Blockchain start-up plans to {plan} after a quiet quarter",
    "Stock market {moves} as {crowd} look to {event}",
    "Retail index {moves} in the last week of the year",
    "Economy {moves}, survey of {crowd} says",
    "Shops {plan} ahead of {event}",
    "Chip makers {plan} after {event}",
    "Cloud software firms {plan}",
    "Lawmakers debate {event}",
    "Ministers promise to {plan} after {event}",
    "{crowd_title} {plan} despite {event}",
    "Winter storm slows deliveries on the coast",
    "Rail strike ends",
)
_WORDS = {
    "moves": ("slips", "steadies", "climbs", "jumps", "falls back", "ends the day flat", "rallies"),
    "crowd": ("traders", "investors", "shoppers", "households", "analysts", "retailers"),
    "event": (
        "the rate decision",
        "new trade talks",
        "the holiday sales figures",
        "a vote in parliament",
        "the year-end close",
        "fresh inflation data",
    ),
    "plan": (
        "cut costs",
        "hire more staff",
        "delay a launch",
        "lower their prices",
        "raise new money",
        "open more branches",
    ),
}
_SENTENCES = (
    "Volumes stayed thin, people with knowledge of the matter said.",
    "It was the third such move in a month.",
    "A spokesperson declined to comment.",
    "Figures are due on Thursday.",
    "The mood was cautious ahead of the new year.",
)


def articles_between(seed: int, first: int, last: int) -> list[Article]:
    """Articles published at or after `first` and before `last` (epoch seconds), oldest first."""
    slots = range(first // _SLOT_SECONDS, last // _SLOT_SECONDS + 1)
    articles = [article for slot in slots for article in _articles_of_slot(seed, slot)]
    return [article for article in articles if first <= article.published < last]


def _articles_of_slot(seed: int, slot: int) -> list[Article]:
    rng = random.Random(f"news:{seed}:{slot}")
    hour = (slot * _SLOT_SECONDS // 3600) % 24
    # Newsrooms write by day: on average 1.4 articles a slot then, 0.5 at night.
    weights = (20, 35, 30, 15) if 6 <= hour < 22 else (60, 30, 10, 0)
    count = rng.choices(range(4), weights)[0]
    seconds = sorted(rng.sample(range(_SLOT_SECONDS), count))
    return [_article(rng, slot * _SLOT_SECONDS + second) for second in seconds]


def _article(rng: random.Random, published: int) -> Article:
    publisher, site = rng.choice(_PUBLISHERS)
    words = {name: rng.choice(choices) for name, choices in _WORDS.items()}
    title = rng.choice(_TITLES).format(crowd_title=words["crowd"].capitalize(), **words)
    sentences = rng.sample(_SENTENCES, rng.randint(0, 3))
    path = "-".join(title.lower().replace(",", "").split()[:6])
    return Article(
        published=published,
        publisher=publisher,
        title=title,
        description=" ".join(sentences) or None,
        url=f"https://{site}.example/{published}/{path}",
    )
