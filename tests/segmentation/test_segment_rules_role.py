"""`insight segment-rules` on real services: killed anywhere, it loses and doubles nothing."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from confluent_kafka import Consumer, TopicPartition
from pydantic import SecretStr
from random_rules import START, rule_of
from segment_keeping import ADA, activate, land, members, members_by_changes
from waiting import eventually

from insight.database import Connection, DatabaseEndpoint, connect
from insight.errors import ServiceError
from insight.services import KafkaEndpoint, RedisEndpoint, Services
from segmentation.rules.spec import Rule
from segmentation.runtime import run
from segmentation.runtime.cache import cache_key, is_complete, rebuild
from segmentation.runtime.publisher import PublishOptions, PublishStep
from segmentation.runtime.run import RuntimeOptions, Step, run_segment_rules
from segmentation.store import versions as store
from segmentation.store.configuration import TOPIC
from streaming.contract import load_contracts
from streaming.topics import ensure_topic

DAY = timedelta(days=1)


def spenders(limit: int, name: str) -> Rule:
    return rule_of(
        {"kind": "aggregate", "stream": "transactions", "function": "sum", "field": "amount",
         "window": "last 30d", "op": "gt", "value": limit},
        name=name,
    )  # fmt: skip


def sale(number: int, customer: str, day: int = 0) -> dict[str, Any]:
    return {"transaction_id": f"t{number}", "product_id": "P1", "store_id": "S1",
            "customer_id": customer, "amount": 5, "timestamp": START + day * DAY,
            "_partition_id": 1, "_offset": number, "_load_id": number}  # fmt: skip


@pytest.fixture
def warehouse(database: DatabaseEndpoint) -> Iterator[Connection]:
    run.prepare(database, load_contracts())
    with connect(database, autocommit=True) as connection:
        yield connection


@pytest.fixture
def client(services: Services) -> Iterator[redis.Redis]:
    url = services.redis.url.get_secret_value()
    with redis.Redis.from_url(url, decode_responses=True) as opened:
        yield opened


@pytest.fixture
def catch_up(database: DatabaseEndpoint, services: Services) -> Callable[..., Any]:
    """Run the role, in this process, until nothing is left to do."""

    def call(**other: Any) -> Any:
        return run_segment_rules(
            database, other.pop("kafka", services.kafka), other.pop("redis", services.redis),
            load_contracts(), stop=threading.Event(), until_caught_up=True, **other,
        )  # fmt: skip

    return call


@pytest.fixture
def killed_at(
    database: DatabaseEndpoint, services: Services
) -> Callable[[str, KafkaEndpoint], int]:
    """Run the role in a process of its own that kills itself at a step; its exit code."""
    script = Path(__file__).with_name("rules_process.py")

    def call(step: str, kafka: KafkaEndpoint) -> int:
        password = database.password.get_secret_value()
        request = {
            "database": [database.host, database.port, database.user, password, database.dbname],
            "kafka": vars(kafka),
            "redis": services.redis.url.get_secret_value(),
            "step": step,
        }
        return subprocess.run(
            [sys.executable, str(script)], input=json.dumps(request), text=True, timeout=300
        ).returncode

    return call


def messages(kafka: KafkaEndpoint, customers: set[str]) -> list[dict[str, Any]]:
    """What stands in the topic about these customers, as often as it stands there."""
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": "test"})
    found = []
    try:
        for number in consumer.list_topics(TOPIC, timeout=20).topics[TOPIC].partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(TOPIC, number), timeout=20)
            consumer.assign([TopicPartition(TOPIC, number, low)])
            while low < high:
                message = consumer.poll(20)
                assert message is not None
                low = message.offset() + 1
                content = json.loads(message.value())
                assert message.key().decode() == content["customer_id"]
                found.append(content)
    finally:
        consumer.close()
    return [each for each in found if each["customer_id"] in customers]


def each_once(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As a reader takes them: what is not above the last id of its customer came again."""
    last: dict[str, int] = {}
    kept = []
    for each in found:
        if each["id"] > last.get(each["customer_id"], 0):
            last[each["customer_id"]] = each["id"]
            kept.append(each)
    return kept


def cached(client: redis.Redis, customer: str) -> set[str] | None:
    text = client.get(cache_key(customer))
    return None if text is None else {each["segment"] for each in json.loads(text)["segments"]}


