"""A real Apache Kafka for the tests, from its jars: needs Java 17 and Maven, no Docker."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from insight.services import KafkaEndpoint
from insight.services.ports import free_port

_FOLDER = Path(__file__).parent / "kafka"
_POM = _FOLDER / "pom.xml"
_JARS = _FOLDER / "jars"
_START_SECONDS = 60

_PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@localhost:{controller_port}
listeners=PLAINTEXT://localhost:{port},CONTROLLER://localhost:{controller_port}
controller.listener.names=CONTROLLER
log.dirs={folder}/log
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
num.partitions=4
"""


def missing_programs() -> str | None:
    """Which of the programs it needs are not on this machine."""
    missing = [program for program in ("java", "mvn") if shutil.which(program) is None]
    return " and ".join(missing) or None


@contextmanager
def apache_kafka(folder: Path) -> Iterator[KafkaEndpoint]:
    """One broker in KRaft mode with its log below `folder`, stopped at the end."""
    _fetch_jars()
    port, configuration = free_port(), folder / "server.properties"
    configuration.write_text(
        _PROPERTIES.format(port=port, controller_port=free_port(), folder=folder)
    )
    cluster_id = _java("kafka.tools.StorageTool", "random-uuid").strip().split("\n")[-1]
    _java("kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(configuration))
    with open(folder / "kafka.log", "w") as log:
        process = subprocess.Popen(
            ["java", "-Xmx512m", "-cp", f"{_JARS}/*", "kafka.Kafka", str(configuration)],
            stdout=log,
            stderr=log,
        )
    try:
        _wait_for(port, process)
        yield KafkaEndpoint(f"localhost:{port}", cluster_id, embedded=False)
    finally:
        process.terminate()
        process.wait(timeout=60)


def _fetch_jars() -> None:
    if _JARS.exists():
        return
    unfinished = _FOLDER / "jars.new"
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={unfinished}"]
    subprocess.run(["mvn", "-q", "-B", "-f", str(_POM), *goal], check=True)
    unfinished.rename(_JARS)


def _java(main_class: str, *arguments: str) -> str:
    command = ["java", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{_JARS}/*"]
    outcome = subprocess.run(
        [*command, main_class, *arguments], check=True, capture_output=True, text=True
    )
    return outcome.stdout


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    client = AdminClient({"bootstrap.servers": f"localhost:{port}", "log_level": 0})
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            client.list_topics(timeout=1)
        except KafkaException:
            time.sleep(0.2)
        else:
            return
    raise RuntimeError("Apache Kafka does not start; see kafka.log in its folder")
