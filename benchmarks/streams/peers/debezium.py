"""The Debezium JDBC sink in Kafka Connect, standalone, from its jars."""

import hashlib
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from psycopg import sql

from benchmarks.streams.contenders import Contender, Running, create_plain_tables
from benchmarks.streams.ground import CACHE, Ground
from insight.database import DatabaseEndpoint
from insight.services.ports import free_port

_POM = Path(__file__).with_name("debezium-pom.xml")

_CONNECT = """
bootstrap.servers={servers}
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
value.converter.schemas.enable=true
offset.storage.file.filename={folder}/offsets
offset.flush.interval.ms=10000
listeners=http://localhost:{port}
consumer.auto.offset.reset=earliest
consumer.max.poll.records=20000
consumer.max.partition.fetch.bytes=10485760
consumer.fetch.max.bytes=104857600
"""

_SINK = """
name={group}
connector.class=io.debezium.connector.jdbc.JdbcSinkConnector
tasks.max=1
topics={topic}
connection.url=jdbc:postgresql://{host}:{database_port}/{database}?reWriteBatchedInserts=true
connection.username={user}
connection.password={password}
insert.mode=insert
primary.key.mode=none
schema.evolution=none
batch.size=10000
collection.name.format=bench.sales
"""


@dataclass(frozen=True)
class Debezium(Contender):
    """10,000 rows a batch, into the contract's columns; its messages carry their schema."""

    @property
    def table(self) -> sql.Identifier:
        return sql.Identifier("bench", "sales")

    def prepare(self) -> None:
        jars()

    def create(self, database: DatabaseEndpoint) -> None:
        create_plain_tables(database)

    def start(self, ground: Ground, database: DatabaseEndpoint) -> Running:
        files = self._configuration(ground, database)
        command = ["java", "-Xmx1g", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        command += ["-cp", f"{jars()}/*", "org.apache.kafka.connect.cli.ConnectStandalone"]
        log = ground.folder / "debezium.log"
        with open(log, "a") as output:
            process = subprocess.Popen([*command, *files], stdout=output, stderr=output, text=True)
        return Running([process], log)

    def _configuration(self, ground: Ground, database: DatabaseEndpoint) -> list[str]:
        group = ground.new_name()
        folder = ground.folder / group
        folder.mkdir(mode=0o700)
        connect, sink = folder / "connect.properties", folder / "sink.properties"
        servers = ground.kafka.bootstrap_servers
        connect.write_text(_CONNECT.format(servers=servers, folder=folder, port=free_port()))
        sink.write_text(
            _SINK.format(
                group=group,
                topic=self.topic.name,
                host=database.host,
                database_port=database.port,
                database=database.dbname,
                user=database.user,
                password=database.password.get_secret_value(),
            )
        )
        return [str(connect), str(sink)]


def jars() -> Path:
    """The folder with the jars of the pom; another pom gets another folder."""
    found = CACHE / f"debezium-{_digest(_POM)}"
    if not found.exists():
        unfinished = found.with_suffix(".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={unfinished}"]
        subprocess.run(["mvn", "-q", "-B", "-f", str(_POM), *goal], check=True)  # noqa: S607
        unfinished.rename(found)
    return found


def version() -> str:
    """The connector's version, from the name of its jar."""
    jar = next(jars().glob("debezium-connector-jdbc-*.jar"))
    return jar.stem.removeprefix("debezium-connector-jdbc-")


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]
