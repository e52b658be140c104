"""Producers and loader together, bounded or for a time, and each of them alone as a long role."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from insight.database import DatabaseEndpoint
from insight.errors import ConfigurationError, InputError
from insight.services import KafkaEndpoint
from streaming.contract import Contract
from streaming.loading.garbage import no_automatic_collection
from streaming.loading.loader import load_streams
from streaming.loading.report import LoadReport
from streaming.metrics import ProducerMeter
from streaming.outages import outages_told
from streaming.polling import (
    SimulationOptions,
    StreamOptions,
    base_urls,
    is_live,
    keyless_end,
    poll_interval,
    refuse_unusable,
    source_of,
)
from streaming.producing.loop import Schedule, produce
from streaming.producing.status import ProducerReport
from streaming.producing.turn import Turn
from streaming.registry import open_registry
from streaming.sources import Source
from streaming.stream_report import StreamOutcome, StreamReport, outcome
from streaming.topics import ensure_topics

__all__ = [
    "SimulationOptions",
    "StreamOptions",
    "StreamOutcome",
    "StreamReport",
    "run_loader",
    "run_producer",
    "stream",
]

_LOOK_SECONDS = 0.02

OnProgress = Callable[[str], None]


def stream(
    database: DatabaseEndpoint,
    kafka: KafkaEndpoint,
    contracts: Sequence[Contract],
    *,
    duration_seconds: float | None,
    live: bool,
    options: StreamOptions,
    on_progress: OnProgress = lambda _text: None,
    stop: threading.Event | None = None,
) -> StreamReport:
    """Produce from every polled source and load what arrives, then drain.

    Without a duration: until the simulated sources have nothing new, or one poll of each live
    one. `stop` ends the producers early; what they delivered is still loaded. A source that
    stops is told in the report, the others go on; so is a stream that another producer is at work
    on. Raises ServiceError when Kafka or Postgres is away, IntegrityError when a stream is halted.
    """
    started = time.monotonic()
    with outages_told(database, kafka):
        contracts = open_registry(database, contracts)
        ensure_topics(kafka, contracts)
        run = _Run(database, kafka, contracts, options, live, duration_seconds, on_progress)
        produced, loaded = run.together(stop or threading.Event())
    seconds = time.monotonic() - started
    report = StreamReport([outcome(each, produced, loaded, seconds) for each in contracts], seconds)
    loaded.raise_if_halted()
    return report


def run_producer(
    stream_name: str,
    database: DatabaseEndpoint,
    kafka: KafkaEndpoint,
    contracts: Sequence[Contract],
    *,
    live: bool,
    options: StreamOptions,
    stop: threading.Event,
    meter: ProducerMeter | None = None,
    on_progress: OnProgress = lambda _text: None,
) -> ProducerReport:
    """Produce one stream until `stop`: the role `insight produce <stream>`.

    Waits while another producer of the stream is at work. Raises InputError for an unknown
    stream, ConfigurationError when its API needs a key or an option makes no sense for it.
    """
    with outages_told(database, kafka):
        contracts = open_registry(database, contracts)
    contract = next((each for each in contracts if each.stream == stream_name), None)
    if contract is None:
        known = ", ".join(each.stream for each in contracts)
        raise InputError(f"there is no stream {stream_name!r}", next_step=f"Known are {known}")
    refuse_unusable(contract, options, live=live)
    with (
        outages_told(database, kafka),
        base_urls([contract], options, live=live, end=False) as urls,
    ):
        keyless = keyless_end(database, contract, options) if live else None
        if keyless:
            raise ConfigurationError(str(keyless.reason), where=f"stream {stream_name}")
        ensure_topics(kafka, [contract])
        source = source_of(contract, urls, options, live=live, paced=True, stop=stop)
        return produce(
            database,
            kafka,
            contract,
            source,
            Schedule(poll_interval(contract, options, live=live)),
            spill_dir=options.spill_dir,
            stop=stop,
            on_delivered=_counter(on_progress, stream_name),
            turn=Turn(waits=True, on_progress=on_progress),
            meter=meter,
        )


def run_loader(
    database: DatabaseEndpoint,
    kafka: KafkaEndpoint,
    contracts: Sequence[Contract],
    *,
    until_caught_up: bool,
    stop: threading.Event,
    options: StreamOptions,
    on_progress: OnProgress = lambda _text: None,
) -> LoadReport:
    """Load all streams until `stop`: the role `insight load-streams`, alone in its process.

    Raises IntegrityError at the end when a stream is halted.
    """
    with outages_told(database, kafka), no_automatic_collection():
        report = load_streams(
            database,
            kafka,
            contracts,
            stop=stop,
            until_caught_up=until_caught_up,
            options=options.loader,
            on_progress=on_progress,
        )
    report.raise_if_halted()
    return report


class _Run:
    """One call of `stream`: a thread for each producer and one for the loader."""

    def __init__(
        self,
        database: DatabaseEndpoint,
        kafka: KafkaEndpoint,
        contracts: Sequence[Contract],
        options: StreamOptions,
        live: bool,
        duration: float | None,
        on_progress: OnProgress,
    ):
        self._database = database
        self._kafka = kafka
        self._contracts = contracts
        self._options = options
        self._live = live
        self._duration = duration
        self._on_progress = on_progress
        self._producers_stop = threading.Event()
        self._drain = threading.Event()

    def together(self, stop: threading.Event) -> tuple[dict[str, ProducerReport], LoadReport]:
        polled = [each for each in self._contracts if each.source is not None]
        bounded = self._duration is None
        with (
            base_urls(self._contracts, self._options, live=self._live, end=bounded) as urls,
            ThreadPoolExecutor(max_workers=len(polled) + 1, thread_name_prefix="stream") as pool,
        ):
            loader = pool.submit(self._load)
            producers = {each.stream: pool.submit(self._produce, each, urls) for each in polled}
            self._wait(list(producers.values()), loader, stop)
            self._drain.set()
            loaded = loader.result()
            return {name: each.result() for name, each in producers.items()}, loaded

    def _wait(
        self,
        producers: list[Future[ProducerReport]],
        loader: Future[LoadReport],
        stop: threading.Event,
    ) -> None:
        """Until all producers have ended: by themselves, at the deadline, or because of `stop`.

        A loader that died ends them too: on the embedded broker they would wait for it.
        """
        deadline = None if self._duration is None else time.monotonic() + self._duration
        while not all(each.done() for each in producers):
            is_over = deadline is not None and time.monotonic() >= deadline
            failed = any(each.done() and each.exception() for each in producers)
            if is_over or failed or loader.done() or stop.is_set():
                self._producers_stop.set()
            time.sleep(_LOOK_SECONDS)

    def _load(self) -> LoadReport:
        return load_streams(
            self._database,
            self._kafka,
            self._contracts,
            drain=self._drain,
            options=self._options.loader,
            on_progress=self._on_progress,
        )

    def _produce(self, contract: Contract, urls: dict[str, str]) -> ProducerReport:
        keyless = keyless_end(self._database, contract, self._options) if self._live else None
        if keyless:
            self._on_progress(f"{contract.stream} is left out: {keyless.reason}")
            return keyless
        return produce(
            self._database,
            self._kafka,
            contract,
            self._source(contract, urls),
            self._schedule(contract),
            spill_dir=self._options.spill_dir,
            stop=self._producers_stop,
            turn=Turn(on_progress=self._on_progress),
        )

    def _source(self, contract: Contract, urls: dict[str, str]) -> Source:
        return source_of(
            contract,
            urls,
            self._options,
            live=self._live,
            paced=self._duration is not None,
            stop=self._producers_stop,
        )

    def _schedule(self, contract: Contract) -> Schedule:
        if self._duration is not None:
            return Schedule(poll_interval(contract, self._options, live=self._live))
        if is_live(contract, live=self._live):
            return Schedule(0.0, polls=1, failed_polls=1)
        return Schedule(0.0, unchanged_polls=2, failed_polls=3)


def _counter(on_progress: OnProgress, stream_name: str) -> Callable[[int], None]:
    total = 0

    def count(events: int) -> None:
        nonlocal total
        total += events
        on_progress(f"{total:,} {'event' if total == 1 else 'events'} of {stream_name} delivered")

    return count
