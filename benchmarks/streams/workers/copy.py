"""A bare COPY of the same rows, ready in memory as COPY text, 20,000 a transaction.

Into the loader's columns (coordinates too) without its index: what Postgres takes at most here.
"""

from collections.abc import Iterator

from benchmarks.streams.messages import sales
from benchmarks.streams.workers import protocol
from benchmarks.streams.workers.sale import COLUMNS
from benchmarks.streams.workers.target import endpoint
from insight.database import connect

_BATCH = 20_000


def main() -> None:
    request = protocol.request()
    blocks = list(_blocks(request["messages"], request["partitions"]))
    columns = f"{COLUMNS}, _offset, _partition_id, _load_id"
    protocol.wait_for_go()
    protocol.end_with_the_benchmark()
    with connect(endpoint(request), autocommit=True) as connection:
        cursor = connection.cursor()
        for block in blocks:
            with cursor.copy(f"copy bench.sales_with_place ({columns}) from stdin") as copy:
                copy.write(block)


def _blocks(messages: int, partitions: int) -> Iterator[bytes]:
    lines: list[str] = []
    for number, sale in enumerate(sales(messages)):
        place = f"{number // partitions}\t{number % partitions + 1}\t{number // _BATCH + 1}"
        lines.append("\t".join(map(str, sale)) + f"\t{place}\n")
        if len(lines) == _BATCH or number == messages - 1:
            yield "".join(lines).encode()
            lines.clear()


if __name__ == "__main__":
    main()
