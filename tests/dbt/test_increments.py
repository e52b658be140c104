"""Whatever the order in which rows arrive, incremental models end as one full refresh would."""

import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from databases import create_database, drop_database
from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest
from psycopg import sql

from insight.database import Connection, DatabaseEndpoint, connect
from insight.services import Services
from streaming.contract import load_contracts
from streaming.tables import create_tables

Run = Callable[..., None]
Row = tuple[object, ...]

_START = datetime(2019, 12, 30, tzinfo=UTC)

_DIMENSIONS = ("dim_pos_products", "dim_pos_stores")
_STAGED = {
    "stg_bitcoin": "bitcoin_prices_raw",
    "stg_news": "news_events_raw",
    "stg_transactions": "transactions_raw",
    "stg_refunds": "refunds_raw",
    "stg_account_transactions": "account_transactions_raw",
}
_MARTS = (
    "fct_pos_transactions",
    "fct_pos_refunds",
    "fct_product_metrics_minute",
    "fct_account_transactions",
    "fct_stream_lateness",
)

# What the models must hold, computed in other words from the raw rows.
_PRICES = """
with first_landed as (
    select distinct on (id) *
    from streaming.bitcoin_prices_raw
    order by id, _load_id, _partition_id, _offset
)
select id, price, event_timestamp, _partition_id, _offset,
    lag(price) over (partition by source, coin, currency order by event_timestamp, id),
    price - lag(price) over (partition by source, coin, currency order by event_timestamp, id)
from first_landed
"""
_STAGED_PRICES = """
select id, price, event_timestamp, _partition_id, _offset, previous_price, price_change
from staging.stg_bitcoin
"""
_SALES = """
with sales as (
    select distinct on (transaction_id) *, (
        select max(earlier.timestamp) from streaming.transactions_raw as earlier
        where earlier._partition_id = sale._partition_id
          and (earlier._load_id, earlier._offset) < (sale._load_id, sale._offset)
    ) as highest_before
    from streaming.transactions_raw as sale
    order by transaction_id, _load_id, _partition_id, _offset
)
"""
_MINUTES = (
    _SALES
    + """
select date_trunc('minute', timestamp), date_trunc('minute', timestamp) + interval '60 seconds',
    product_id, sum(amount), count(*),
    count(*) filter (
        where highest_before - date_trunc('minute', timestamp) > interval '6 minutes'),
    coalesce(sum(amount) filter (
        where highest_before - date_trunc('minute', timestamp) > interval '6 minutes'), 0)
from sales
group by date_trunc('minute', timestamp), product_id
"""
)
_PUBLISHED_MINUTES = """
select window_start, window_end, product_id, total_revenue, transaction_count,
    late_transaction_count, late_revenue
from marts.fct_product_metrics_minute
"""
_REFUNDS = (
    _SALES
    + """, refunds as (
    select distinct on (refund_id) * from streaming.refunds_raw
    order by refund_id, _load_id, _partition_id, _offset
)
select refund_id, original_transaction_id, refund_amount,
    (select amount from sales where transaction_id = original_transaction_id),
    (select sum(others.refund_amount) from refunds as others
     where others.original_transaction_id = refunds.original_transaction_id),
    case when product_id in (select product_id from seeds.pos_products) then product_id
         else '-1' end
from refunds
"""
)
_PUBLISHED_REFUNDS = """
select refund_id, original_transaction_id, refund_amount, sale_amount, sale_refunded_amount,
    product_id
from marts.fct_pos_refunds
"""
_COMPUTED = (
    (_STAGED_PRICES, _PRICES),
    (_PUBLISHED_MINUTES, _MINUTES),
    (_PUBLISHED_REFUNDS, _REFUNDS),
)


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
        for number, table in enumerate(_STAGED.values()):
            for partition in partitions:
                partition_id = 10 * number + ord(partition)
                load_id = self.load_ids.get(partition_id, 0) + self.rng.randrange(1, 20)
                self.load_ids[partition_id] = load_id
                for _ in range(rows // len(partitions) + self.rng.randrange(2)):
                    row = self._row(table)
                    loader = (self._offset(partition_id), partition_id, load_id)
                    _insert(connection, table, (*row, _START + timedelta(days=1), *loader))
        _replay(connection)

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

    def _row(self, table: str) -> Row:
        pick, number = self.rng.choice, self.rng.randrange
        event_at = _START + timedelta(minutes=number(30), seconds=20 * number(3))
        who = (pick(["P001", "P002", "P007"]), pick(["S001", "S009"]), f"C{number(3)}")
        rows: dict[str, Row] = {
            "bitcoin_prices_raw": (
                *(f"id{number(40)}", "simulator", pick(["bitcoin", "ethereum"]), "usd"),
                *(number(1, 99), number(-9, 9), event_at),
            ),
            "news_events_raw": (
                *(f"id{number(40)}", "simulator", f"headline {number(9)}", None, "crypto"),
                *("Reuters", "u", event_at, 1, True, event_at),
            ),
            "transactions_raw": (f"sale{number(40)}", *who, number(1, 9999) / 100, event_at),
            "refunds_raw": (
                *(f"refund{number(20)}", f"sale{number(50)}", *who, number(1, 9999) / 100),
                *("defective", event_at + timedelta(days=number(2))),
            ),
            "account_transactions_raw": (
                *(f"movement{number(40)}", f"A{number(5)}", number(-999, 999) / 100, event_at),
            ),
        }
        return rows[table]


def _insert(connection: Connection, table: str, row: Row) -> None:
    connection.execute(
        sql.SQL("insert into streaming.{} values ({})").format(
            sql.Identifier(table), sql.SQL(", ").join(map(sql.Literal, row))
        )
    )


def _replay(connection: Connection) -> None:
    for table in _STAGED.values():
        connection.execute(
            sql.SQL(
                "insert into streaming.{0} select * from streaming.{0}"
                " on conflict (_partition_id, _offset) do nothing"
            ).format(sql.Identifier(table))
        )


@pytest.fixture(scope="module")
def template(services: Services) -> Iterator[DatabaseEndpoint]:
    """The database from which each test gets a copy, filled by `manifest`."""
    endpoint = create_database(services, f"dbt_streams_{os.getpid()}")
    create_tables(endpoint, load_contracts())
    yield endpoint
    drop_database(services, endpoint.dbname)


@pytest.fixture(scope="module")
def folder(copy_project: Callable[[], Path]) -> Path:
    return copy_project()


@pytest.fixture(scope="module")
def manifest(template: DatabaseEndpoint, folder: Path) -> Manifest:
    """The parsed project; the template has its seeds and dimensions, and a first run's tables.

    It names the template's database: a run in another one sets the name anew.
    """
    with pytest.MonkeyPatch.context() as patch:
        _enter(patch, folder, template)
        parsed = dbtRunner().invoke(["--quiet", "parse"])
        assert parsed.success, parsed.exception
        assert isinstance(parsed.result, Manifest)
        _invoke(parsed.result, "seed", "pos_products", "pos_stores")
        _invoke(parsed.result, "run", *_DIMENSIONS, *_STAGED, *_MARTS)
        return parsed.result


def _enter(patch: pytest.MonkeyPatch, folder: Path, endpoint: DatabaseEndpoint) -> None:
    patch.chdir(folder)
    for name, value in endpoint.environment().items():
        patch.setenv(name, value)


def _invoke(manifest: Manifest, command: str, *selected: str) -> None:
    outcome = dbtRunner(manifest=manifest).invoke(["--quiet", command, "--select", *selected])
    assert outcome.success, outcome.result


@pytest.fixture
def streams(
    services: Services,
    template: DatabaseEndpoint,
    manifest: Manifest,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[DatabaseEndpoint]:
    """A copy of the template: tables of the streams without a row, and every model built."""
    endpoint = create_database(services, f"{template.dbname}_copy", template.dbname)
    _enter(monkeypatch, folder, endpoint)
    for node in [*manifest.nodes.values(), *manifest.sources.values()]:
        monkeypatch.setattr(node, "database", endpoint.dbname)
        monkeypatch.setattr(node, "relation_name", _renamed(node.relation_name, template, endpoint))
    yield endpoint
    drop_database(services, endpoint.dbname)


def _renamed(name: str | None, old: DatabaseEndpoint, new: DatabaseEndpoint) -> str | None:
    return name and name.replace(f'"{old.dbname}"', f'"{new.dbname}"')


@pytest.fixture
def run_models(streams: DatabaseEndpoint, manifest: Manifest) -> Run:
    """Runs the models in this process, which spares a start and a parse for each run."""

    def run(*options: str) -> None:
        _invoke(manifest, "run", *_STAGED, *_MARTS, *options)

    return run


def _assert_as_computed_anew(endpoint: DatabaseEndpoint) -> None:
    with connect(endpoint) as connection:
        for published, computed in _COMPUTED:
            assert _sorted(connection, published) == _sorted(connection, computed)


def _sorted(connection: Connection, query: str) -> list[Row]:
    return sorted(connection.execute(query).fetchall(), key=str)


def _tables(endpoint: DatabaseEndpoint) -> dict[str, list[Row]]:
    with connect(endpoint) as connection:
        return {
            name: _sorted(connection, f"select * from {schema}.{name}")
            for schema, names in (("staging", _STAGED), ("marts", _MARTS))
            for name in names
        }


def _assert_as_full_refresh(endpoint: DatabaseEndpoint, run_models: Run) -> None:
    incremental = _tables(endpoint)
    run_models("--full-refresh")
    rebuilt = _tables(endpoint)
    for name, rows in rebuilt.items():
        assert incremental[name] == rows, name


@pytest.mark.parametrize("seed", [1, 2])
def test_any_interleaving_equals_a_full_refresh(
    streams: DatabaseEndpoint, run_models: Run, seed: int
) -> None:
    arrivals = Arrivals(random.Random(seed))
    for rows in (6, 30, 0, 60, 20):
        with connect(streams) as connection:
            arrivals.load(connection, rows)
        run_models()
        _assert_as_computed_anew(streams)
    _assert_as_full_refresh(streams, run_models)


def test_rows_that_commit_after_a_read_began_belong_to_the_next(
    streams: DatabaseEndpoint, run_models: Run
) -> None:
    arrivals = Arrivals(random.Random(4))
    with connect(streams) as connection:
        arrivals.load(connection, 10)
    run_models()
    with connect(streams) as slow_loader:
        arrivals.load(slow_loader, 20, partitions="a")
        with connect(streams) as connection:
            arrivals.load(connection, 20, partitions="bc")
        run_models()
    run_models()
    _assert_as_computed_anew(streams)
    _assert_as_full_refresh(streams, run_models)


def test_rows_read_by_the_staging_models_only_reach_the_marts_later(
    streams: DatabaseEndpoint, run_models: Run, manifest: Manifest
) -> None:
    arrivals = Arrivals(random.Random(5))
    for options in ((), (), ("--full-refresh",)):
        with connect(streams) as connection:
            arrivals.load(connection, 20)
        _invoke(manifest, "run", *_STAGED, *options)
    with connect(streams) as connection:
        arrivals.load(connection, 20)
    _invoke(manifest, "run", *_MARTS)
    run_models()
    _assert_as_computed_anew(streams)
    _assert_as_full_refresh(streams, run_models)


def test_sales_find_their_product_when_the_seed_gets_it(
    streams: DatabaseEndpoint, run_models: Run, manifest: Manifest
) -> None:
    with connect(streams) as connection:
        Arrivals(random.Random(6)).load(connection, 20)
    run_models()
    with connect(streams) as connection:
        connection.execute(
            "insert into seeds.pos_products values ('P007', 'New', 'Accessories', 1)"
        )
    _invoke(manifest, "run", *_DIMENSIONS, *_MARTS)
    with connect(streams) as connection:
        unknown = connection.execute(
            """select count(*) filter (where product_id = '-1'), count(*) filter (
                   where store_id = '-1' and source_store_id = 'S009' and product_id = 'P007')
               from (select product_id, store_id, source_store_id from marts.fct_pos_transactions
                     union all select product_id, store_id, source_store_id
                     from marts.fct_pos_refunds) as facts"""
        ).fetchone()
    assert unknown is not None
    assert unknown[0] == 0
    assert unknown[1] != 0
    _assert_as_full_refresh(streams, run_models)


def test_empty_runs_lose_no_row(streams: DatabaseEndpoint, run_models: Run) -> None:
    arrivals = Arrivals(random.Random(7))
    for options in (("--empty",), (), ("--empty", "--full-refresh")):
        with connect(streams) as connection:
            arrivals.load(connection, 10)
        run_models(*options)
        run_models()
        _assert_as_computed_anew(streams)
    _assert_as_full_refresh(streams, run_models)


def test_a_dropped_table_is_read_again_from_the_start(
    streams: DatabaseEndpoint, run_models: Run
) -> None:
    with connect(streams) as connection:
        Arrivals(random.Random(8)).load(connection, 10)
    run_models()
    before = _tables(streams)
    with connect(streams) as connection:
        connection.execute("drop table staging.stg_bitcoin, staging.stg_transactions")
        connection.execute("drop table marts.fct_pos_refunds, marts.fct_stream_lateness")
    run_models()
    assert _tables(streams) == before


def test_a_run_without_new_rows_writes_nothing(streams: DatabaseEndpoint, run_models: Run) -> None:
    with connect(streams) as connection:
        Arrivals(random.Random(9)).load(connection, 10)
    run_models()
    run_models()
    before = _versions(streams)
    run_models()
    assert _versions(streams) == before


def _versions(endpoint: DatabaseEndpoint) -> dict[str, list[Row]]:
    with connect(endpoint) as connection:
        return {
            name: _sorted(connection, f"select xmin::text, ctid::text from {schema}.{name}")
            for schema, names in (("staging", _STAGED), ("marts", _MARTS))
            for name in names
        }


_SALES_OF_A_LOAD = """
insert into streaming.transactions_raw
select 'sale' || i, 'P00' || 1 + i % 6, 'S001', 'C' || i % 50, 10,
       timestamptz '2019-01-01 00:00+00' + i * interval '20 seconds', now(), i, 97, {load}
from generate_series({first}, {last}) as i
"""
_PAGES = """
select sum(heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read)
from pg_statio_user_tables where schemaname in ('streaming', 'staging', 'marts')
"""


def _pages(endpoint: DatabaseEndpoint) -> int:
    """Pages of the tables that were read until now; sessions count theirs when they end."""
    counts = [-1]
    while len(set(counts[-2:])) > 1 or len(counts) == 1:
        time.sleep(0.2)
        with connect(endpoint) as connection:
            row = connection.execute(_PAGES).fetchone()
        assert row is not None
        counts.append(int(str(row[0])))
    return counts[-1]


def test_the_cost_of_an_increment_does_not_grow_with_history(
    streams: DatabaseEndpoint, manifest: Manifest
) -> None:
    models = ("stg_transactions", "fct_pos_transactions", "fct_product_metrics_minute")
    with connect(streams) as connection:
        for schema, model in zip(("staging", "marts", "marts"), models, strict=True):
            connection.execute(f"alter table {schema}.{model} set (autovacuum_enabled = false)")
    costs = []
    first = 0
    for load, (history, last) in enumerate(((2_000, 2_200), (40_000, 40_200))):
        _load_sales(streams, 2 * load, first, history)
        _invoke(manifest, "run", *models)
        _load_sales(streams, 2 * load + 1, history + 1, last)
        first = last + 1
        costs.append([_cost(streams, manifest, model) for model in models])
    on_little_history, on_much = costs
    for model, before, after in zip(models, on_little_history, on_much, strict=True):
        # Twenty times the history: an index is a level deeper, and that is all.
        assert after < 2 * before, (model, before, after)


def _load_sales(endpoint: DatabaseEndpoint, load: int, first: int, last: int) -> None:
    with connect(endpoint, autocommit=True) as connection:
        connection.execute(_SALES_OF_A_LOAD.format(load=load, first=first, last=last))
        connection.execute("vacuum analyze")


def _cost(endpoint: DatabaseEndpoint, manifest: Manifest, model: str) -> int:
    before = _pages(endpoint)
    _invoke(manifest, "run", model)
    return _pages(endpoint) - before
