"""The role `insight api` and the baseline in turn, each in a process of its own, under one load."""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from redis import Redis

from benchmarks import machine, readme
from benchmarks.api.changes import changes
from benchmarks.api.plan import CUSTOMERS, Options
from benchmarks.target import Target, verdicts
from insight.database import DatabaseEndpoint, connect
from insight.services import RedisEndpoint, open_services
from insight.settings import load_settings
from segmentation.runtime.cache import rebuild
from segmentation.runtime.run import prepare
from serving.access.keys import new_key, store_key
from serving.access.permissions import Role
from serving.access.server_secret import load_secret
from serving.access.tables import create_tables
from serving.segment_lookup import lookup_key, publish_segments
from streaming.contract import load_contracts
from streaming.registry import open_registry

_READS = 20_000
_OURS = (str(Path(sys.executable).with_name("insight")), "api", "--port", "0")
_BARE = (sys.executable, "-m", "benchmarks.api.bare")


@dataclass(frozen=True)
class Measured:
    """One run: what the generator saw, and the CPU that the server took."""

    figures: dict[str, float]
    cpu_share: float
    cpu_us: float
    heard: dict[str, float] | None = None


@dataclass(frozen=True)
class Results:
    """All runs of all sides, the reads from Redis alone in ms, and how busy the machine was."""

    ours: tuple[Measured, ...]
    listened: tuple[Measured, ...]
    bare: tuple[Measured, ...]
    read_p50_ms: float
    read_p99_ms: float
    load_average: float


