"""A plain consumer: decode, `executemany` of 1,000 rows with psycopg 3, commit."""

from benchmarks.streams.workers import protocol
from benchmarks.streams.workers.sale import COLUMNS, decode
from benchmarks.streams.workers.target import consumer, endpoint
from insight.database import connect

_BATCH = 1_000


def main() -> None:
    request = protocol.request()
    protocol.wait_for_go()
    protocol.end_with_the_benchmark()
    left, source = request["messages"], consumer(request)
    insert = f"insert into bench.sales ({COLUMNS}) values (%s, %s, %s, %s, %s, %s)"  # noqa: S608 (our names)
    with connect(endpoint(request)) as connection:
        cursor = connection.cursor()
        while left > 0:
            messages = source.consume(min(_BATCH, left), 1.0)
            sales = [decode(each.value()) for each in messages]  # type: ignore[arg-type]
            cursor.executemany(
                insert,
                [
                    (s.transaction_id, s.product_id, s.store_id, s.customer_id, s.amount,
                     s.timestamp)
                    for s in sales
                ],
            )  # fmt: skip
            connection.commit()
            left -= len(sales)
    source.close()


if __name__ == "__main__":
    main()
