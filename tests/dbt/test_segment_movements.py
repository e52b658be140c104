"""Two more runs of the segmentation and of the shop: what moved is counted, exactly."""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
from databases import create_database, drop_database
from warm_project import WarmProject, warm_project

from insight.database import DatabaseEndpoint, connect
from insight.services import Services
from ml_pipeline.run import segment_customers

Movement = tuple[str, str, int, int]

_NAMES = {
    0: "Big Spenders",
    1: "At-Risk (Lapsing)",
    2: "Occasional Shoppers",
    3: "Champions (VIPs)",
    4: "Loyal Customers",
}
_SEGMENT_OF = "select customer_id, segment_id from marts.fct_customer_segments"
_MOVED_AT = "select distinct moved_at from marts.fct_segment_movements order by 1"
_MOVEMENTS = """
select customer_id, movement_kind, from_segment_id, to_segment_id
from marts.fct_segment_movements where moved_at = %s
"""
_NEWEST_SALE = """
insert into raw.online_sales (
    customer_id, transaction_id, transaction_date, product_sku, product_description,
    product_category, quantity, avg_price, delivery_charges, coupon_status, _file, _row
)
select
    customer_id, 'newest', '12/31/2031', product_sku, product_description,
    'Waze', quantity, '987.65', delivery_charges, coupon_status, _file, 999999
from raw.online_sales where product_sku = %s limit 1
"""
_BALANCE = """
select segment_id, opening_customers, entered_customers, moved_in_customers,
    moved_out_customers, left_customers, closing_customers
from marts.fct_segment_balance where run_at = %s
"""


