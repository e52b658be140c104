"""Raw rows as they arrive on a bad day."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from psycopg import sql

from insight.database import Connection

Row = dict[str, object]

_START = datetime(2019, 12, 30, tzinfo=UTC)


def _price(rng: random.Random, event_at: datetime) -> Row:
    """Over days, with hours in which there is none: an hour looks back at those before it."""
    return {
        "id": _id(rng),
        "source": "simulator",
        "coin": rng.choice(["bitcoin", "ethereum"]),
        "currency": "usd",
        "price": rng.randrange(1, 99),
        "change_24h": rng.randrange(-9, 9),
        "event_timestamp": event_at + timedelta(hours=rng.randrange(60)),
    }


def _article(rng: random.Random, event_at: datetime) -> Row:
    return {
        "id": _id(rng),
        "source": "simulator",
        "headline": f"headline {rng.randrange(9)}",
        "category": rng.choice(["crypto", "markets"]),
        "source_name": rng.choice(["Reuters", "Times"]),
        "url": "u",
        "word_count": rng.randrange(1, 9),
        "has_crypto_mention": rng.choice([True, False]),
        "published_at": event_at,
        "event_timestamp": event_at + timedelta(days=rng.randrange(2)),
    }


def _sale(rng: random.Random, event_at: datetime) -> Row:
    return {
        "transaction_id": f"sale{rng.randrange(40)}",
        **_who(rng),
        "amount": rng.randrange(1, 9999) / 100,
        "timestamp": event_at,
    }


def _refund(rng: random.Random, event_at: datetime) -> Row:
    return {
        "refund_id": f"refund{rng.randrange(20)}",
        "original_transaction_id": f"sale{rng.randrange(50)}",
        **_who(rng),
        "refund_amount": rng.randrange(1, 9999) / 100,
        "reason": "defective",
        "timestamp": event_at + timedelta(days=rng.randrange(2)),
    }


def _movement(rng: random.Random, event_at: datetime) -> Row:
    return {
        "transaction_id": f"movement{rng.randrange(40)}",
        "customer_id": f"A{rng.randrange(5)}",
        "transaction_amt": rng.randrange(-999, 999) / 100,
        "transaction_time": event_at,
    }


def _id(rng: random.Random) -> str:
    return f"id{rng.randrange(40)}"


def _who(rng: random.Random) -> Row:
    """Product P007 and store S009 are not in the seeds."""
    product, store = rng.choice(["P001", "P002", "P007"]), rng.choice(["S001", "S009"])
    return {"product_id": product, "store_id": store, "customer_id": f"C{rng.randrange(3)}"}


# One maker of rows for each raw table that an incremental model reads.
MAKERS: Mapping[str, Callable[[random.Random, datetime], Row]] = {
    "bitcoin_prices_raw": _price,
    "news_events_raw": _article,
    "transactions_raw": _sale,
    "refunds_raw": _refund,
    "account_transactions_raw": _movement,
}


@dataclass
class Arrivals:
    """Raw rows in the order of a bad day: late, doubled, contradictory, from many partitions.

    Ids, amounts and times are few, so that duplicates and ties are common. Inside a partition a
    later load has a higher load_id, as the loader guarantees. Of two partitions, the one that
    commits later can have the lower load_id, and a replayed message has an offset below those of
    earlier loads.
    """

    rng: random.Random
    load_ids: dict[int, int] = field(default_factory=dict)
    next_offset: dict[int, int] = field(default_factory=dict)
    delayed: dict[int, list[int]] = field(default_factory=dict)

    def load(self, connection: Connection, rows: int, partitions: str = "abc") -> None:
        """Insert `rows` rows into each raw table, by one load for each partition."""
        for number, (table, make) in enumerate(MAKERS.items()):
            for partition in partitions:
                partition_id = 10 * number + ord(partition)
                load_id = self.load_ids.get(partition_id, 0) + self.rng.randrange(1, 20)
                self.load_ids[partition_id] = load_id
                for _ in range(rows // len(partitions) + self.rng.randrange(2)):
                    coordinates = {"_partition_id": partition_id, "_load_id": load_id}
                    row = make(self.rng, self._event_time())
                    _insert(
                        connection,
                        table,
                        {**row, **coordinates, "_offset": self._offset(partition_id)},
                    )

    def _event_time(self) -> datetime:
        return _START + timedelta(
            minutes=self.rng.randrange(30), seconds=20 * self.rng.randrange(3)
        )

    def _offset(self, partition_id: int) -> int:
        """The next offset; some are left out now (in quarantine) and come in a later load."""
        delayed = self.delayed.setdefault(partition_id, [])
        if delayed and self.rng.random() < 0.2:
            return delayed.pop(self.rng.randrange(len(delayed)))
        offset = self.next_offset.get(partition_id, 0)
        self.next_offset[partition_id] = offset + 1
        if self.rng.random() < 0.2:
            delayed.append(offset)
            return self._offset(partition_id)
        return offset


def _insert(connection: Connection, table: str, row: Row) -> None:
    row = {**row, "ingestion_timestamp": _START + timedelta(days=1)}
    connection.execute(
        sql.SQL("insert into streaming.{} ({}) values ({})").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, row)),
            sql.SQL(", ").join(map(sql.Literal, row.values())),
        )
    )
