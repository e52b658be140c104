"""What producers say about themselves, one row a stream."""

from dataclasses import dataclass

from insight.database import Connection


@dataclass
class ProducerReport:
    """What one producer did.

    `state` is running, finished, stopped, paused, unreachable, failed, missing_key,
    produced_elsewhere or stopped_<why>. `missed_ticks` are polls left out because the ones before
    them, or what follows a poll, took too long.
    """

    stream: str
    source: str
    polled: int = 0
    delivered: int = 0
    unchanged_polls: int = 0
    failed_polls: int = 0
    missed_ticks: int = 0
    spilled: int = 0
    state: str = "running"
    reason: str | None = None


def write_status(connection: Connection, report: ProducerReport) -> None:
    """Replace the row of the report's stream."""
    connection.execute(
        """insert into streaming.producer_status
               (stream, source, state, state_reason, polled, delivered, unchanged_polls,
                failed_polls, missed_ticks, spilled)
           values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
           on conflict (stream) do update set
               source = excluded.source, state = excluded.state,
               state_reason = excluded.state_reason, polled = excluded.polled,
               delivered = excluded.delivered, unchanged_polls = excluded.unchanged_polls,
               failed_polls = excluded.failed_polls, missed_ticks = excluded.missed_ticks,
               spilled = excluded.spilled, updated_at = now()""",
        (
            report.stream,
            report.source,
            report.state,
            report.reason,
            report.polled,
            report.delivered,
            report.unchanged_polls,
            report.failed_polls,
            report.missed_ticks,
            report.spilled,
        ),
    )
