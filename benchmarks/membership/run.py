"""The role with all its rules, beside the loader and a steady producer, on one machine."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, LiteralString, cast

from confluent_kafka import Consumer, TopicPartition

from benchmarks import year_of_sales
from benchmarks.membership.hundred_rules import rules
from benchmarks.membership.plan import Options
from benchmarks.own_services import own_services
from benchmarks.streams.contenders import Running, start_workers, worker
from benchmarks.streams.messages import CONTRACT_FILE
from benchmarks.streams.processes import parent, watched
from insight.database import DatabaseEndpoint, connect
from insight.services import KafkaEndpoint, RedisEndpoint
from segmentation.runtime.run import prepare
from segmentation.store import versions
from segmentation.store.versions import Author
from streaming.contract import load_contracts
from streaming.registry import open_registry
from streaming.topics import ensure_topics
from tests.apache_kafka import apache_kafka

_STREAM = "transactions"
_PARTITIONS = 4
_WORKERS = "benchmarks.membership.workers"
_COMMANDS = {
    "loader": worker("ours"),
    "role": [sys.executable, "-m", f"{_WORKERS}.role"],
    "sales": [sys.executable, "-m", f"{_WORKERS}.sales"],
    "reader": [sys.executable, "-m", f"{_WORKERS}.reader"],
}
_BY = Author("benchmark")
# With more left to do when the last sale has come it has not kept up.
BEHIND_SECONDS = 5.0
_SETTLED_SECONDS = 10.0
_DRAIN_SECONDS = 300.0
_BACKFILL_SECONDS = 1_800.0
_LOOK_SECONDS = 0.05

# Customers who are being asked are still noted for who reads meanwhile, and so are changes that are
# on their way.
_BACKFILLED = """
select count(*) = %s and not exists (select from segmentation.membership_outbox)
from segmentation.pipelines
"""
_CAUGHT_UP = """
select not exists (select from segmentation.changed_customers)
    and not exists (select from segmentation.membership_outbox)
    and not exists (
        select from streaming.stream_progress as loaded
        left join segmentation.stream_reads as read using (partition_id)
        where loaded.cluster_id <> 'history'
            and loaded.next_offset > coalesce(read.next_offset, loaded.first_offset)
    )
    and (select bool_and(not asks_all) from segmentation.pipelines)
    and (
        select coalesce(sum(next_offset), 0) from streaming.stream_progress
        where stream = %(stream)s and cluster_id = %(cluster)s
    ) >= %(sent)s
