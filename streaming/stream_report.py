"""What a run of producers and loader together tells at its end."""

from dataclasses import dataclass

from streaming.contract import Contract
from streaming.loading.report import LoadReport
from streaming.producing.status import ProducerReport


@dataclass(frozen=True)
class StreamOutcome:
    """What happened to one stream.

    `state` is the loader's when it halted, else the producer's: finished, stopped, paused,
    unreachable, missing_key, produced_elsewhere or stopped_<why>.
    """

    stream: str
    source: str
    polled: int
    delivered: int
    loaded: int
    quarantined: int
    unchanged_polls: int
    state: str
    reason: str | None
    seconds: float


@dataclass(frozen=True)
class StreamReport:
    """What happened to all streams, in the order of their contracts."""

    streams: list[StreamOutcome]
    seconds: float


def outcome(
    contract: Contract, produced: dict[str, ProducerReport], loaded: LoadReport, seconds: float
) -> StreamOutcome:
    """What happened to the stream of a contract, as its producer and the loader tell it."""
    producer = produced.get(contract.stream) or ProducerReport(
        contract.stream, "", state="finished"
    )
    load = loaded.streams[contract.stream]
    return StreamOutcome(
        stream=contract.stream,
        source=producer.source,
        polled=producer.polled,
        delivered=producer.delivered,
        loaded=load.rows,
        quarantined=load.quarantined,
        unchanged_polls=producer.unchanged_polls,
        state=load.state if load.is_halted else producer.state,
        reason=load.reason if load.is_halted else producer.reason,
        seconds=seconds,
    )
