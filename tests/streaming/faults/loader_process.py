"""A loader in a process of its own, which a test can kill or stop. Not a test itself.

Reads its request from standard input as JSON. With `signal` it sends that to itself when it comes
to `step` for the `nth` time. Ends in order on SIGTERM, once it
has printed that it listens.
"""

import json
import logging
import os
import signal
import sys
import threading
import time

from pydantic import SecretStr

from insight.database import DatabaseEndpoint
from insight.services import KafkaEndpoint
from streaming.contract import load_contracts
from streaming.loading.load_batch import OnStep, Step, ignore_step
from streaming.loading.loader import load_streams
from streaming.loading.options import LoaderOptions


def main() -> None:
    logging.basicConfig(format="%(asctime)s %(message)s")
    request = json.load(sys.stdin)
    host, port, user, password, dbname = request["database"]
    topics = request["topics"]
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    # From here on it ends in order; before, SIGTERM would kill it.
    print("listening", flush=True)  # noqa: T201 (what the test waits for)
    load_streams(
        DatabaseEndpoint(host, port, user, SecretStr(password), dbname),
        KafkaEndpoint(*request["kafka"]),
        [each.on_topic(topics[each.stream]) for each in load_contracts() if each.stream in topics],
        stop=stop,
        until_caught_up=request["until_caught_up"],
        # Never set: it only says that all partitions are ours, without a group.
        drain=None if request["in_group"] else threading.Event(),
        options=LoaderOptions(**request["options"], on_step=_signaller(request)),
    )


def _signaller(request: dict[str, object]) -> OnStep:
    if request["signal"] is None:
        return ignore_step
    left = [request["nth"]]

    def on_step(step: Step) -> None:
        if step == request["step"]:
            left[0] -= 1  # type: ignore[operator]
            if left[0] == 0:
                os.kill(os.getpid(), signal.Signals[str(request["signal"])])
                # The signal may reach another thread first: this one must not get past the step.
                time.sleep(1)

    return on_step


main()