"""


@dataclass(frozen=True)
class Steady:
    """Sales at a rate: seconds from the last sale of a probe to Redis, and what was left to do."""

    rate: int
    events: int
    seconds: float
    profiles: int
    changes: int
    delays: tuple[float, ...]
    lost: int
    behind_seconds: float
    cores: dict[str, float]

    @property
    def kept_up(self) -> bool:
        """Whether all was done a moment after the last sale."""
        return self.behind_seconds <= BEHIND_SECONDS and not self.lost

    @property
    def profiles_a_minute(self) -> float:
        """Customers with new sales whose segments were brought up to date, each once a second."""
        return 60 * self.profiles / (self.seconds + self.behind_seconds)

    def delay(self, share: float) -> float:
        """The share of probes that were at most so late."""
        return sorted(self.delays)[int(share * (len(self.delays) - 1))]


@dataclass(frozen=True)
class CaughtUp:
    """A backlog of rows: how long until members, Kafka and Redis stood as of the last one."""

    rows: int
    profiles: int
    changes: int
    seconds: float

    @property
    def profiles_a_minute(self) -> float:
        return 60 * self.profiles / self.seconds


@dataclass(frozen=True)
class Results:
    """Members of all rules once all were asked, and the seconds that took.

    `first` is the first run, which reads from the disk what nobody has asked for yet; `added` is
    one in which another rule is activated, and `pick_up` from that commit until it is run;
    `faster` are runs at rising rates, the last one of which it did not keep up with.
    """

    members: int
    backfill: float
    first: Steady
    steady: Steady
    added: Steady
    pick_up: float
    faster: tuple[Steady, ...]
    caught_up: CaughtUp


def run(options: Options) -> Results:
    """Measure on services of its own, which are gone afterwards."""
    with own_services() as (services, folder):
        (folder / "kafka").mkdir()
        with apache_kafka(folder / "kafka") as kafka:
            return _Measurement(services.database, kafka, services.redis, folder, options).results()


class _Measurement:
    def __init__(
        self,
        database: DatabaseEndpoint,
        kafka: KafkaEndpoint,
        redis: RedisEndpoint,
        folder: Path,
        options: Options,
    ):
        self._database = database
        self._kafka = kafka
        self._redis = redis
        self._folder = folder
        self._options = options
        self._contract = next(each for each in load_contracts() if each.stream == _STREAM)

    def results(self) -> Results:
        self._fill()
        started = time.perf_counter()
        with self._started("role") as role:
            self._wait(role, _BACKFILLED, [self._options.rules], _BACKFILL_SECONDS)
            backfill = time.perf_counter() - started
            members = int(str(self._value("select count(*) from segmentation.current_members")))
            _say(f"all rules are asked after {backfill:.1f} s, {members:,} members")
            with self._started("loader") as loader, ThreadPoolExecutor(1) as beside:
                rate = self._options.rate
                first = self._steady(role, loader, rate, "first")
                steady = self._steady(role, loader, rate, f"at-{rate}")
                pick_up = beside.submit(self._activate_one)
                added = self._steady(role, loader, rate, "added")
                faster = tuple(self._faster(role, loader))
        with self._started("loader"):
            rows = self._load_backlog()
        caught_up = self._catch_up(rows)
        return Results(members, backfill, first, steady, added, pick_up.result(), faster, caught_up)

    def _faster(self, role: Running, loader: Running) -> Iterator[Steady]:
        rate = self._options.faster
        while True:
            steady = self._steady(role, loader, rate, f"at-{rate}")
            yield steady
            if not steady.kept_up:
                return
            rate = rate * 5 // 4

    def _activate_one(self) -> float:
        time.sleep(_SETTLED_SECONDS + self._options.seconds / 2)
        rule = rules(self._options.rules + 1, self._options.regular)[-1]
        with connect(self._database, autocommit=True) as connection:
            versions.create_version(connection, rule, _BY)
            versions.activate(connection, rule.name, _BY)
            started = time.perf_counter()
            while not connection.execute(
                "select 1 from segmentation.rule_worker_versions where segment = %s", (rule.name,)
            ).fetchone():
                time.sleep(_LOOK_SECONDS)
            return time.perf_counter() - started

    def _fill(self) -> None:
        open_registry(self._database, load_contracts())
        ensure_topics(self._kafka, [self._contract])
        prepare(self._database, load_contracts())
        start = datetime.now(UTC) - timedelta(days=365)
        with connect(self._database, autocommit=True) as connection:
            year_of_sales.fill(connection, self._contract, self._options.events, start)
            for each in rules(self._options.rules, self._options.regular):
                versions.create_version(connection, each, _BY)
                versions.activate(connection, each.name, _BY)
        _say(f"{self._options.events:,} events are there")

    def _steady(self, role: Running, loader: Running, rate: int, run: str) -> Steady:
        """Of the first seconds no delay is counted: the group of the loader still settles."""
        before = self._changes()
        with (
            self._started("reader", run=run) as reader,
            watched(self._pids(role, loader)) as samples,
        ):
            with self._started("sales", **self._sales(run, rate)) as sales:
                started = time.time()
                sent = _printed(sales)
                ended = time.time()
                self._wait(role, _CAUGHT_UP, self._all_sent())
                behind = time.time() - ended
            reader.close_input()
            seen = _printed(reader)
        first = started + _SETTLED_SECONDS
        wanted = {name: at for name, at in sent.items() if at >= first}
        delays = tuple(seen[name] - at for name, at in wanted.items() if name in seen)
        cores = {
            name: samples.cpu_between([name], first, ended) / (ended - first)
            for name in samples[-1].usage
        }
        events, profiles = self._arrived(f"{run}-")
        steady = Steady(
            rate,
            events,
            ended - started,
            profiles,
            self._changes() - before,
            delays,
            len(wanted) - len(delays),
            behind,
            cores,
        )
        _say(
            f"{run}, {rate:,} sales/s: {steady.delay(0.95):.2f} s to Redis (p95),"
            f" {behind:.1f} s behind, {steady.profiles_a_minute:,.0f} profiles a minute,"
            f" {steady.changes:,} entered or left, {cores}"
        )
        return steady

    def _load_backlog(self) -> int:
        with self._started("sales", **self._sales("backlog", 0)) as sales:
            _printed(sales)
        rows, _ = self._arrived("backlog-")
        deadline = time.monotonic() + _DRAIN_SECONDS
        while rows < self._options.backlog:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{rows:,} of {self._options.backlog:,} sales were loaded")
            time.sleep(1)
            rows, _ = self._arrived("backlog-")
        _say(f"a backlog of {rows:,} sales is loaded")
        return rows

    def _catch_up(self, rows: int) -> CaughtUp:
        before = self._changes()
        started = time.perf_counter()
        with self._started("role") as role:
            self._wait(role, _CAUGHT_UP, self._all_sent())
            seconds = time.perf_counter() - started
        _say(f"caught up in {seconds:.1f} s")
        _, profiles = self._arrived("backlog-")
        return CaughtUp(rows, profiles, self._changes() - before, seconds)

    def _all_sent(self) -> dict[str, object]:
        """How many messages Kafka has: what is not even loaded is not done."""
        settings = {"bootstrap.servers": self._kafka.bootstrap_servers, "group.id": "ends"}
        with closing(Consumer(settings)) as consumer:
            ends = [
                consumer.get_watermark_offsets(TopicPartition(self._contract.topic, number))[1]
                for number in range(_PARTITIONS)
            ]
        return {"stream": _STREAM, "cluster": self._kafka.cluster_id, "sent": sum(ends)}

    def _changes(self) -> int:
        """Who ever entered or left, each time."""
        most = "select coalesce(max(change_id), 0) from segmentation.membership_changes"
        return int(str(self._value(most)))

    def _arrived(self, prefix: str) -> tuple[int, int]:
        """Rows of a run of the producer, and their customers, each once a second; no probes."""
        with connect(self._database) as connection:
            row = connection.execute(
                """select count(*), count(distinct (customer_id, date_trunc('second', "timestamp")))
                   from streaming.transactions_raw
                   where transaction_id like %s and customer_id not like %s
                       and "timestamp" > now() - interval '1 hour'""",
                (f"{prefix}%", "probe-%"),
            ).fetchone()
        assert row is not None
        return int(str(row[0])), int(str(row[1]))

    def _sales(self, run: str, rate: int) -> dict[str, object]:
        return {
            "run": run,
            "rate": rate,
            "seconds": self._options.seconds + _SETTLED_SECONDS,
            "messages": self._options.backlog,
            "customers": self._options.customers,
        }

    @contextmanager
    def _started(self, name: str, **more: object) -> Iterator[Running]:
        """A process that is at work for the length of the block."""
        request = {
            "database": self._database.environment(),
            "servers": self._kafka.bootstrap_servers,
            "cluster_id": self._kafka.cluster_id,
            "contract": str(CONTRACT_FILE),
            "topic": self._contract.topic,
            "partitions": _PARTITIONS,
            "group": "membership",
            "redis": self._redis.url.get_secret_value(),
            **more,
        }
        running = start_workers(_COMMANDS[name], [request], self._folder / f"{name}.log")
        try:
            running.go()
            yield running
        finally:
            running.stop()

    def _pids(self, role: Running, loader: Running) -> dict[str, int]:
        with connect(self._database) as connection:
            postgres = parent(connection.info.backend_pid)
        return {
            "segment-rules": role.processes[0].pid,
            "loader": loader.processes[0].pid,
            "Postgres": postgres,
        }

    def _wait(
        self,
        role: Running,
        condition: LiteralString,
        values: Sequence[object] | dict[str, object],
        seconds: float = _DRAIN_SECONDS,
    ) -> None:
        deadline = time.monotonic() + seconds
        with connect(self._database, autocommit=True) as connection:
            while connection.execute(condition, values).fetchone() != (True,):
                if role.ended() or time.monotonic() > deadline:
                    raise role.failure("did not keep up")
                time.sleep(_LOOK_SECONDS)

    def _value(self, query: LiteralString) -> object:
        with connect(self._database) as connection:
            row = connection.execute(query).fetchone()
        assert row is not None
        return row[0]


def _printed(running: Running) -> dict[str, float]:
    """What a process prints as its last line."""
    line = cast(IO[str], running.processes[0].stdout).readline()
    found: dict[str, float] = json.loads(line)
    return found


def _say(text: str) -> None:
    sys.stdout.write(f"membership, {text}\n")
    sys.stdout.flush()