@dataclass(frozen=True)
class Shop:
    """A copy of the built warehouse, and the project whose seeds the test may write."""

    project: WarmProject
    endpoint: DatabaseEndpoint
    seeds: Path

    def publish(self, segments: dict[str, int]) -> datetime:
        """One more run of the segmentation; when it was published."""
        with (self.seeds / "customer_segments.csv").open("w", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(("customer_id", "segment_id", "segment_name"))
            rows.writerows((key, number, _NAMES[number]) for key, number in segments.items())
        self.rebuild()
        newest = self.rows(_MOVED_AT)[-1][0]
        assert isinstance(newest, datetime)
        return newest

    def rebuild(self) -> None:
        """What the stage `publish` builds, and the sales before it."""
        selection = ("dim_customer", "fct_sales", "customer_segments+", "fct_segmentation_runs")
        # Cautious: tests that also need what is not built again are left out.
        options = ("--indirect-selection", "cautious", "--exclude-resource-type", "unit_test")
        self.project.succeed("build", "--select", *selection, *options)

    def rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        with connect(self.endpoint) as connection:
            return connection.execute(query, values).fetchall()

    def change(self, statement: str, *values: object) -> None:
        with connect(self.endpoint) as connection:
            connection.execute(statement, values)


@pytest.fixture(scope="module")
def shop(
    services: Services, built: DatabaseEndpoint, copy_project: Callable[[], Path]
) -> Iterator[Shop]:
    endpoint = create_database(services, f"{built.dbname}_shop", built.dbname)
    folder = copy_project()
    with warm_project(folder, endpoint) as project:
        yield Shop(project, endpoint, folder / "seeds")
    drop_database(services, endpoint.dbname)


def test_every_customer_who_moves_is_counted_where_they_left_and_where_they_came(
    shop: Shop,
) -> None:
    first = {str(key): int(str(number)) for key, number in shop.rows(_SEGMENT_OF)}
    assert {row[1:] for row in shop.rows(_MOVEMENTS, shop.rows(_MOVED_AT)[0][0])} == {
        ("entered", -2, number) for number in set(first.values())
    }
    moves, gone, unsegmented = sorted(key for key, number in first.items() if number == 1)[:3]
    moves_too = min(key for key, number in first.items() if number == 3)

    second = {**first, moves: 0, moves_too: 4}
    del second[unsegmented], second[gone]
    shop.change("create table public.gone as table raw.customers with no data")
    shop.change("insert into public.gone select * from raw.customers where customer_id = %s", gone)
    shop.change("delete from raw.customers where customer_id = %s", gone)
    shop.change(
        "insert into raw.customers (customer_id, gender, location, tenure_months, _file, _row)"
        " values ('new', 'F', 'Chicago', '3', 'f', 9999)"
    )
    run_at = shop.publish({**second, "new": 2})
    assert sorted(shop.rows(_MOVEMENTS, run_at)) == sorted(
        [
            (moves, "moved", 1, 0),
            (moves_too, "moved", 3, 4),
            (unsegmented, "moved", 1, -1),
            (gone, "left", 1, -2),
            ("new", "entered", -2, 2),
        ]
    )
    count = [list(first.values()).count(number) for number in range(5)]
    assert sorted(shop.rows(_BALANCE, run_at)) == [
        (-1, 0, 0, 1, 0, 0, 1),
        (0, count[0], 0, 1, 0, 0, count[0] + 1),
        (1, count[1], 0, 0, 2, 1, count[1] - 3),
        (2, count[2], 1, 0, 0, 0, count[2] + 1),
        (3, count[3], 0, 0, 1, 0, count[3] - 1),
        (4, count[4], 0, 1, 0, 0, count[4] + 1),
    ]

    assert shop.publish({**second, "new": 2}) == run_at, "a run without a movement appears"

    shop.change("insert into raw.customers table public.gone")
    run_at = shop.publish({**first, "new": 2})
    assert sorted(shop.rows(_MOVEMENTS, run_at)) == sorted(
        [
            (moves, "moved", 0, 1),
            (moves_too, "moved", 4, 3),
            (unsegmented, "moved", -1, 1),
            (gone, "entered", -2, 1),
        ]
    )


def test_a_segmentation_that_names_nobody_leaves_everybody_unsegmented(shop: Shop) -> None:
    before = {key: number for key, number in shop.rows(_SEGMENT_OF) if number != -1}
    run_at = shop.publish({})
    assert set(shop.rows(_MOVEMENTS, run_at)) == {
        (key, "moved", number, -1) for key, number in before.items()
    }


def test_labels_in_the_table_count_instead_of_the_seed_and_back(shop: Shop, tmp_path: Path) -> None:
    """The models and the snapshot read the place that the newest segmentation names."""
    stale = {str(key): 2 for key, _ in shop.rows(_SEGMENT_OF)}
    shop.publish(stale)
    for place in ("table", "seed"):
        segment_customers(
            shop.endpoint,
            seed_path=shop.seeds / "customer_segments.csv",
            model_dir=tmp_path,
            origin="own",
            sweep=False,
            segments_in=place,
        )
        if place == "table":
            # What an unfinished run may leave behind.
            shop.publish(stale)
            labels = shop.rows("select customer_id, segment_id from ml.customer_segments")
        shop.rebuild()
        shown = shop.rows(f"{_SEGMENT_OF} where segment_id <> -1")
        assert len({number for _, number in shown}) == 5
        assert sorted(shown) == sorted(labels)
        assert shop.rows(
            """select count(*) from snapshots.customer_segment_snapshot
               join marts.fct_customer_segments using (customer_id, segment_id)
               where dbt_valid_to is null and segment_id <> -1"""
        ) == [(len(labels),)]
        assert shop.rows("select labels_in from marts.fct_segmentation_runs where is_in_use") == [
            (place,)
        ]


def test_a_product_keeps_the_history_of_its_price_and_category(shop: Shop) -> None:
    sku, price = shop.rows(
        "select product_sku, newest_price from marts.dim_products order by 1 limit 1"
    )[0]
    shop.change(_NEWEST_SALE, sku)
    shop.project.succeed("run", "--select", "dim_products")
    shop.project.succeed("snapshot", "--select", "product_snapshot")
    assert shop.rows(
        """select newest_price, category = 'Waze', dbt_valid_to is null
           from snapshots.product_snapshot where product_sku = %s order by dbt_valid_from""",
        sku,
    ) == [(price, False, False), (Decimal("987.6500"), True, True)]


def test_a_product_of_the_tills_keeps_the_history_of_its_price(shop: Shop) -> None:
    seed = shop.seeds / "pos_products.csv"
    rows = seed.read_text().splitlines()
    seed.write_text("\n".join([rows[0], "P001,Laptop,Electronics,1299.00", *rows[3:]]) + "\n")
    shop.project.succeed("seed", "--select", "pos_products")
    shop.project.succeed("snapshot", "--select", "pos_product_snapshot")
    changed = shop.rows(
        """select product_id, base_price, dbt_valid_to is null from snapshots.pos_product_snapshot
           where product_id in ('P001', 'P002') order by product_id, dbt_valid_from"""
    )
    assert changed == [
        ("P001", Decimal("1199.00"), False),
        ("P001", Decimal("1299.00"), True),
        ("P002", Decimal("799.00"), False),
    ]