@pytest.mark.parametrize(
    ("step", "kafka"),
    [
        *((step, "configured") for step in [*Step, *PublishStep]),
        # What is between Kafka and Postgres then is the broker's to keep, not ours.
        (PublishStep.SENT, "apache"),
        (PublishStep.MARKED, "apache"),
    ],
    indirect=["kafka"],
)
def test_killed_at_any_step_it_loses_and_doubles_nothing(
    warehouse: Connection,
    kafka: KafkaEndpoint,
    client: redis.Redis,
    catch_up: Callable[..., Any],
    killed_at: Callable[[str, KafkaEndpoint], int],
    step: str,
) -> None:
    """Two customers stay, one leaves by time, one enters; a segment is new, and reads the other."""
    stays, leaves, enters = (
        f"{step}-{kafka.cluster_id}-{who}" for who in ("stays", "leaves", "enters")
    )
    activate(warehouse, spenders(4, "spenders"))
    land(warehouse, {"transactions": [sale(1, leaves), sale(2, stays, 20)]})
    catch_up(kafka=kafka)
    assert members(warehouse) == {"spenders": {stays, leaves}}
    member = {"kind": "member", "segment": "spenders"}
    activate(warehouse, rule_of(member, name="readers", population=["retail"]))
    land(warehouse, {"transactions": [sale(3, enters, 31)]})
    assert killed_at(step, kafka) == -9
    catch_up(kafka=kafka)
    assert members(warehouse) == {
        "spenders": {stays, enters},
        "readers": {stays, enters},
    }
    assert members_by_changes(warehouse) == members(warehouse)
    changes = warehouse.execute(
        """select segment, customer_id, change from segmentation.membership_changes
           where segment = 'spenders' order by change_id"""
    ).fetchall()
    assert changes[:2] == [("spenders", who, "entered") for who in sorted([leaves, stays])]
    assert sorted(changes[2:]) == [("spenders", enters, "entered"), ("spenders", leaves, "left")]
    assert warehouse.execute("select * from segmentation.membership_outbox").fetchall() == []
    told = each_once(messages(kafka, {stays, leaves, enters}))
    assert sorted((e["id"], e["segment"], e["customer_id"], e["change"]) for e in told) == (
        warehouse.execute(
            """select change_id, segment, customer_id, change
               from segmentation.membership_changes order by change_id"""
        ).fetchall()
    )
    assert cached(client, stays) == cached(client, enters) == {"spenders", "readers"}
    assert cached(client, leaves) == set()


def test_redis_is_rebuilt_from_postgres(
    warehouse: Connection, client: redis.Redis, catch_up: Callable[..., Any]
) -> None:
    activate(warehouse, spenders(4, "spenders"))
    land(warehouse, {"transactions": [sale(1, "R1"), sale(2, "R2")]})
    catch_up()
    client.delete(cache_key("R1"))
    client.set(cache_key("R3"), '{"segments": [{"segment": "spenders"}]}')
    assert rebuild(warehouse, client) == 2
    assert cached(client, "R1") == cached(client, "R2") == {"spenders"}
    assert cached(client, "R3") == set()
    assert is_complete(client)
    document = json.loads(client.get(cache_key("R1")) or "")
    assert document["customer_id"] == "R1"
    assert document["segments"][0]["version"] == 1
    assert 7 * 24 * 3600 - 60 < client.ttl(cache_key("R1")) <= 8 * 24 * 3600


def test_without_redis_it_goes_on_and_fills_it_later(
    warehouse: Connection, client: redis.Redis, kafka: KafkaEndpoint, catch_up: Callable[..., Any]
) -> None:
    customer = f"D1-{kafka.cluster_id}"
    activate(warehouse, spenders(4, "spenders"))
    land(warehouse, {"transactions": [sale(1, customer)]})
    away = RedisEndpoint(SecretStr("redis://127.0.0.1:1/0"))
    with pytest.raises(ServiceError, match="Redis does not take the segments of customers"):
        catch_up(kafka=kafka, redis=away)
    assert [each["change"] for each in messages(kafka, {customer})] == ["entered"]
    assert cached(client, customer) is None
    catch_up(kafka=kafka)
    assert cached(client, customer) == {"spenders"}
    assert len(messages(kafka, {customer})) == 1


def test_without_kafka_changes_wait_in_the_outbox(
    warehouse: Connection, services: Services, catch_up: Callable[..., Any]
) -> None:
    activate(warehouse, spenders(4, "spenders"))
    land(warehouse, {"transactions": [sale(1, "K1")]})
    away = KafkaEndpoint("127.0.0.1:1", "away", embedded=True)
    options = RuntimeOptions(publish=PublishOptions(kafka_seconds=1))
    with pytest.raises(ServiceError, match="Kafka does not answer"):
        catch_up(kafka=away, options=options)
    assert members(warehouse) == {"spenders": {"K1"}}
    row = warehouse.execute("select count(*) from segmentation.membership_outbox").fetchone()
    assert row == (1,)
    catch_up()
    assert [each["change"] for each in messages(services.kafka, {"K1"})] == ["entered"]


def workers(connection: Connection) -> list[str]:
    rows = connection.execute("select state from segmentation.rule_workers")
    return [str(state) for (state,) in rows]


