"""Faults at random, one after the other, under steady production.

The seed is printed; INSIGHT_FAULT_SEED=<seed> runs the same schedule again.
"""

import signal
import time
from collections.abc import Callable

import pytest
from loader_processes import LoaderProcess
from psycopg.errors import UndefinedTable
from waiting import eventually

from insight.database import connect
from streaming import progress
from streaming.loading.load_batch import Step
from streaming.progress import PartitionKey

FAULTS = 5

# The real broker of its tests is the same one.
pytestmark = pytest.mark.xdist_group("broken_kafka")


class Stage:
    """Loaders, servers and proxies of one schedule, and what can go wrong with them."""

    def __init__(self, kafka, contract, postgres, database, database_proxy, kafka_proxy, start):
        self.kafka, self.contract = kafka, contract
        self.postgres, self.database = postgres, database
        self.database_proxy, self.kafka_proxy = database_proxy, kafka_proxy
        self._start = start
        self.loader = self._started()
        self.others = []

    def faults(self) -> list[Callable[[], None]]:
        everywhere = [
            self.loader_killed,
            self.loader_killed_in_a_batch,
            self.loader_stopped_for_a_while,
            self.loader_joined,
            self.partition_stolen,
            self.sessions_terminated,
            self.server_crashed,
            self.server_refuses,
            self.server_read_only,
            self.database_cut,
            self.commit_unanswered,
            self.database_held,
        ]
        if self.kafka_proxy is None:
            return everywhere
        return [*everywhere, self.broker_cut, self.broker_held, self.broker_refuses]

    def loader_killed(self) -> None:
        self.loader.kill()
        self.loader = self._started()

    def loader_killed_in_a_batch(self) -> None:
        self.loader.kill()
        for step in (Step.COPYING, Step.BEFORE_COMMIT):
            assert self._start(step=step, nth=2, signal="SIGKILL").wait() == -9
        self.loader = self._started()

    def loader_stopped_for_a_while(self) -> None:
        self.loader.send(signal.SIGSTOP)
        time.sleep(2)
        self.loader.send(signal.SIGCONT)

    def loader_joined(self) -> None:
        self.others.append(self._started())

    def partition_stolen(self) -> None:
        with connect(self.database) as connection:
            for number in range(4):
                key = PartitionKey(self.kafka.cluster_id, self.contract.topic, number)
                progress.claim(connection, self.contract.stream, key, "nobody", 0, 0)

    def sessions_terminated(self) -> None:
        with connect(self.database) as connection:
            connection.execute(
                """select pg_terminate_backend(pid) from pg_stat_activity
                   where datname = current_database() and pid <> pg_backend_pid()"""
            )

    def server_crashed(self) -> None:
        self.postgres.crash()
        self.postgres.start()

    def server_refuses(self) -> None:
        self._alter("connection limit 0")
        time.sleep(0.7)
        self._alter("connection limit -1")

    def server_read_only(self) -> None:
        self._alter("set default_transaction_read_only = on")
        time.sleep(0.7)
        self._alter("set default_transaction_read_only = off")

    def database_cut(self) -> None:
        self.database_proxy.cut()

    def commit_unanswered(self) -> None:
        self.database_proxy.loses_answer = lambda piece: b"COMMIT\0" in piece
        time.sleep(0.5)
        self.database_proxy.loses_answer = None

    def database_held(self) -> None:
        self.database_proxy.hold()
        time.sleep(0.5)
        self.database_proxy.go_on()

    def broker_cut(self) -> None:
        self.kafka_proxy.cut()

    def broker_held(self) -> None:
        self.kafka_proxy.hold()
        time.sleep(2)
        self.kafka_proxy.go_on()

    def broker_refuses(self) -> None:
        self.kafka_proxy.refuses = True
        self.kafka_proxy.cut()
        time.sleep(0.7)
        self.kafka_proxy.refuses = False

    def _started(self) -> LoaderProcess:
        """A loader that is past its start: one that starts without a database says so and ends."""
        loader = self._start()
        eventually(lambda: self._has_told_status(loader))
        return loader

    def _has_told_status(self, loader: LoaderProcess) -> bool:
        with connect(self.database) as connection:
            try:
                told = connection.execute(
                    "select 1 from streaming.loader_status where owner like %s",
                    (f"%:{loader.pid}:%",),
                )
            except UndefinedTable:
                return False
            return told.fetchone() is not None

    def _alter(self, change: str) -> None:
        with connect(self.postgres.superuser, autocommit=True) as admin:
            admin.execute(f"alter database {self.database.dbname} {change}")
            admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s",
                (self.database.dbname,),
            )


@pytest.fixture(params=["embedded", "apache"])
def stage(
    request,
    configured_kafka,
    prices,
    postgres,
    database,
    database_proxy,
    proxied_database,
    start_loader,
    tables,
) -> Stage:
    kafka, kafka_proxy = configured_kafka, None
    if request.param == "apache":
        kafka = request.getfixturevalue("broken_kafka").proxied
        kafka_proxy = request.getfixturevalue("kafka_proxy")

    def start(**options):
        return start_loader(
            kafka,
            [prices],
            at=proxied_database,
            in_group=kafka_proxy is not None,
            stall_seconds=1.0,
            **options,
        )

    return Stage(kafka, prices, postgres, database, database_proxy, kafka_proxy, start)


def test_any_sequence_of_faults_loses_and_doubles_nothing(
    request, stage, producing, chance, loaded, books_balance, all_arrived
) -> None:
    kafka = stage.kafka
    if stage.kafka_proxy is not None:
        kafka = request.getfixturevalue("broken_kafka").endpoint
    with producing(kafka, stage.contract, rate=100) as production:
        eventually(lambda: loaded(stage.contract) > 0)
        for fault in chance.sample(stage.faults(), FAULTS):
            print(fault.__name__)  # noqa: T201 (pytest shows it with the failure)
            fault()
            before = loaded(stage.contract)
            eventually(lambda before=before: loaded(stage.contract) > max(before, 1), 60)
            books_balance()
    for loader in (stage.loader, *stage.others):
        assert loader.end() == 0
    all_arrived(kafka, stage.contract, production.numbers)
