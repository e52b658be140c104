"""The bare loop: consume, decode, COPY. No check, no quarantine, no progress, no coordinates.

What a person writes on an afternoon, written well: it loses or repeats rows when it is stopped,
and one bad message ends it.
"""

from benchmarks.streams.workers import protocol
from benchmarks.streams.workers.sale import COLUMNS, decode
from benchmarks.streams.workers.target import consumer, endpoint
from insight.database import connect

_BATCH = 20_000


def main() -> None:
    request = protocol.request()
    protocol.wait_for_go()
    protocol.end_with_the_benchmark()
    left, source = request["messages"], consumer(request)
    with connect(endpoint(request), autocommit=True) as connection:
        cursor = connection.cursor()
        while left > 0:
            # Waits until there are as many, so each COPY but the last has 20,000 rows.
            messages = source.consume(min(_BATCH, left), 1.0)
            lines = []
            for message in messages:
                sale = decode(message.value())  # type: ignore[arg-type]
                lines.append(
                    f"{sale.transaction_id}\t{sale.product_id}\t{sale.store_id}\t"
                    f"{sale.customer_id}\t{sale.amount}\t{sale.timestamp}\n"
                )
            with cursor.copy(f"copy bench.sales ({COLUMNS}) from stdin") as copy:
                copy.write("".join(lines))
            left -= len(messages)
    source.close()


if __name__ == "__main__":
    main()