@contextmanager
def running(
    database: DatabaseEndpoint, services: Services, options: RuntimeOptions, told: list[str]
) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(
        target=run_segment_rules,
        args=(database, services.kafka, services.redis, load_contracts()),
        kwargs={"stop": stop, "options": options, "on_progress": told.append},
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize(
    "options",
    [RuntimeOptions(poll_seconds=3600), RuntimeOptions(look_seconds=0.05, poll_seconds=0.1)],
    ids=["told", "polled"],
)
def test_what_is_activated_is_taken_up_while_it_runs(
    warehouse: Connection, database: DatabaseEndpoint, services: Services, options: RuntimeOptions
) -> None:
    land(warehouse, {"transactions": [sale(1, "U1")]})
    with running(database, services, options, []):
        eventually(lambda: workers(warehouse) == ["at work"], 120)
        activate(warehouse, spenders(4, "spenders"))
        eventually(lambda: members(warehouse) == {"spenders": {"U1"}}, 120)
        assert warehouse.execute(
            "select segment, version from segmentation.rule_worker_versions"
        ).fetchall() == [("spenders", 1)]
        activate(warehouse, spenders(5, "spenders"))
        eventually(lambda: members(warehouse) == {}, 120)
        store.retire(warehouse, "spenders", ADA)
        eventually(lambda: not warehouse.execute(
            "select from segmentation.pipelines").fetchall(), 120)  # fmt: skip
    assert warehouse.execute("select * from segmentation.rule_workers").fetchall() == []


@pytest.fixture
def started(
    database: DatabaseEndpoint, services: Services, tmp_path: Path
) -> Callable[..., AbstractContextManager[None]]:
    """The command `insight segment-rules` as a process of its own, for the length of a block."""
    password = database.password.get_secret_value()
    place = f"{database.user}:{password}@{database.host}:{database.port}/{database.dbname}"
    # The embedded broker makes topics for producers only, and the command takes it for another.
    ensure_topic(services.kafka, TOPIC, 4, 3600)

    @contextmanager
    def start(**settings: str) -> Iterator[None]:
        environment = {
            **os.environ,
            "DATABASE_URL": f"postgresql://{place}",
            "KAFKA_BOOTSTRAP_SERVERS": services.kafka.bootstrap_servers,
            "REDIS_URL": services.redis.url.get_secret_value(),
            "INSIGHT_HOME": str(tmp_path),
            **settings,
        }
        command = str(Path(sys.executable).with_name("insight"))
        process = subprocess.Popen([command, "segment-rules"], env=environment)
        try:
            yield
            process.terminate()
            assert process.wait(60) == 0
        finally:
            process.kill()
            process.wait()

    return start


def test_by_the_wall_clock_customers_leave_while_nothing_happens(
    warehouse: Connection, started: Callable[..., AbstractContextManager[None]]
) -> None:
    leaf = {"kind": "aggregate", "stream": "transactions", "function": "count",
            "window": "last 5s", "op": "gt", "value": 0}  # fmt: skip
    activate(warehouse, rule_of(leaf, name="here_now"))
    with started(INSIGHT_SEGMENT_CLOCK="wall"):
        eventually(lambda: workers(warehouse) == ["at work"], 120)
        # Time enough for it to see the sale before the customer leaves.
        at = datetime.now(UTC) + 10 * timedelta(seconds=1)
        land(warehouse, {"transactions": [{**sale(1, "I1"), "timestamp": at}]})
        changes = "select change, as_of from segmentation.membership_changes order by change_id"
        eventually(lambda: len(warehouse.execute(changes).fetchall()) == 2, 120)
    (entered, entered_at), (left, left_at) = warehouse.execute(changes).fetchall()
    assert (entered, left) == ("entered", "left")
    assert entered_at - at <= timedelta(seconds=1)
    assert left_at - at > timedelta(seconds=5)


def test_a_second_one_waits_and_until_caught_up_it_says_so(
    warehouse: Connection, database: DatabaseEndpoint, services: Services,
    catch_up: Callable[..., Any],
) -> None:  # fmt: skip
    warehouse.execute("select pg_advisory_lock(7207022)")
    with pytest.raises(ServiceError, match="another `insight segment-rules` is at work"):
        catch_up()
    told: list[str] = []
    with running(database, services, RuntimeOptions(), told):
        eventually(lambda: workers(warehouse) == ["waiting"], 120)
        assert set(told) <= {"waits while another one is at work"}
        activate(warehouse, spenders(4, "spenders"))
        land(warehouse, {"transactions": [sale(1, "W1")]})
        warehouse.execute("select pg_advisory_unlock(7207022)")
        eventually(lambda: members(warehouse) == {"spenders": {"W1"}}, 120)
