"""Association rules: against a reference that counts every subset, and at the edges."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlxtend.frequent_patterns import fpgrowth

from insight.errors import InputError
from insight.settings import Settings
from ml_pipeline.associations.baskets import encode_baskets
from ml_pipeline.associations.itemsets import Limits, frequent_itemsets
from ml_pipeline.associations.rules import RULE_COLUMNS, find_rules
from ml_pipeline.associations.sentences import labels_of, sentences
from ml_pipeline.associations.thresholds import Thresholds
from streaming.simulators.arrivals import START_US
from streaming.simulators.shop import PRODUCTS, sales_between

Basket = Sequence[str]
Rule = tuple[tuple[str, ...], str]

BASKETS = st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=7), min_size=2)
SHARES = st.fractions(min_value=0, max_value=1, max_denominator=12).filter(bool)
LIFTS = st.fractions(min_value=0, max_value=3, max_denominator=6)


def lines_of(baskets: Sequence[Basket]) -> pd.DataFrame:
    rows = [(f"b{number}", product) for number, each in enumerate(baskets) for product in each]
    return pd.DataFrame(rows, columns=["basket_id", "product_id"], dtype=object)


def rules_of(
    baskets: Sequence[Basket], *, limits: Limits | None = None, **thresholds: object
) -> pd.DataFrame:
    wanted = Thresholds.of(**{"support": 0.01, "confidence": 0.01, **thresholds})  # type: ignore[arg-type]
    return find_rules(encode_baskets(lines_of(baskets)), wanted, limits)


def reference(
    baskets: Sequence[Basket], support: Fraction, confidence: Fraction, lift: Fraction, longest: int
) -> dict[Rule, tuple[int, int, int]]:
    """Every rule that reaches the thresholds, by counting all subsets; no arithmetic of floats."""
    sets = [frozenset(each) for each in baskets]
    n, products = len(sets), sorted(frozenset().union(*sets))
    found = {}
    for size in range(2, longest + 1):
        for itemset in combinations(products, size):
            rule = sum(set(itemset) <= each for each in sets)
            for consequent in itemset:
                before = tuple(each for each in itemset if each != consequent)
                antecedent = sum(set(before) <= each for each in sets)
                after = sum(consequent in each for each in sets)
                if (
                    rule
                    and Fraction(rule, n) >= support
                    and Fraction(rule, antecedent) >= confidence
                    and Fraction(rule * n, antecedent * after) >= lift
                ):
                    found[before, consequent] = (antecedent, after, rule)
    return found


def counted(rules: pd.DataFrame) -> dict[Rule, tuple[int, int, int]]:
    return {
        (row.antecedent, row.consequent): (
            row.antecedent_count,
            row.consequent_count,
            row.rule_count,
        )
        for row in rules.itertuples()
    }


@given(BASKETS, SHARES, SHARES, LIFTS, st.integers(2, 4))
@settings(max_examples=200, deadline=None)
def test_exactly_the_rules_of_the_reference_are_found(
    baskets: list[list[str]], support: Fraction, confidence: Fraction, lift: Fraction, longest: int
) -> None:
    if len({product for each in baskets for product in each}) < 2:
        return
    rules = rules_of(
        baskets,
        support=support,
        confidence=confidence,
        lift=lift,
        limits=Limits(products=longest),
    )
    assert counted(rules) == reference(baskets, support, confidence, lift, longest)
    assert len(rules) == len(counted(rules))


@given(BASKETS, st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_neither_order_nor_repetition_of_lines_matters(baskets: list[list[str]], random) -> None:
    lines = lines_of(baskets)
    if lines["product_id"].nunique() < 2:
        return
    thresholds = Thresholds.of(support="0.1", confidence="0.1")
    shuffled = pd.concat([lines, lines.sample(frac=0.5, random_state=1)])
    order = list(range(len(shuffled)))
    random.shuffle(order)
    pd.testing.assert_frame_equal(
        find_rules(encode_baskets(lines), thresholds),
        find_rules(encode_baskets(shuffled.iloc[order]), thresholds),
    )


@pytest.mark.parametrize(
    ("support", "confidence", "lift", "found"),
    [
        # 30 of 100 baskets hold a, 3 of them b, and b is in 10: all three are exact.
        ("0.03", "0.1", "1", True),
        (0.03, 0.1, 1.0, True),
        (Decimal("0.03"), Decimal("0.1"), Decimal(1), True),
        ("0.0300000000000000001", "0.1", "1", False),
        ("0.03", "0.1000000000000000001", "1", False),
        ("0.03", "0.1", "1.0000000000000000001", False),
    ],
)
def test_a_rule_exactly_on_the_line_stays(
    support: object, confidence: object, lift: object, found: bool
) -> None:
    baskets = [*["ab"] * 3, *["a"] * 27, *["b"] * 7, *["c"] * 63]
    rules = rules_of(baskets, support=support, confidence=confidence, lift=lift)
    assert ((("a",), "b") in counted(rules)) is found


def test_floats_lose_the_rule_that_integers_keep() -> None:
    """Why thresholds are compared as integers: 7/25 is 28 %, and 0.28 * 25 is above 7."""
    assert 0.28 * 25 > 7
    baskets = [*["ab"] * 7, *["a"] * 18, *["c"] * 25]
    assert (("a",), "b") in counted(rules_of(baskets, confidence=0.28))


def test_the_measures_are_those_of_the_counts() -> None:
    baskets = [*["ab"] * 30, *["a"] * 10, *["b"] * 15, *["c"] * 45]
    rules = rules_of(baskets).set_index("antecedent")
    assert tuple(rules.columns) == tuple(each for each in RULE_COLUMNS if each != "antecedent")
    rule = rules.loc[[("a",)]].iloc[0]
    counts = ["antecedent_count", "consequent_count", "rule_count", "basket_count"]
    assert rule[counts].tolist() == [40, 45, 30, 100]
    assert rule["support"] == pytest.approx(0.3)
    assert rule["confidence"] == pytest.approx(0.75)
    assert rule["lift"] == pytest.approx(0.75 / 0.45)
    assert rule["leverage"] == pytest.approx(0.3 - 0.4 * 0.45)
    assert rule["conviction"] == pytest.approx(0.55 / 0.25)


def test_a_certain_rule_has_no_conviction() -> None:
    rules = rules_of(["ab", "ab", "b", "c"]).set_index("antecedent")
    assert np.isnan(rules.loc[[("a",)], "conviction"].iloc[0])
    assert not np.isnan(rules.loc[[("b",)], "conviction"].iloc[0])


def test_a_product_in_every_basket_lifts_nothing() -> None:
    rules = rules_of(["xa", "xb", "xab", "x"], lift=1)
    assert rules.loc[rules["consequent"] == "x", "lift"].tolist() == pytest.approx([1, 1, 1])
    assert (("a",), "x") not in counted(rules_of(["xa", "xb", "xab", "x"], lift="1.01"))


@given(BASKETS, SHARES, st.integers(2, 5))
@settings(max_examples=50, deadline=None)
def test_itemsets_are_those_of_the_public_function_of_mlxtend(
    baskets: list[list[str]], support: Fraction, longest: int
) -> None:
    encoded = encode_baskets(lines_of(baskets))
    table = np.zeros((len(encoded), len(encoded.products)), dtype=bool)
    for row in range(len(encoded)):
        table[row, encoded.codes[encoded.starts[row] : encoded.starts[row + 1]]] = True
    least = Thresholds.of(support=support, confidence=1).least_count(len(encoded))
    theirs = fpgrowth(
        pd.DataFrame(table), min_support=(least - 0.5) / len(encoded), max_len=longest
    )
    ours = frequent_itemsets(encoded, least, Limits(products=longest))
    assert {
        frozenset(codes): count
        for level in ours
        for codes, count in zip(level.codes.tolist(), level.counts.tolist(), strict=True)
    } == {
        itemset: round(share * len(encoded))
        for share, itemset in theirs[["support", "itemsets"]].itertuples(index=False)
    }


def test_a_basket_above_the_cap_is_left_out_and_counted() -> None:
    large = [f"p{number}" for number in range(101)]
    encoded = encode_baskets(lines_of(["ab", large, large[:100], "ba"]))
    assert (len(encoded), encoded.left_out) == (3, 1)
    assert len(encode_baskets(lines_of(["ab", large]), largest=101)) == 2
    rules = find_rules(encoded, Thresholds.of(support="0.5", confidence=1))
    assert counted(rules) == {(("a",), "b"): (2, 2, 2), (("b",), "a"): (2, 2, 2)}


def test_when_every_basket_is_too_large_the_refusal_says_so() -> None:
    large = encode_baskets(lines_of(["abc", "abd"]), largest=2)
    with pytest.raises(InputError, match="there are no baskets, and 2 were too large"):
        find_rules(large, Thresholds.of(support="0.1", confidence="0.1"))


def test_what_the_simulated_tills_sell_together_is_found() -> None:
    """Half of the laptops go with headphones, half with a charger; phones with case and charger."""
    day = 86_400_000_000
    sales = sales_between(2019, 3_000, START_US, START_US + 10 * day)
    # As the baskets of the marts: what a customer buys on a day.
    lines = pd.DataFrame(
        {
            "basket_id": [
                f"{customer} {sold // day}"
                for customer, sold in zip(sales.customer, sales.sold, strict=True)
            ],
            "product_id": np.array(PRODUCTS)[sales.product],
        }
    )
    chosen = Settings()
    found = counted(
        find_rules(
            encode_baskets(lines),
            Thresholds.of(
                support=chosen.association_min_support,
                confidence=chosen.association_min_confidence,
                lift=chosen.association_min_lift,
            ),
        )
    )
    laptop, phone, tablet, headphones, case, charger = PRODUCTS
    planted = {(laptop, headphones), (laptop, charger), (phone, case), (phone, charger)}
    pairs = {(before[0], after) for before, after in found if len(before) == 1}
    assert pairs == planted | {(after, before) for before, after in planted}
    assert ((case, charger), phone) in found
    assert ((headphones, charger), laptop) in found
    assert not [rule for rule in found if rule[1] == tablet]


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        (Limits(products=40, seconds=0.5), "longer than 0.5 seconds"),
        (Limits(products=40, itemsets=10_000), "more than 10,000 itemsets"),
    ],
)
def test_a_hopeless_search_ends_and_says_what_to_do(limits: Limits, sentence: str) -> None:
    """Thirty baskets of the same forty products have a million million itemsets."""
    baskets = [[f"p{number}" for number in range(40)]] * 30
    with pytest.raises(InputError, match=sentence) as stopped:
        rules_of(baskets, limits=limits)
    assert "up to 40 products that one basket or more hold" in stopped.value.what
    assert "Raise the smallest support" in str(stopped.value.next_step)


def test_the_clock_is_looked_at_before_the_first_itemset() -> None:
    with pytest.raises(InputError, match="longer than 1e-09 seconds"):
        rules_of(["ab", "ab"], limits=Limits(seconds=1e-9))


@pytest.mark.parametrize(
    ("baskets", "sentence"),
    [
        ([], "there are no baskets"),
        ([["a", "b"]], "there is only one basket"),
        ([["a"], ["a", "a"], ["a"]], "all baskets hold the same single product"),
    ],
)
def test_baskets_that_hold_no_rule_are_refused(baskets: list[Basket], sentence: str) -> None:
    with pytest.raises(InputError, match=f"{sentence}.*at least two baskets"):
        rules_of(baskets)


@pytest.mark.parametrize("missing", [None, float("nan"), "", "  ", pd.NA])
@pytest.mark.parametrize("column", ["basket_id", "product_id"])
def test_a_line_without_an_id_is_named(column: str, missing: object) -> None:
    lines = lines_of(["ab", "cd"])
    lines.loc[[2, 3], column] = missing
    with pytest.raises(InputError, match=f"2 of 4 lines have no {column}, the first is line 3"):
        encode_baskets(lines)


def test_a_missing_column_is_named() -> None:
    with pytest.raises(InputError, match="no column product_id"):
        encode_baskets(lines_of(["ab"])[["basket_id"]])


def test_ids_that_are_numbers_are_those_of_their_text() -> None:
    lines = pd.DataFrame({"basket_id": [1, 1, 2, 2], "product_id": [7, 8, 7, 8]})
    rules = find_rules(encode_baskets(lines), Thresholds.of(support=1, confidence=1))
    assert counted(rules) == {(("7",), "8"): (2, 2, 2), (("8",), "7"): (2, 2, 2)}


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"support": 0}, "smallest support is 0, no share above 0 and up to 1"),
        ({"support": -0.1}, "smallest support"),
        ({"support": 1.01}, "smallest support"),
        ({"confidence": 0}, "smallest confidence"),
        ({"confidence": 5}, "smallest confidence is 5.*Write 1 % as 0.01"),
        ({"confidence": float("nan")}, "smallest confidence is nan, which is no number"),
        ({"support": float("inf")}, "smallest support is inf, which is no number"),
        ({"support": "often"}, "smallest support is 'often', which is no number"),
        ({"lift": -1}, "no lift is below 0"),
        ({"count": 0}, "smallest number of baskets is 0"),
    ],
)
def test_a_threshold_that_means_nothing_is_refused(wrong: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        rules_of(["ab", "ab"], **wrong)


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        (Limits(products=1), "itemsets of 1 products make no rule"),
        (Limits(seconds=0), "0 seconds are no time"),
        (Limits(seconds=float("nan")), "nan seconds are no time"),
    ],
)
def test_a_limit_that_means_nothing_is_refused(limits: Limits, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        rules_of(["ab", "ab"], limits=limits)


def test_a_cap_of_one_product_a_basket_is_refused() -> None:
    with pytest.raises(InputError, match="largest basket of 1 products"):
        encode_baskets(lines_of(["ab"]), largest=1)


def test_the_smallest_number_of_baskets_holds_beside_the_support() -> None:
    baskets = [*["ab"] * 4, *["c"] * 6]
    assert counted(rules_of(baskets, support=0.1, count=4))
    assert not counted(rules_of(baskets, support=0.1, count=5))


def test_a_rule_reads_as_a_sentence() -> None:
    baskets = [*["abc"] * 43, *["ab"] * 57, *["c"] * 62, *["d"] * 338]
    rules = rules_of(baskets)
    names = {"a": "Laptop", "b": "Headphones", "c": "Charger"}
    read = dict(zip(counted(rules), sentences(rules, labels_of("abcd", names)), strict=True))
    assert read[("a", "b"), "c"] == (
        "Who buys Laptop and Headphones also buys Charger in 43 % of baskets,"
        " 2.0 times as often as buyers in general."
    )
    assert read[("a",), "b"].startswith("Who buys Laptop also buys Headphones in 100 % of baskets")


@pytest.mark.parametrize(
    ("confidence", "told"),
    [
        (0.004, "0.4 %"), (0.0001, "0.01 %"), (0.01, "1 %"), (0.126, "13 %"), (0.99, "99 %"),
        (0.9999, "over 99 %"), (1.0, "100 %"),
    ],
)  # fmt: skip
def test_a_share_is_told_as_all_or_nothing_only_when_it_is(confidence: float, told: str) -> None:
    rules = pd.DataFrame(
        {"antecedent": [("a", "b", "c")], "consequent": "d", "confidence": confidence, "lift": 1234}
    )
    (sentence,) = sentences(rules, labels_of("abcd", {}))
    assert sentence == (
        f"Who buys a, b and c also buys d in {told} of baskets,"
        " 1,234.0 times as often as buyers in general."
    )


def test_products_of_one_name_are_told_apart_by_their_ids() -> None:
    labels = labels_of(["1", "2", "3", "4"], {"1": "Tee", "2": "Tee", "3": "Mug"})
    assert labels == {"1": "Tee (1)", "2": "Tee (2)", "3": "Mug", "4": "4"}
