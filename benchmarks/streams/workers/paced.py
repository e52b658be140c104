"""A producer at a steady rate; each sale's time is the moment at which it was produced."""

import itertools
import time
from datetime import UTC, datetime

from confluent_kafka import Producer

from benchmarks.streams.messages import HEADERS, message, producer_settings, sales
from benchmarks.streams.workers import protocol

_TICK_SECONDS = 0.001


def main() -> None:
    request = protocol.request()
    rate, messages = request["rate"], request["messages"]
    # The settings of the project's own producer: what it waits is part of the latency.
    producer = Producer(producer_settings(request["servers"], linger_ms=2))
    ready = list(sales(messages))
    topic, partitions = request["topic"], itertools.cycle(range(request["partitions"]))
    protocol.wait_for_go()
    protocol.end_with_the_benchmark()
    started, sent = time.perf_counter(), 0
    while sent < messages:
        due = min(messages, int((time.perf_counter() - started) * rate))
        for sale in ready[sent:due]:
            now = datetime.now(UTC).isoformat()
            value = message(sale._replace(timestamp=now))
            producer.produce(topic, value, sale.transaction_id, next(partitions), headers=HEADERS)
        producer.poll(0)
        sent = due
        time.sleep(_TICK_SECONDS)
    producer.flush()


if __name__ == "__main__":
    main()
