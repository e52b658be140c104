"""The sources of the streams: which address, which key, how often, and how much is simulated."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from math import isfinite
from pathlib import Path

from pydantic import SecretStr

from insight.database import DatabaseEndpoint
from insight.errors import ConfigurationError
from insight.settings import Settings
from streaming.contract import Contract
from streaming.loading.options import LoaderOptions
from streaming.producing.loop import tell_end
from streaming.producing.status import ProducerReport
from streaming.simulators.market_api import Clock, market_api
from streaming.sources import Source
from streaming.sources.bad_answers import BadAnswers
from streaming.sources.catalogue import origin_of
from streaming.sources.http_poller import HttpPoller, PolledApi
from streaming.sources.misbehaving import MisbehavingSource, Misbehaviour
from streaming.sources.request_budget import RequestBudget
from streaming.sources.retries import RetryPolicy
from streaming.sources.simulated import SimulatedSource, Simulation, Volume

SEED = 2019

_MOST_EVENTS_A_MINUTE = 1_000_000


@dataclass(frozen=True)
class SimulationOptions:
    """What a person asks of a simulation; None is the usual.

    `rate` is mean events a real second, `speed` simulated seconds a real second, `duplicates` and
    `bad` are shares of the events.
    """

    rate: float | None = None
    speed: float | None = None
    seed: int | None = None
    duplicates: float = 0.0
    bad: float = 0.0

    def asked(self) -> list[str]:
        """The options that were asked for, as they are written on the command line."""
        return [
            f"--{each.name}" for each in fields(self) if getattr(self, each.name) != each.default
        ]


@dataclass(frozen=True)
class StreamOptions:
    """Where the live APIs are, and how fast simulated time passes (seconds a second).

    Answers of an API that cannot be used are kept in `bad_answers_dir`, if there is one.
    """

    spill_dir: Path
    bad_answers_dir: Path | None = None
    coingecko_url: str = "https://api.coingecko.com"
    newsapi_url: str = "https://newsapi.org"
    newsapi_key: SecretStr | None = None
    simulation_speed: float = 600.0
    simulation: SimulationOptions = field(default_factory=SimulationOptions)
    clock: Clock = field(default_factory=Clock)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    loader: LoaderOptions = field(default_factory=LoaderOptions)

    @classmethod
    def from_settings(cls, settings: Settings) -> "StreamOptions":
        """The options that a person can set, from the environment's settings."""
        return cls(
            spill_dir=settings.home / "spill",
            bad_answers_dir=settings.home / "bad_answers",
            coingecko_url=settings.coingecko_url,
            newsapi_url=settings.newsapi_url,
            newsapi_key=settings.newsapi_key,
            simulation_speed=settings.simulation_speed,
        )

    @property
    def speed(self) -> float:
        return self.simulation.speed or self.simulation_speed

    @property
    def volume(self) -> Volume:
        return Volume(self.speed, self.simulation.rate)

    @property
    def seed(self) -> int:
        return SEED if self.simulation.seed is None else self.simulation.seed

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
    apis = {api.name for each in contracts if (api := _api(each)) is not None}
    if live or not apis:
        yield {api: options.live_url(api) for api in apis}
        return
    clock = options.clock if end else replace(options.clock, end=None)
    with market_api(options.seed, clock) as market:
        yield dict.fromkeys(apis, market.url)


def source_of(
    contract: Contract,
    urls: dict[str, str],
    options: StreamOptions,
    *,
    live: bool,
    paced: bool,
    stop: threading.Event,
) -> Source:
    """The source of a contract; simulated time passes at its speed only when it is `paced`."""
    origin = origin_of(contract)
    source: Source
    if isinstance(origin, Simulation):
        source = SimulatedSource(
            origin, contract.stream, options.volume, seed=options.seed, paced=paced
        )
    else:
        source = _poller(contract, origin, urls, options, live=live, stop=stop)
    misbehaviour = Misbehaviour(options.simulation.duplicates, options.simulation.bad)
    return MisbehavingSource(source, contract, misbehaviour) if misbehaviour else source


def _poller(
    contract: Contract,
    api: PolledApi,
    urls: dict[str, str],
    options: StreamOptions,
    *,
    live: bool,
    stop: threading.Event,
) -> HttpPoller:
    kept = options.bad_answers_dir
    interval = contract.poll_interval_seconds
    return HttpPoller(
        api,
        urls[api.name],
        api.name if live else f"{api.name}_simulator",
        wait=stop.wait,
        key=options.key(api.name) if live else SecretStr("simulator"),
        policy=options.retry,
        # A proxy of the environment cannot reach this machine's loopback address.
        use_proxies=live,
        bad_answers=BadAnswers(kept / contract.stream) if kept else None,
        budget=RequestBudget.for_interval(interval) if live and interval else None,
    )


def poll_interval(contract: Contract, options: StreamOptions, *, live: bool) -> float:
    """Real seconds between two polls: what was promised to the API, or a simulated step."""
    origin = origin_of(contract)
    if isinstance(origin, Simulation):
        return options.volume.tick_seconds(origin.streams[contract.stream])
    if live:
        return contract.poll_interval_seconds or 60.0
    return options.clock.step(origin.path) / options.speed


def is_live(contract: Contract, *, live: bool) -> bool:
    """Whether a stream comes from outside under `--live`: there is no live shop or bank."""
    return live and _api(contract) is not None


def refuse_unusable(contract: Contract, options: StreamOptions, *, live: bool) -> None:
    """Raises ConfigurationError for options that the source of a contract can do nothing with."""
    api = _api(contract)
    if api is None:
        _refuse_too_much(contract, options.volume)
        return
    asked = options.simulation.asked()
    unusable = asked if live else [each for each in asked if each == "--rate"]
    if unusable:
        kind = "a live API" if live else "a polled API, told only when it is asked"
        raise ConfigurationError(
            f"{', '.join(unusable)} cannot be used: {api.name} is {kind}",
            where=f"stream {contract.stream}",
        )


def _refuse_too_much(contract: Contract, volume: Volume) -> None:
    """A simulated minute is held in memory."""
    if not isfinite(volume.speed) or not isfinite(volume.rate or 0.0):
        raise ConfigurationError("--rate and --speed are numbers", where=contract.stream)
    if volume.rate is not None and volume.rate / volume.speed * 60 > _MOST_EVENTS_A_MINUTE:
        raise ConfigurationError(
            f"more than {_MOST_EVENTS_A_MINUTE:,} events in a simulated minute",
            where=f"stream {contract.stream}",
            next_step="Give a lower --rate or a higher --speed",
        )


def keyless_end(
    database: DatabaseEndpoint, contract: Contract, options: StreamOptions
) -> ProducerReport | None:
    """The end of a producer that lacks its key, also shown in the database; None when it has it."""
    api = _api(contract)
    if api is None or not api.key_required or options.key(api.name):
        return None
    reason = f"{api.name} needs a key, set INSIGHT_{api.name.upper()}_KEY"
    report = ProducerReport(contract.stream, api.name, state="missing_key", reason=reason)
    tell_end(database, report)
    return report


def _api(contract: Contract) -> PolledApi | None:
    origin = None if contract.source is None else origin_of(contract)
    return origin if isinstance(origin, PolledApi) else None
