"""The run: from the marts of both shops to schema ml, again, and when it must stop."""

from collections.abc import Callable, Sequence
from datetime import date, timedelta

import pytest

from insight.database import DatabaseEndpoint, connect
from insight.errors import InputError, StageError
from ml_pipeline.associations.itemsets import Limits
from ml_pipeline.associations.run import AssociationReport, associate_products
from ml_pipeline.associations.thresholds import Thresholds

Sale = tuple[str, str, date, str]
Run = Callable[..., AssociationReport]

MARTS = """
create schema marts;
create table marts.fct_sales (
    transaction_id text, source_customer_id text, transaction_date date, product_sku text
);
create table marts.dim_products (product_sku text, product_name text);
create table marts.fct_pos_transactions (
    transaction_id text, customer_id text, date_day date, source_product_id text
);
create table marts.dim_pos_products (product_id text, product_name text);
insert into marts.dim_pos_products
values ('-1', 'Unknown'), ('P001', 'Laptop'), ('P004', 'Headphones'), ('P005', 'Phone Case');
"""
NEWEST = date(2019, 12, 31)


@pytest.fixture
def marts(database: DatabaseEndpoint) -> DatabaseEndpoint:
    """Empty marts; schema ml is not there yet."""
    with connect(database) as connection:
        connection.execute(MARTS)  # type: ignore[arg-type]
    return database


@pytest.fixture
def run(database: DatabaseEndpoint) -> Run:
    def run_it(
        *, support: str = "0.1", confidence: str = "0.5", count: int = 1, **options: object
    ) -> AssociationReport:
        thresholds = Thresholds.of(support=support, confidence=confidence, count=count)
        return associate_products(database, thresholds=thresholds, **options)  # type: ignore[arg-type]

    return run_it


def sell(database: DatabaseEndpoint, table: str, baskets: Sequence[tuple[str, str]]) -> None:
    """A basket is (ids of its products, whom it belongs to); the days go back from NEWEST."""
    with connect(database) as connection:
        for number, (products, customer) in enumerate(baskets):
            day = NEWEST - timedelta(days=number)
            for product in products.split():
                connection.execute(
                    f"insert into marts.{table} values (%s, %s, %s, %s)",  # type: ignore[arg-type]
                    [f"t{number}", customer, day, product],
                )


def rules_in(database: DatabaseEndpoint, columns: str) -> list[tuple[object, ...]]:
    with connect(database) as connection:
        return connection.execute(
            f"select {columns} from ml.product_associations order by domain, antecedent, consequent"  # type: ignore[arg-type]
        ).fetchall()


def test_a_customers_day_at_the_tills_is_a_basket(marts: DatabaseEndpoint, run: Run) -> None:
    with connect(marts) as connection:
        connection.execute(
            """
            insert into marts.fct_pos_transactions
            values
                ('1', 'C1', '2019-12-30', 'P001'), ('2', 'C1', '2019-12-30', 'P004'),
                ('3', 'C1', '2019-12-31', 'P005'),
                ('4', 'C2', '2019-12-31', 'P001'), ('5', 'C2', '2019-12-31', 'P004'),
                ('6', 'C3', '2019-12-31', 'P001')
            """
        )
    assert run().summary() == "2 associations"
    assert rules_in(
        marts, "domain, antecedent, consequent, antecedent_names, consequent_name, sentence"
    ) == [
        ("retail", ["P001"], "P004", ["Laptop"], "Headphones",
         "Who buys Laptop also buys Headphones in 67 % of baskets,"
         " 1.3 times as often as buyers in general."),
        ("retail", ["P004"], "P001", ["Headphones"], "Laptop",
         "Who buys Headphones also buys Laptop in 100 % of baskets,"
         " 1.3 times as often as buyers in general."),
    ]  # fmt: skip
    counts = "antecedent_count, consequent_count, rule_count, basket_count, conviction is null"
    assert rules_in(marts, counts) == [(3, 2, 2, 4, False), (2, 3, 2, 4, True)]
    measures = "support::text, confidence::text, lift::text, leverage::text, conviction::text"
    assert rules_in(marts, measures)[0] == (
        "0.500000", "0.666667", "1.333333", "0.125000", "1.500000",
    )  # fmt: skip
    assert rules_in(marts, "first_basket_on, last_basket_on")[0] == (date(2019, 12, 30), NEWEST)


def test_an_order_is_a_transaction_of_one_customer_on_one_day(
    marts: DatabaseEndpoint, run: Run
) -> None:
    with connect(marts) as connection:
        connection.execute(
            """
            insert into marts.fct_sales
            values
                ('1', '12', '2019-12-30', 'a'), ('1', '12', '2019-12-30', 'b'),
                ('1', '12', '2019-12-30', 'b'),
                -- The same transaction of somebody else, the same on another day, and ids that
                -- only differ in where the one ends.
                ('1', '13', '2019-12-30', 'c'), ('1', '12', '2019-12-31', 'c'),
                ('11', '2', '2019-12-30', 'c'), ('NA', '-1', '2019-12-31', 'NA')
            """
        )
    assert run().shops[0].baskets == 5
    assert rules_in(marts, "antecedent, consequent, antecedent_count, consequent_name") == [
        (["a"], "b", 1, "b"),
        (["b"], "a", 1, "a"),
    ]


