"""A producer of simulated sales in a process of its own, which kills itself. Not a test itself."""

import json
import os
import signal
import sys
import threading
from pathlib import Path

from pydantic import SecretStr

from insight.database import DatabaseEndpoint
from insight.services import KafkaEndpoint
from streaming.contract import load_contracts
from streaming.producing.loop import Schedule, produce
from streaming.producing.steps import Step
from streaming.sources.pos_simulator import SIMULATION
from streaming.sources.simulated import SimulatedSource, Volume
from streaming.topics import ensure_topics


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
    kafka = KafkaEndpoint(*request["kafka"])
    (contract,) = [each for each in load_contracts() if each.stream == "transactions"]
    contract = contract.on_topic(request["topic"])
    ensure_topics(kafka, [contract])
    produce(
        database,
        kafka,
        contract,
        SimulatedSource(SIMULATION, "transactions", Volume(600.0), seed=2019, paced=False),
        Schedule(0.0, unchanged_polls=2),
        spill_dir=Path(request["spill_dir"]),
        stop=threading.Event(),
        on_step=_killer(request["kill_at"], request["polls"]),
    )


def _killer(kill_at: str, polls: int):
    """Kill this process at a step of a poll; while it is being sent a moment after POLLED."""
    step_to_count = Step.POLLED if kill_at == "sending" else Step(kill_at)
    left = [polls]

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def on_step(step: Step) -> None:
        left[0] -= step == step_to_count
        if left[0]:
            return
        if kill_at == "sending":
            threading.Timer(0.005, die).start()
        else:
            die()

    return on_step


main()
