"""The pollers of the streams: which address, which name, which key and how often."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import SecretStr

from insight.database import DatabaseEndpoint
from insight.settings import Settings
from streaming.contract import Contract
from streaming.loading.loader import LoaderOptions
from streaming.producing.loop import tell_end
from streaming.producing.status import ProducerReport
from streaming.simulators.market_api import Clock, market_api
from streaming.sources.catalogue import polled_api
from streaming.sources.http_poller import HttpPoller, RetryPolicy


@dataclass(frozen=True)
class StreamOptions:
    """Where the live APIs are, and how fast simulated time passes (seconds a second)."""

    spill_dir: Path
    coingecko_url: str = "https://api.coingecko.com"
    newsapi_url: str = "https://newsapi.org"
    newsapi_key: SecretStr | None = None
    simulation_speed: float = 600.0
    clock: Clock = field(default_factory=Clock)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    loader: LoaderOptions = field(default_factory=LoaderOptions)

    @classmethod
    def from_settings(cls, settings: Settings) -> "StreamOptions":
        """The options that a person can set, from the environment's settings."""
        return cls(
            spill_dir=settings.home / "spill",
            coingecko_url=settings.coingecko_url,
            newsapi_url=settings.newsapi_url,
            newsapi_key=settings.newsapi_key,
            simulation_speed=settings.simulation_speed,
        )

    def live_url(self, api: str) -> str:
        return str(getattr(self, f"{api}_url"))

    def key(self, api: str) -> SecretStr | None:
        key = getattr(self, f"{api}_key", None)
        return key if isinstance(key, SecretStr) else None


@contextmanager
def base_urls(
    contracts: Sequence[Contract], options: StreamOptions, *, live: bool, end: bool
) -> Iterator[dict[str, str]]:
    """The base URL of each API: the real one, or that of a simulator that runs for the block."""
    apis = {each.source for each in contracts if each.source is not None}
    if live:
        yield {api: options.live_url(api) for api in apis}
        return
    clock = options.clock if end else replace(options.clock, end=None)
    with market_api(clock=clock) as market:
        yield dict.fromkeys(apis, market.url)


def polled_source(
    contract: Contract,
    urls: dict[str, str],
    options: StreamOptions,
    *,
    live: bool,
    stop: threading.Event,
) -> HttpPoller:
    api = polled_api(contract)
    return HttpPoller(
        api,
        urls[api.name],
        api.name if live else f"{api.name}_simulator",
        wait=stop.wait,
        key=options.key(api.name) if live else SecretStr("simulator"),
        policy=options.retry,
        # A proxy of the environment cannot reach this machine's loopback address.
        use_proxies=live,
    )


def poll_interval(contract: Contract, options: StreamOptions, *, live: bool) -> float:
    """Real seconds between two polls: what was promised to the API, or a simulated step."""
    if live:
        return contract.poll_interval_seconds or 60.0
    return options.clock.step(polled_api(contract).path) / options.simulation_speed


def keyless_end(
    database: DatabaseEndpoint, contract: Contract, options: StreamOptions
) -> ProducerReport | None:
    """The end of a producer that lacks its key, also shown in the database; None when it has it."""
    api = polled_api(contract)
    if not api.key_required or options.key(api.name):
        return None
    reason = f"{api.name} needs a key, set INSIGHT_{api.name.upper()}_KEY"
    report = ProducerReport(contract.stream, api.name, state="missing_key", reason=reason)
    tell_end(database, report)
    return report
