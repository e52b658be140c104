"""A role in a process of its own, for tests that kill it. Not a test itself."""

import json
import os
import signal
import sys
from pathlib import Path

from pydantic import SecretStr

from insight.database import DatabaseEndpoint
from insight.services import KafkaEndpoint
from streaming.contract import load_contracts
from streaming.loading.load_batch import Step
from streaming.loading.loader import LoaderOptions, load_streams
from streaming.run import StreamOptions, stream


def main() -> None:
    request = json.load(sys.stdin)
    environment = request["database"]
    database = DatabaseEndpoint(
        environment["PGHOST"],
        int(environment["PGPORT"]),
        environment["PGUSER"],
        SecretStr(environment["PGPASSWORD"]),
        environment["PGDATABASE"],
    )
    address, cluster_id, embedded = request["kafka"]
    kafka = KafkaEndpoint(address, cluster_id, embedded)
    topics = request["topics"]
    contracts = [
        each.on_topic(topics[each.stream]) for each in load_contracts() if each.stream in topics
    ]
    if sys.argv[1] == "load":
        options = LoaderOptions(batch_messages=50, on_step=_killer(Step(sys.argv[2])))
        load_streams(database, kafka, contracts, until_caught_up=True, options=options)
    else:
        options = StreamOptions(Path(request["spill_dir"]))
        stream(database, kafka, contracts, duration_seconds=None, live=False, options=options)


def _killer(step_to_die_at: Step):
    """Kill this process when it reaches the step for the third time."""
    left = [3]

    def on_step(step: Step) -> None:
        if step == step_to_die_at:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return on_step


main()