def test_both_shops_stand_side_by_side(marts: DatabaseEndpoint, run: Run) -> None:
    sell(marts, "fct_sales", [("a b", "1")] * 3 + [("c", "2")])
    sell(marts, "fct_pos_transactions", [("P001 P004", "C1")] * 2 + [("P005", "C1")])
    report = run()
    assert [(shop.domain, shop.baskets, shop.rules) for shop in report.shops] == [
        ("ecommerce", 4, 2),
        ("retail", 3, 2),
    ]
    assert report.summary() == "4 associations"
    assert [domain for (domain,) in rules_in(marts, "domain")] == ["ecommerce"] * 2 + ["retail"] * 2


def test_running_again_mines_nothing_until_something_changes(
    marts: DatabaseEndpoint, run: Run
) -> None:
    sell(marts, "fct_sales", [("a b", "1")] * 3 + [("c", "2")])
    first = run()
    written = rules_in(marts, "*")
    again = run()
    assert (first.unchanged, again.unchanged) == (False, True)
    assert (again.shops, again.summary()) == (first.shops, f"{first.summary()}, unchanged")
    assert rules_in(marts, "*") == written
    assert not run(support="0.2").unchanged
    assert not run(support="0.2", limits=Limits(products=2)).unchanged
    assert run(support="0.2", limits=Limits(products=2, seconds=5)).unchanged
    with connect(marts) as connection:
        connection.execute("insert into marts.dim_products values ('a', 'Apple')")
    assert not run(support="0.2", limits=Limits(products=2)).unchanged
    assert rules_in(marts, "antecedent_names")[0] == (["Apple"],)


def test_orders_from_the_as_of_date_on_do_not_count(marts: DatabaseEndpoint, run: Run) -> None:
    sell(marts, "fct_sales", [("a b", "1"), ("c", "1"), ("a b", "1")])
    assert run(before=NEWEST).shops[0].baskets == 2
    assert rules_in(marts, "rule_count, last_basket_on")[0] == (1, NEWEST - timedelta(days=1))
    assert run().shops[0].baskets == 3


def test_rules_of_too_few_baskets_are_none(marts: DatabaseEndpoint, run: Run) -> None:
    sell(marts, "fct_sales", [("a b", "1")] * 4 + [("c", "2")])
    assert run(count=5).summary() == "no associations"
    assert rules_in(marts, "*") == []


@pytest.mark.parametrize(
    ("baskets", "reason"),
    [
        ([], "there are no baskets"),
        ([("a b", "1")], "there is only one basket"),
        ([("a", "1"), ("a a", "2")], "all baskets hold the same single product"),
    ],
)
def test_a_shop_that_can_have_no_rule_is_skipped_and_says_why(
    marts: DatabaseEndpoint, run: Run, baskets: list[tuple[str, str]], reason: str
) -> None:
    sell(marts, "fct_sales", [("a b", "1")] * 2)
    assert run().rules == 2
    with connect(marts) as connection:
        connection.execute("truncate marts.fct_sales")
    sell(marts, "fct_sales", baskets)
    report = run()
    assert report.summary() == "no associations"
    assert report.shops[0].skipped_reason == reason
    assert rules_in(marts, "*") == []
    assert run().unchanged


def test_large_baskets_are_left_out_and_told(marts: DatabaseEndpoint, run: Run) -> None:
    wholesale = " ".join(f"p{number}" for number in range(6))
    sell(
        marts,
        "fct_sales",
        [("a b", "1"), (wholesale, "2"), (wholesale, "3"), ("a b", "1"), ("c", "3")],
    )
    report = run(largest_basket=5)
    assert report.summary() == "2 associations (2 baskets of over 5 products left out)"
    assert report.shops[0].left_out == 2


def test_a_search_beyond_its_limits_names_the_settings_and_changes_nothing(
    marts: DatabaseEndpoint, run: Run
) -> None:
    sell(marts, "fct_sales", [("a b", "1")] * 2)
    run()
    before = rules_in(marts, "*")
    hopeless = " ".join(f"p{number}" for number in range(30))
    sell(marts, "fct_sales", [(hopeless, "2")] * 3)
    with pytest.raises(InputError, match=r"5 baskets of ecommerce: the search.*0\.2 s") as stopped:
        run(limits=Limits(products=30, seconds=0.2))
    assert "INSIGHT_ASSOCIATION_MIN_SUPPORT" in str(stopped.value.next_step)
    assert rules_in(marts, "*") == before


def test_a_product_without_an_id_is_told_with_its_shop(marts: DatabaseEndpoint, run: Run) -> None:
    sell(marts, "fct_sales", [("a b", "1")] * 2)
    with connect(marts) as connection:
        connection.execute("insert into marts.fct_sales values ('9', '1', '2019-01-01', ' ')")
    with pytest.raises(InputError, match=r"baskets of ecommerce: 1 of 5 lines have no product_id"):
        run()


def test_without_the_marts_the_error_names_the_command(
    database: DatabaseEndpoint, run: Run
) -> None:
    with pytest.raises(StageError, match=r"marts of ecommerce.*insight transform"):
        run()
