"""What can be set of a loader, and what follows for its sessions with Kafka and Postgres."""

from dataclasses import dataclass, field

from insight.database import Connection
from insight.services import KafkaEndpoint
from streaming.loading.bad_limit import BadLimit
from streaming.loading.load_batch import OnStep, ignore_step
from streaming.metrics import LoaderMeter


@dataclass(frozen=True)
class LoaderOptions:
    """What bounds a batch: messages, bytes, and how long a message waits for others.

    A stream without a backlog lands every `batch_seconds`; one that is behind, in full batches.
    A member of the group, or a broker, that says nothing for `session_timeout_seconds` counts as
    gone; a transaction that stands still for `stall_seconds` is ended by Postgres, or by the loader
    that takes over. `meter` is told what the loader does.
    """

    group: str = "insight-loader"
    batch_messages: int = 20_000
    batch_bytes: int = 16 * 1024 * 1024
    batch_seconds: float = 0.1
    fetch_ahead_kib: int = 32_768
    session_timeout_seconds: float | None = None
    stall_seconds: float = 30.0
    bad_limit: BadLimit = field(default_factory=BadLimit)
    meter: LoaderMeter = field(default_factory=LoaderMeter)
    on_step: OnStep = ignore_step


def set_up_session(connection: Connection, options: LoaderOptions) -> None:
    """The settings of a loader's session in Postgres."""
    # A commit that a server crash takes back is replayed: the offset goes with it.
    connection.execute("set synchronous_commit = off")
    # A loader that was stopped in a transaction would keep others from its partition for ever.
    for name in ("statement_timeout", "idle_in_transaction_session_timeout"):
        value = f"{int(options.stall_seconds * 1000)}ms"
        connection.execute("select set_config(%s, %s, false)", (name, value))


def consumer_settings(kafka: KafkaEndpoint, options: LoaderOptions) -> dict[str, object]:
    """The settings of a loader's consumer."""
    session_ms = int(1000 * (options.session_timeout_seconds or (6 if kafka.embedded else 10)))
    return {
        "bootstrap.servers": kafka.bootstrap_servers,
        "group.id": options.group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        # The default, latest, would turn a gap into silent loss.
        "auto.offset.reset": "error",
        # The defaults of a second and half a second show up as stalls and as latency.
        "fetch.queue.backoff.ms": 10,
        "fetch.wait.max.ms": 50,
        "queued.max.messages.kbytes": options.fetch_ahead_kib,
        # Until then a killed member keeps its partitions; the embedded broker does not notice
        # when one leaves in order either.
        "session.timeout.ms": session_ms,
        "heartbeat.interval.ms": min(1_000, session_ms // 3),
        # The default of a minute is how long a connection that died unnoticed stalls a partition.
        "socket.timeout.ms": session_ms,
        "log_level": 3,
    }
