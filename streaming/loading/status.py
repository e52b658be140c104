"""What a loader says about itself in the database: where its time goes, how large its batches are.

Prometheus gets the same numbers from the meter; this row is for people who have only SQL.
"""

import time
from collections.abc import Sequence

from confluent_kafka import Consumer

from insight.database import Connection
from streaming.loading.ownership import Held
from streaming.metrics import LoaderMeter, bottleneck
from streaming.topics import fetched_watermark

_SECONDS = 2.0


class LoaderStatus:
    """Keeps the row of one loader in `streaming.loader_status` fresh."""

    def __init__(self, owner: str, meter: LoaderMeter):
        self._owner = owner
        self._meter = meter
        self._told_at = time.monotonic()
        self._seconds = meter.seconds()
        self._totals = meter.totals()

    def tell(self, connection: Connection, held: Sequence[Held], consumer: Consumer) -> None:
        """Write the shares of the time since the last call; at most every two seconds."""
        elapsed = time.monotonic() - self._told_at
        if elapsed < _SECONDS:
            return
        self._meter.lags(
            {
                (each.contract.stream, each.key.partition): max(
                    each.high_watermark, fetched_watermark(consumer, *each.partition)
                )
                - each.next_offset
                for each in held
            }
        )
        self._write(connection, elapsed, len(held))
        self._told_at = time.monotonic()

    def _write(self, connection: Connection, elapsed: float, partitions: int) -> None:
        seconds, totals = self._meter.seconds(), self._meter.totals()
        shares = {
            phase: min(1.0, (seconds[phase] - self._seconds[phase]) / elapsed) for phase in seconds
        }
        batches = totals.batches - self._totals.batches
        messages = totals.messages - self._totals.messages
        connection.execute(
            """insert into streaming.loader_status as known
                   (owner, partitions, messages_per_second, mean_batch_messages,
                    mean_batch_seconds, consume_share, decode_share, copy_share, commit_share,
                    idle_share, bottleneck)
               values (%(owner)s, %(partitions)s, %(rate)s, %(size)s, %(duration)s, %(consume)s,
                       %(decode)s, %(copy)s, %(commit)s, %(idle)s, %(bottleneck)s)
               on conflict (owner) do update set
                   partitions = excluded.partitions,
                   messages_per_second = excluded.messages_per_second,
                   mean_batch_messages = excluded.mean_batch_messages,
                   mean_batch_seconds = excluded.mean_batch_seconds,
                   consume_share = excluded.consume_share, decode_share = excluded.decode_share,
                   copy_share = excluded.copy_share, commit_share = excluded.commit_share,
                   idle_share = excluded.idle_share, bottleneck = excluded.bottleneck,
                   seen_at = now()""",
            {
                "owner": self._owner,
                "partitions": partitions,
                "rate": messages / elapsed,
                "size": messages / batches if batches else None,
                "duration": (totals.seconds - self._totals.seconds) / batches if batches else None,
                "bottleneck": bottleneck(shares),
                **shares,
            },
        )
        connection.execute(
            "delete from streaming.loader_status where seen_at < now() - interval '1 hour'"
        )
        self._seconds, self._totals = seconds, totals
