"""Live segments of 100,000 customers beside a loop over the same movements that only counts them.

Both read the same rows of Postgres in the same pieces. The loop adds one for each movement of a
customer, in memory, and writes nothing.
"""

import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from psycopg import sql

from benchmarks import machine
from benchmarks.readme import table
from insight.database import Connection, DatabaseEndpoint, connect
from insight.services import open_services
from insight.settings import load_settings
from segmentation.live.order import Place, Span, horizon, next_spans
from segmentation.live.run import STREAM, LiveOptions, Start, Step, run_live_segments
from segmentation.live.sample_customers import sample_csv
from streaming import progress
from streaming.contract import Contract, load_contracts
from streaming.progress import Advance, PartitionKey
from streaming.registry import open_registry
from streaming.tables import raw_table

CUSTOMERS = 100_000
EVENTS = 200_000
_PARTITIONS = 4
_ROUNDS = 3
_LOAD = 5_000

_FILL = """
insert into {raw}
    (transaction_id, customer_id, transaction_amt, transaction_time,
     _offset, _partition_id, _load_id)
select
    md5(%(partition)s || '-' || i),
    'A' || lpad(
        (1 + (hashint8(i * {partitions} + %(partition)s) & 1048575) %% %(customers)s)::text, 5, '0'
    ),
    (((hashint8(i + 7) & 1048575) - 524288) / 1000.0)::numeric(14, 2),
    timestamptz '2019-12-02Z' + i * interval '2 seconds',
    i, %(partition_id)s, %(load_id)s
from generate_series(%(lo)s::bigint, %(hi)s) as i
"""


@dataclass(frozen=True)
class Measured:
    """Seconds of one pass over all movements, on the clock and of the process's own CPU."""

    seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class Results:
    """All rounds of both sides, in turn; `written` are the rows of customers that ours wrote."""

    customers: int
    events: int
    start_seconds: float
    written: int
    ours: tuple[Measured, ...]
    baseline: tuple[Measured, ...]


