"""A real Apache Kafka for the tests, from its jars: needs Java 17 and Maven, no Docker."""

import fcntl
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
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
listeners=PLAINTEXT://localhost:{port},PROXIED://localhost:{proxied_port},\
CONTROLLER://localhost:{controller_port}
advertised.listeners=PLAINTEXT://localhost:{port},PROXIED://localhost:{proxy_port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={folder}/log
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
num.partitions=4
"""


def missing_programs() -> str | None:
    """Which of the programs it needs are not on this machine."""
    missing = [program for program in ("java", "mvn") if shutil.which(program) is None]
    return " and ".join(missing) or None


class ApacheKafka:
    """One broker in KRaft mode with its log below `folder`; can be killed and started again.

    Clients that reach it at `proxy_port` are told to come back there, so that all they say goes
    through a proxy to `proxied_port`; without one, the two are the same.
    """

    def __init__(
        self, folder: Path, proxy_port: int | None = None, proxied_port: int | None = None
    ):
        _fetch_jars()
        port = free_port()
        proxied_port = proxied_port or free_port()
        self._log = folder / "kafka.log"
        self._configuration = folder / "server.properties"
        self._configuration.write_text(
            _PROPERTIES.format(
                port=port,
                proxied_port=proxied_port,
                proxy_port=proxy_port or proxied_port,
                controller_port=free_port(),
                folder=folder,
            )
        )
        cluster_id = _java("kafka.tools.StorageTool", "random-uuid").strip().split("\n")[-1]
        _java("kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(self._configuration))
        self.endpoint = KafkaEndpoint(f"localhost:{port}", cluster_id, embedded=False)
        self.proxied = replace(
            self.endpoint, bootstrap_servers=f"localhost:{proxy_port or proxied_port}"
        )
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns once it answers."""
        with open(self._log, "a") as log:
            self._process = subprocess.Popen(
                ["java", "-Xmx512m", "-cp", f"{_JARS}/*", "kafka.Kafka", str(self._configuration)],
                stdout=log,
                stderr=log,
            )
        _wait_for(self._port, self._process)

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(timeout=60)


@contextmanager
def apache_kafka(folder: Path) -> Iterator[KafkaEndpoint]:
    """One broker in KRaft mode with its log below `folder`, stopped at the end."""
    kafka = ApacheKafka(folder)
    try:
        kafka.start()
        yield kafka.endpoint
    finally:
        kafka.stop()


def _fetch_jars() -> None:
    """Once, however many processes ask for them at the same time."""
    with open(_POM) as pom:
        fcntl.flock(pom, fcntl.LOCK_EX)
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