def run(options: Options) -> Results:
    """Measure on services of its own, which are gone afterwards."""
    busy = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="insight-bench-", dir="/tmp") as name:
        folder = Path(name)
        # As root the server runs as another account, which must be able to enter its home.
        folder.chmod(0o755)
        settings = load_settings().model_copy(update={"home": folder / "home"})
        environment = {**os.environ, "INSIGHT_HOME": str(settings.home)}
        with open_services(settings) as services:
            token = _prepare(services.database, services.redis, settings.home)
            ours, listened, bare = [], [], []
            for _ in range(options.rounds):
                ours.append(_measure(_OURS, environment, token, options))
                with changes(services.database, services.redis):
                    listened.append(
                        _measure(_OURS, environment, token, options, sockets=options.sockets)
                    )
                bare.append(_measure(_BARE, environment, token, options))
            reads = sorted(asyncio.run(_read_times(services.redis)))
    return Results(
        tuple(ours),
        tuple(listened),
        tuple(bare),
        reads[len(reads) // 2],
        reads[int(len(reads) * 0.99)],
        busy,
    )


def _prepare(database: DatabaseEndpoint, redis: RedisEndpoint, home: Path) -> str:
    """A mart of customers, their lookups, and a key without a limit that matters."""
    open_registry(database, load_contracts())
    create_tables(database)
    key = new_key(
        load_secret(home),
        role=Role.analyst,
        name="benchmark",
        created_by="benchmark",
        requests_per_minute=10_000_000,
    )
    with connect(database) as connection:
        store_key(connection, key)
        connection.execute("create schema marts")
        connection.execute(
            """create table marts.fct_customer_segments as
               select lpad(n::text, 6, '0') as customer_id, n %% 5 as segment_id,
                   'Champions (VIPs)' as segment_name, now() as updated_at
               from generate_series(0, %s - 1) as n""",
            (CUSTOMERS,),
        )
        connection.execute("alter table marts.fct_customer_segments add primary key (customer_id)")
    publish_segments(database, redis)
    _prepare_rules(database, redis)
    return key.token


def _prepare_rules(database: DatabaseEndpoint, redis: RedisEndpoint) -> None:
    """Every customer in a segment by rule."""
    prepare(database, load_contracts())
    url = redis.url.get_secret_value()
    with connect(database, autocommit=True) as connection, Redis.from_url(url) as client:
        connection.execute(
            "insert into segmentation.pipelines (segment, version, as_of)"
            " values ('spenders', 1, now())"
        )
        connection.execute(
            """insert into segmentation.current_members (segment, customer_id)
               select 'spenders', lpad(n::text, 6, '0') from generate_series(0, %s - 1) as n""",
            (CUSTOMERS,),
        )
        rebuild(connection, client)


def _measure(
    command: Sequence[str],
    environment: dict[str, str],
    token: str,
    options: Options,
    *,
    sockets: int = 0,
) -> Measured:
    heard: dict[str, float] = {}
    with (
        _server(command, environment) as (address, pid),
        _listeners(address, token, sockets, heard),
    ):
        arguments = (address, token, str(options.rate), str(options.seconds))
        cpu, started = _cpu_seconds(pid), time.perf_counter()
        output = subprocess.run(
            [sys.executable, "-m", "benchmarks.api.load", *arguments],
            stdout=subprocess.PIPE,
            check=True,
            timeout=options.seconds + 120,
        ).stdout
        used, passed = _cpu_seconds(pid) - cpu, time.perf_counter() - started
    figures = json.loads(output)
    return Measured(figures, used / passed, 1e6 * used / figures["sent"], heard or None)


@contextmanager
def _listeners(address: str, token: str, sockets: int, heard: dict[str, float]) -> Iterator[None]:
    """WebSocket clients in a process of their own; `heard` is filled at the end."""
    if not sockets:
        yield
        return
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.api.listeners", address, token, str(sockets)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield
        output, _ = process.communicate("", timeout=60)
        heard.update(json.loads(output))
    finally:
        process.kill()
        process.wait()


@contextmanager
def _server(command: Sequence[str], environment: dict[str, str]) -> Iterator[tuple[str, int]]:
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = next((line for line in process.stdout if line.startswith("API")), "")
        yield line.split()[1].removesuffix("/v1"), process.pid
    finally:
        process.terminate()
        process.wait(30)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _read_times(endpoint: RedisEndpoint) -> list[float]:
    """Milliseconds of single reads, one after the other, through the API's own client."""
    from serving.api.redis_link import RedisLink

    link = RedisLink(endpoint)
    times = []
    for number in range(_READS):
        key = lookup_key(f"{number * 37 % CUSTOMERS:06d}")
        started = time.perf_counter()
        assert await link.read(key)
        times.append(1000 * (time.perf_counter() - started))
    await link.close()
    return times


def report(results: Results, options: Options) -> str:
    """Targets, medians of both sides, and the circumstances."""
    beside = f"with {options.sockets} WebSockets and a rebuild"
    what = f"one customer's segments at {options.rate:,} requests/s"
    targets = (
        *_targets(what, results.ours, options),
        *_targets(f"{what} {beside}", results.listened, options),
        Target("one read from Redis, p99", 1, results.read_p99_ms, at_most=True, unit=" ms"),
    )
    rows = [
        _row("insight api", results.ours),
        _row(f"insight api {beside}", results.listened),
        _row("Starlette, a constant", results.bare),
    ]
    head = (
        "server", "p50, ms", "p99, ms (lowest to highest)", "longest, ms", "achieved /s",
        "not 200", "generator late p99, ms", "server CPU, cores", "server CPU a request, µs",
    )  # fmt: skip
    from_redis = sum(each.figures["from_redis"] for each in results.ours)
    answered = sum(each.figures["answered"] for each in results.ours)
    return "\n\n".join(
        (
            verdicts(targets),
            readme.table(head, rows),
            _hearing(results.listened, options),
            f"{from_redis:,.0f} of {answered:,.0f} answers came from Redis; a read from it alone"
            f" takes {results.read_p50_ms:.2f} ms at the median. The load average before the run"
            f" was {results.load_average:.1f}. {machine.told()} Medians of {options.rounds} runs of"
            f" {options.seconds} s in turn, {CUSTOMERS:,} customers, one server process.",
        )
    )


def _targets(what: str, runs: Sequence[Measured], options: Options) -> tuple[Target, Target]:
    worst = max(each.figures["p99_ms"] for each in runs)
    achieved = min(each.figures["achieved"] for each in runs)
    return (
        Target(f"{what}: p99, worst run", 10, worst, at_most=True, unit=" ms"),
        Target(f"{what}: achieved, worst run", 0.99 * options.rate, achieved, unit=" /s"),
    )


def _hearing(runs: Sequence[Measured], options: Options) -> str:
    heard = [each.heard for each in runs if each.heard]
    messages = statistics.median(each["messages"] for each in heard)
    delay = max(each["delay_p95"] for each in heard)
    closed = sum(each["closed"] for each in heard)
    return (
        f"The {options.sockets} WebSockets heard {messages:,.0f} messages in a run; a sale was"
        f" heard {delay:.2f} s after it was loaded (p95, worst run); {closed:.0f} connections were"
        f" closed. Meanwhile 200 sales a second were loaded, 20 customers a second entered a"
        f" segment, and lookups and segments by rule of {CUSTOMERS:,} customers were written anew"
        " one time after the other."
    )


def _row(name: str, runs: Sequence[Measured]) -> tuple[str, ...]:
    def median(figure: str) -> float:
        return statistics.median(each.figures[figure] for each in runs)

    p99 = [each.figures["p99_ms"] for each in runs]
    missing = sum(
        each.figures["requests"] - each.figures["answered"] + each.figures["failed"]
        for each in runs
    )
    return (
        name,
        f"{median('p50_ms'):.2f}",
        f"{median('p99_ms'):.2f} ({min(p99):.2f} to {max(p99):.2f})",
        f"{max(each.figures['longest_ms'] for each in runs):.1f}",
        f"{median('achieved'):,.0f}",
        f"{missing:.0f}",
        f"{median('late_p99_ms'):.2f}",
        f"{statistics.median(each.cpu_share for each in runs):.2f}",
        f"{statistics.median(each.cpu_us for each in runs):.0f}",
    )
