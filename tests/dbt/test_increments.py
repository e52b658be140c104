"""Whatever the order in which rows arrive, the streaming models end as one full refresh would."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dbt.cli.main import dbtRunner

from insight.database import Connection, DatabaseEndpoint, connect

Run = Callable[..., None]

_START = datetime(2019, 12, 30, tzinfo=UTC)

_PRICES = """
with first_landed as (
    select distinct on (id) *
    from streaming.bitcoin_prices_raw
    order by id, ingestion_timestamp, _cluster_id, _topic, _partition, _offset
)
select id, price, event_timestamp, _cluster_id, _partition, _offset,
    lag(price) over (partition by source, coin, currency order by event_timestamp, id),
    price - lag(price) over (partition by source, coin, currency order by event_timestamp, id)
from first_landed
"""
_STAGED_PRICES = """
select id, price, event_timestamp, _cluster_id, _partition, _offset, previous_price, price_change
from staging.stg_bitcoin
"""
_NEWS = """
select distinct on (id) id, headline, _cluster_id, _partition, _offset
from streaming.news_events_raw
order by id, ingestion_timestamp, _cluster_id, _topic, _partition, _offset
"""
_STAGED_NEWS = "select id, headline, _cluster_id, _partition, _offset from staging.stg_news"


@dataclass
class Arrivals:
    """Raw rows in the order of a bad day: late, doubled, out of order, from a new cluster."""

    rng: random.Random
    next_offset: dict[tuple[str, int], int] = field(default_factory=dict)
    delayed: list[tuple[str, int, int]] = field(default_factory=list)

    def coordinates(self) -> tuple[str, int, int]:
        """The next offset of a partition; some are left out now and come in a later load."""
        if self.delayed and self.rng.random() < 0.2:
            return self.delayed.pop(self.rng.randrange(len(self.delayed)))
        partition = (self.rng.choice(["a", "a", "b"]), self.rng.randrange(3))
        offset = self.next_offset.get(partition, 0)
        self.next_offset[partition] = offset + 1
        if self.rng.random() < 0.2:
            self.delayed.append((*partition, offset))
            return self.coordinates()
        return (*partition, offset)

    def load(self, connection: Connection, rows: int) -> None:
        """Insert rows of few ids, prices and times, so that duplicates and ties are common."""
        for _ in range(rows):
            number = self.rng.randrange(40)
            event_at = _START + timedelta(minutes=self.rng.randrange(30))
            landed_at = _START + timedelta(days=1, minutes=self.rng.randrange(5))
            where = self.coordinates()
            connection.execute(
                """insert into streaming.bitcoin_prices_raw
                   values (%s, 'coingecko_simulator', %s, 'usd', %s, %s, %s, %s, %s,
                           'bitcoin-prices', %s, %s, 1)""",
                (
                    f"id{number}",
                    self.rng.choice(["bitcoin", "ethereum"]),
                    self.rng.randrange(1, 99),
                    self.rng.randrange(-9, 9),
                    event_at,
                    landed_at,
                    *where,
                ),
            )
            connection.execute(
                """insert into streaming.news_events_raw
                   values (%s, 'newsapi_simulator', %s, null, 'crypto', 'Reuters', 'u', %s, 1, true,
                           %s, %s, %s, 'news-events', %s, %s, 1)""",
                (
                    f"id{number}",
                    f"headline {self.rng.randrange(9)}",
                    event_at,
                    event_at,
                    landed_at,
                    *where,
                ),
            )
        self._replay(connection)

    def _replay(self, connection: Connection) -> None:
        connection.execute(
            """insert into streaming.bitcoin_prices_raw select * from streaming.bitcoin_prices_raw
               on conflict (_cluster_id, _topic, _partition, _offset) do nothing"""
        )


@pytest.fixture
def run_models(
    empty_streams: DatabaseEndpoint,
    copy_project: Callable[[], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """Runs the two models in this process, which spares a start and a parse for each run."""
    folder = copy_project()
    for name, value in empty_streams.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)
    parsed = dbtRunner().invoke(["--quiet", "parse"])
    assert parsed.success, parsed.exception

    def run(*options: str) -> None:
        runner = dbtRunner(manifest=parsed.result)  # type: ignore[arg-type]
        outcome = runner.invoke(["--quiet", "run", "--select", "stg_bitcoin", "stg_news", *options])
        assert outcome.success, outcome.result

    return run


def _assert_as_computed_anew(endpoint: DatabaseEndpoint) -> None:
    with connect(endpoint) as connection:
        for staged, computed in ((_STAGED_PRICES, _PRICES), (_STAGED_NEWS, _NEWS)):
            assert sorted(connection.execute(staged).fetchall(), key=str) == sorted(
                connection.execute(computed).fetchall(), key=str
            )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_interleaving_equals_a_full_refresh(
    empty_streams: DatabaseEndpoint, run_models: Run, seed: int
) -> None:
    arrivals = Arrivals(random.Random(seed))
    run_models()
    for rows in (5, 30, 0, 1, 60, 20):
        with connect(empty_streams) as connection:
            arrivals.load(connection, rows)
        run_models()
        _assert_as_computed_anew(empty_streams)
    incremental = _tables(empty_streams)
    run_models("--full-refresh")
    assert _tables(empty_streams) == incremental


def test_rows_that_commit_after_a_read_began_belong_to_the_next(
    empty_streams: DatabaseEndpoint, run_models: Run
) -> None:
    arrivals = Arrivals(random.Random(4))
    with connect(empty_streams) as connection:
        arrivals.load(connection, 10)
    with connect(empty_streams) as slow_loader:
        arrivals.load(slow_loader, 10)
        with connect(empty_streams) as connection:
            arrivals.load(connection, 10)
        run_models()
    run_models()
    _assert_as_computed_anew(empty_streams)


def test_empty_runs_lose_no_row(empty_streams: DatabaseEndpoint, run_models: Run) -> None:
    arrivals = Arrivals(random.Random(5))
    with connect(empty_streams) as connection:
        arrivals.load(connection, 10)
    run_models("--empty")
    run_models()
    with connect(empty_streams) as connection:
        arrivals.load(connection, 10)
    run_models("--empty")
    run_models()
    _assert_as_computed_anew(empty_streams)
    run_models("--empty", "--full-refresh")
    run_models()
    _assert_as_computed_anew(empty_streams)


def test_a_dropped_table_is_read_again_from_the_start(
    empty_streams: DatabaseEndpoint, run_models: Run
) -> None:
    arrivals = Arrivals(random.Random(6))
    with connect(empty_streams) as connection:
        arrivals.load(connection, 10)
    run_models()
    with connect(empty_streams) as connection:
        connection.execute("drop table staging.stg_bitcoin, staging.stg_news")
    run_models()
    _assert_as_computed_anew(empty_streams)


def test_a_run_without_new_rows_writes_nothing(
    empty_streams: DatabaseEndpoint, run_models: Run
) -> None:
    with connect(empty_streams) as connection:
        Arrivals(random.Random(7)).load(connection, 10)
    run_models()
    run_models()
    with connect(empty_streams) as connection:
        before = connection.execute("select xmin::text, id from staging.stg_bitcoin").fetchall()
    run_models()
    with connect(empty_streams) as connection:
        after = connection.execute("select xmin::text, id from staging.stg_bitcoin").fetchall()
    assert sorted(after) == sorted(before)


def _tables(endpoint: DatabaseEndpoint) -> list[list[tuple[object, ...]]]:
    with connect(endpoint) as connection:
        return [
            sorted(connection.execute(f"select * from staging.{model}").fetchall(), key=str)
            for model in ("stg_bitcoin", "stg_news")
        ]