def run(customers: int = CUSTOMERS, events: int = EVENTS, rounds: int = _ROUNDS) -> Results:
    """Measure both sides in turn, with a Postgres that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="insight-bench-", dir="/tmp") as name:
        folder = Path(name)
        # As root the server runs as another account, which must be able to enter its home.
        folder.chmod(0o755)
        start = folder / "customers.csv"
        start.write_text(sample_csv(2019, customers))
        settings = load_settings().model_copy(update={"home": folder / "home"})
        with open_services(settings) as services:
            return _measure(services.database, start, customers, events, rounds)


def _measure(
    database: DatabaseEndpoint, start: Path, customers: int, events: int, rounds: int
) -> Results:
    contracts = open_registry(database, load_contracts())
    contract = next(each for each in contracts if each.stream == STREAM)
    _fill(database, contract, customers, events)
    ours, baseline, starts, written = [], [], [], 0
    for _ in range(rounds):
        baseline.append(_counted(database, contract, customers))
        mine, started, written = _segmented(database, start, events)
        ours.append(mine)
        starts.append(started)
        _say(f"{mine.seconds:.1f} s, the bare loop {baseline[-1].seconds:.1f} s")
    return Results(
        customers, events, statistics.median(starts), written, tuple(ours), tuple(baseline)
    )


def _fill(database: DatabaseEndpoint, contract: Contract, customers: int, events: int) -> None:
    """Loads of the partitions in turn, like those of a loader that is behind."""
    statement = sql.SQL(_FILL).format(raw=raw_table(contract), partitions=sql.Literal(_PARTITIONS))
    with connect(database, autocommit=True) as connection:
        keys = [PartitionKey("bench", contract.topic, each) for each in range(_PARTITIONS)]
        claims = [progress.claim(connection, STREAM, each, "bench", 0, 0) for each in keys]
        for lo in range(0, events // _PARTITIONS, _LOAD):
            hi = min(lo + _LOAD, events // _PARTITIONS) - 1
            for partition, held in enumerate(claims):
                with connection.transaction():
                    move = Advance(lo, hi, hi - lo + 1, 0, 0, hi + 1)
                    values = {
                        "partition": partition,
                        "customers": customers,
                        "partition_id": held.partition_id,
                        "load_id": progress.advance(connection, held, move),
                        "lo": lo,
                        "hi": hi,
                        "stream": STREAM,
                        "topic": contract.topic,
                    }
                    connection.execute(statement, values)
                    connection.execute(
                        """insert into streaming.load_ledger
                               (load_id, stream, partition_id, cluster_id, topic, partition, lo,
                                hi, rows, quarantined)
                           values (%(load_id)s, %(stream)s, %(partition_id)s, 'bench', %(topic)s,
                                   %(partition)s, %(lo)s, %(hi)s, %(hi)s - %(lo)s + 1, 0)""",
                        values,
                    )
        connection.execute(sql.SQL("vacuum analyze {}").format(raw_table(contract)))
    _say(f"{events:,} movements of {customers:,} customers are there")


def _segmented(database: DatabaseEndpoint, start: Path, events: int) -> tuple[Measured, float, int]:
    """The role on all movements; (measured, seconds to start before it, rows written)."""
    began = time.perf_counter()
    marks: list[tuple[float, float]] = []

    def on_step(step: Step) -> None:
        if step == Step.STARTED:
            marks.append((time.perf_counter(), time.process_time()))

    report = run_live_segments(
        database,
        load_contracts(),
        Start(start, over=True),
        stop=threading.Event(),
        until_caught_up=True,
        options=LiveOptions(on_step=on_step),
    )
    if report.movements != events:
        raise RuntimeError(f"{report.movements} of {events} movements were counted")
    clock, cpu = marks[0]
    measured = Measured(time.perf_counter() - clock, time.process_time() - cpu)
    return measured, clock - began, report.customers


def _counted(database: DatabaseEndpoint, contract: Contract, customers: int) -> Measured:
    """The bare loop."""
    clock, cpu = time.perf_counter(), time.process_time()
    counts: Counter[object] = Counter()
    with connect(database, autocommit=True) as connection:
        for spans in _pieces(connection):
            for partition_id, lo, hi in ((each.partition_id, each.lo, each.hi) for each in spans):
                rows = connection.execute(
                    sql.SQL(
                        """select customer_id, transaction_amt, transaction_time from {}
                           where _partition_id = %s and _offset between %s and %s"""
                    ).format(raw_table(contract)),
                    (partition_id, lo, hi),
                )
                counts.update(row[0] for row in rows)
    if not 0 < len(counts) <= customers:
        raise RuntimeError("the bare loop has read nothing")
    return Measured(time.perf_counter() - clock, time.process_time() - cpu)


def _pieces(connection: Connection) -> Iterator[list[Span]]:
    until, place = horizon(connection, STREAM).load_id, Place()
    while spans := next_spans(connection, STREAM, place, until, LiveOptions.rows):
        place = spans[-1].end
        yield spans


def report(results: Results) -> str:
    """The results as Markdown."""
    ours = statistics.median(each.seconds for each in results.ours)
    bare = statistics.median(each.seconds for each in results.baseline)
    rows = [
        _row("`insight segment-live`", results.events, results.ours),
        _row("a bare loop that counts them, and writes nothing", results.events, results.baseline),
    ]
    return "\n\n".join(
        [
            table(("what", "movements a second", "seconds", "own CPU, µs a movement"), rows),
            f"{results.events:,} movements of {results.customers:,} customers, each about as"
            f" often; ours takes {ours / bare:.1f} times as long. It wrote"
            f" {results.written:,} rows of customers, and noted every id."
            f" Reading and fitting the start file took {results.start_seconds:.1f} s before.",
            f"{machine.told()} Medians of {len(results.ours)} rounds in turn.",
        ]
    )


def _row(name: str, events: int, rounds: tuple[Measured, ...]) -> tuple[str, ...]:
    seconds = statistics.median(each.seconds for each in rounds)
    cpu = statistics.median(each.cpu_seconds for each in rounds)
    return name, f"{events / seconds:,.0f}", f"{seconds:.2f}", f"{cpu / events * 1e6:.1f}"


def _say(text: str) -> None:
    sys.stdout.write(f"live, {text}\n")
    sys.stdout.flush()
