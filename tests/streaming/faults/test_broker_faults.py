"""A broker that dies, slows down or says nothing: loaders and producers wait and go on."""

import os
import signal
import subprocess
import sys
import time

import pytest

from insight.errors import ServiceError
from insight.services import KafkaEndpoint

# One broker for all of them, in one worker.
pytestmark = pytest.mark.xdist_group("broken_kafka")

EMBEDDED = """
import sys, threading
from insight.services.kafka import EmbeddedKafka
broker = EmbeddedKafka()
endpoint = broker.endpoint()
print(endpoint.bootstrap_servers, endpoint.cluster_id, flush=True)
threading.Event().wait()
"""


def test_broker_killed_and_started_again_under_load(
    broken_kafka, prices, start_loader, producing, eventually, loaded, all_arrived
) -> None:
    with producing(broken_kafka.endpoint, prices) as production:
        loader = start_loader(broken_kafka.endpoint, [prices], in_group=True)
        eventually(lambda: loaded(prices) > 20)
        broken_kafka.kill()
        sent = len(production.numbers)
        eventually(lambda: len(production.numbers) > sent + 50)
        broken_kafka.start()
        before = loaded(prices)
        eventually(lambda: loaded(prices) > before + 20, 60)
        assert loader.is_alive
    assert loader.end() == 0
    all_arrived(broken_kafka.endpoint, prices, production.numbers)


@pytest.mark.parametrize("fault", ["slow", "held", "dead"])
def test_broker_that_hardly_answers(
    broken_kafka,
    kafka_proxy,
    prices,
    start_loader,
    producing,
    eventually,
    loaded,
    all_arrived,
    fault,
) -> None:
    """Slow; silent for longer than the session lasts; silent for ever on the old connections."""
    with producing(broken_kafka.endpoint, prices) as production:
        loader = start_loader(broken_kafka.proxied, [prices], in_group=True)
        eventually(lambda: loaded(prices) > 20)
        if fault == "slow":
            kafka_proxy.bytes_per_second = 50_000
        elif fault == "held":
            kafka_proxy.hold()
            time.sleep(2)
            kafka_proxy.go_on()
        else:
            kafka_proxy.abandon()
        before = loaded(prices)
        eventually(lambda: loaded(prices) > before + 20, 60)
        assert loader.is_alive
    assert loader.end() == 0
    all_arrived(broken_kafka.endpoint, prices, production.numbers)


def test_broker_that_is_away_ends_a_bounded_load_with_a_reason(
    broken_kafka, kafka_proxy, prices, load, producing
) -> None:
    with producing(broken_kafka.endpoint, prices):
        pass
    kafka_proxy.refuses = True
    kafka_proxy.cut()
    with pytest.raises(ServiceError, match="Kafka does not answer"):
        load(broken_kafka.proxied, [prices])


def test_embedded_broker_that_is_gone_leaves_the_loader_waiting(
    prices, start_loader, producing, eventually, loaded, books_balance, ask
) -> None:
    """Nobody can bring its messages back: what was loaded stays, and the loader can be stopped."""
    process = subprocess.Popen([sys.executable, "-c", EMBEDDED], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        address, cluster_id = process.stdout.readline().split()
        kafka = KafkaEndpoint(address, cluster_id, embedded=True)
        with producing(kafka, prices) as production:
            loader = start_loader(kafka, [prices], in_group=True)
            eventually(lambda: loaded(prices) > 20)
        eventually(lambda: loaded(prices) == len(production.numbers))
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    time.sleep(1)
    assert loader.is_alive
    assert loader.end() == 0
    assert loaded(prices) == len(production.numbers)
    assert ask("select count(*) from streaming.quarantine") == [(0,)]
    books_balance()
