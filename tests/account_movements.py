"""Movements of bank accounts as messages, and a loader that lands them where a test wants."""

import itertools
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from insight.database import Connection, DatabaseEndpoint, connect
from streaming import progress
from streaming.contract import Contract
from streaming.loading.bad_limit import BadLimit
from streaming.loading.judge import Judge
from streaming.loading.load_batch import load_batch
from streaming.progress import Claim, PartitionKey
from streaming.simulators.arrivals import SECOND, START, microseconds
from streaming.sources.account_simulator import SIMULATION

DAY = 86_400 * SECOND


@dataclass(frozen=True)
class Arrived:
    """A message as the consumer hands it over."""

    number: int
    body: bytes

    def offset(self) -> int:
        return self.number

    def key(self) -> bytes | None:
        return None

    def value(self) -> bytes:
        return self.body

    def headers(self) -> None:
        return None

    def timestamp(self) -> tuple[int, int]:
        return 1, 1_577_836_800_000


@dataclass
class Loader:
    """Lands messages as the real loader does, where and when a test wants."""

    database: DatabaseEndpoint
    contract: Contract
    _claims: dict[int, Claim] = field(default_factory=dict)
    _next: dict[int, int] = field(default_factory=dict)

    def claim(self, partition: int) -> Claim:
        if partition not in self._claims:
            key = PartitionKey("test", self.contract.topic, partition)
            with connect(self.database, autocommit=True) as connection:
                self._claims[partition] = progress.claim(
                    connection, self.contract.stream, key, "test", 0, 0
                )
        return self._claims[partition]

    def land(
        self, partition: int, bodies: Sequence[bytes], connection: Connection | None = None
    ) -> None:
        """One batch of a partition; on a connection of the caller it is not committed."""
        held = self.claim(partition)
        lo = self._next.get(partition, 0)
        arrived = [Arrived(*each) for each in zip(itertools.count(lo), bodies, strict=False)]
        batch = Judge(self.contract, BadLimit(count=10**9)).batch(arrived, lo)
        self._next[partition] = lo + len(bodies)
        if connection is not None:
            load_batch(connection, self.contract, held, batch, lo + len(bodies))
            return
        with connect(self.database, autocommit=True) as own:
            load_batch(own, self.contract, held, batch, lo + len(bodies))

    def land_all(self, bodies: Sequence[tuple[str, bytes]], piece: int = 37) -> None:
        """Messages with their keys, in pieces, each on one of three partitions by its key."""
        for start in range(0, len(bodies), piece):
            part = bodies[start : start + piece]
            for partition in range(3):
                own = [body for key, body in part if zlib.crc32(key.encode()) % 3 == partition]
                if own:
                    self.land(partition, own)


def simulated(days: float, seed: int = 2019, a_day: float = 500.0) -> list[tuple[str, bytes]]:
    """Messages of the invented bank with their keys, from the start of the simulation."""
    first = microseconds(START)
    events = SIMULATION.streams["account-transactions"].between(
        seed, a_day, first, first + int(days * DAY)
    )
    return [(str(each.key), bytes(each.value or b"")) for each in events]


def movement(number: int, **changes: object) -> bytes:
    """One message of the stream; its number makes its id."""
    event = {
        "transaction_id": f"{number:032x}",
        "customer_id": "A00001",
        "transaction_amt": -12.5,
        "transaction_time": "2019-12-10T10:00:00Z",
    }
    return json.dumps(event | changes).encode()
