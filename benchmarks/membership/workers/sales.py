"""Sales at a steady rate, or as fast as it goes; now and then those of a probe.

A probe is a new customer whose sales, sent one after the other, bring it into the standing example.
When all is sent, the moment (Unix time) of each probe's last sale is printed as JSON.
"""

import itertools
import json
import random
import sys
import time
from datetime import UTC, datetime

from confluent_kafka import Producer

from benchmarks.membership.plan import PROBE_AMOUNT, PROBE_SALES, PROBES_A_SECOND, probe
from benchmarks.streams.messages import HEADERS, Sale, message, producer_settings
from benchmarks.streams.workers import protocol

_TICK_SECONDS = 0.01
_PIECE, _QUEUED = 1_000, 100_000


class _Sales:
    """Sends what is due, and knows when each probe was sent."""

    def __init__(self, producer: Producer, topic: str, partitions: int, customers: int, run: str):
        self._producer = producer
        self._topic = topic
        self._partitions = itertools.cycle(range(partitions))
        self._customers = customers
        self._run = run
        self._ids = (f"{run}-{number}" for number in itertools.count())
        self._random = random.Random(run)
        self.probes: dict[str, float] = {}

    def send(self, number: int) -> None:
        for _ in range(number):
            customer = f"C{int(self._random.random() * self._customers):07d}"
            self._sell(customer, 1 + int(self._random.random() * 50_000) / 100)

    def send_probe(self, number: int) -> None:
        customer = probe(self._run, number)
        for _ in range(PROBE_SALES):
            self._sell(customer, PROBE_AMOUNT)
        self.probes[customer] = time.time()

    def _sell(self, customer: str, amount: float) -> None:
        product, store = int(self._random.random() * 6) + 1, int(self._random.random() * 3) + 1
        sale = Sale(
            next(self._ids), f"P00{product}", f"S00{store}", customer, amount,
            datetime.now(UTC).isoformat(),
        )  # fmt: skip
        self._producer.produce(
            self._topic, message(sale), sale.transaction_id, next(self._partitions), headers=HEADERS
        )


def main() -> None:
    request = protocol.request()
    # As the project's own producer sends: what a batch waits is part of the latency.
    producer = Producer(producer_settings(request["servers"]))
    sales = _Sales(
        producer, request["topic"], request["partitions"], request["customers"], request["run"]
    )
    protocol.wait_for_go()
    protocol.end_with_the_benchmark()
    if request["rate"]:
        _pace(sales, producer, request["rate"], request["seconds"])
    else:
        _hurry(sales, producer, request["messages"])
    producer.flush()
    sys.stdout.write(f"{json.dumps(sales.probes)}\n")
    sys.stdout.flush()


def _pace(sales: _Sales, producer: Producer, rate: int, seconds: int) -> None:
    """Probes come on top of `rate`."""
    started, elapsed, sent = time.perf_counter(), 0.0, 0
    while elapsed < seconds:
        elapsed = min(seconds, time.perf_counter() - started)
        if len(sales.probes) < int(elapsed * PROBES_A_SECOND):
            sales.send_probe(len(sales.probes))
        sales.send(int(elapsed * rate) - sent)
        sent = int(elapsed * rate)
        producer.poll(0)
        time.sleep(_TICK_SECONDS)


def _hurry(sales: _Sales, producer: Producer, messages: int) -> None:
    for _ in range(0, messages, _PIECE):
        sales.send(_PIECE)
        producer.poll(0)
        while len(producer) > _QUEUED:
            producer.poll(0.05)


if __name__ == "__main__":
    main()
