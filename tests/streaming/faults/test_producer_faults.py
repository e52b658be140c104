"""A producer whose broker or database fails: every event arrives, under its one id."""

import json
import threading
import time

import pytest

from insight.database import connect
from streaming.producing.loop import Schedule, produce
from streaming.sources import Event, Poll
from streaming.topics import ensure_topics

# One broker for all of them, in one worker.
pytestmark = pytest.mark.xdist_group("broken_kafka")


STEADY = Schedule(0.02)


class _Ticks:
    """A source with three new events at each poll, until it is told that it has no more."""

    name = "ticks"

    def __init__(self, contract):
        self._contract = contract
        self.told = 0
        self.is_at_its_end = False

    def poll(self, cursor) -> Poll:
        first = cursor["next"] if cursor else 0
        if self.is_at_its_end and first >= self.told:
            return Poll([], cursor)
        self.told = max(self.told, first + 3)
        return Poll([self._event(each) for each in range(first, first + 3)], {"next": first + 3})

    def _event(self, number: int) -> Event:
        event = {**self._contract.example_event(), self._contract.key: f"{number:032x}"}
        return Event(str(number), json.dumps(event).encode())


FAULTS = {
    "broker_killed": lambda stage: (stage.kafka.kill(), stage.kafka.start()),
    "broker_held": lambda stage: (stage.proxy.hold(), time.sleep(1), stage.proxy.go_on()),
    "broker_cut": lambda stage: stage.proxy.cut(),
    "server_crashed": lambda stage: (stage.postgres.crash(), stage.postgres.start()),
    "server_read_only": lambda stage: (
        stage.alter("set default_transaction_read_only = on"),
        time.sleep(0.7),
        stage.alter("set default_transaction_read_only = off"),
    ),
}


class _Stage:
    def __init__(self, kafka, proxy, postgres, database):
        self.kafka, self.proxy, self.postgres, self.database = kafka, proxy, postgres, database

    def alter(self, change: str) -> None:
        with connect(self.postgres.superuser, autocommit=True) as admin:
            admin.execute(f"alter database {self.database.dbname} {change}")
            admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s",
                (self.database.dbname,),
            )


@pytest.mark.parametrize("fault", FAULTS)
def test_every_event_arrives_under_its_one_id(
    broken_kafka,
    kafka_proxy,
    postgres,
    tables,
    prices,
    tmp_path,
    in_background,
    eventually,
    load,
    ask,
    books_balance,
    fault,
) -> None:
    source = _Ticks(prices)
    ensure_topics(broken_kafka.endpoint, [prices])

    def run(stop: threading.Event, schedule: Schedule = STEADY) -> object:
        return produce(
            tables,
            broken_kafka.proxied,
            prices,
            source,
            schedule,
            spill_dir=tmp_path,
            stop=stop,
        )

    with in_background(run):
        eventually(lambda: source.told >= 30)
        FAULTS[fault](_Stage(broken_kafka, kafka_proxy, postgres, tables))
        told = source.told
        eventually(lambda: source.told >= told + 30, 60)
    source.is_at_its_end = True
    run(threading.Event(), Schedule(0.0, unchanged_polls=1))
    load(broken_kafka.endpoint, [prices])
    ids = ask(f"select distinct {prices.key} from streaming.{prices.table} order by 1")
    assert [name for (name,) in ids] == [f"{number:032x}" for number in range(source.told)]
    assert ask("select count(*) from streaming.quarantine") == [(0,)]
    books_balance()
