"""Hashes are equal for rules that ask the same, and differ for all others."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_rules import conditions, leaves, rule_of, rules

from segmentation.rules.canonical import (
    canonical_condition,
    canonical_rule,
    canonical_text,
    distinct_leaves,
    leaf_sha,
    spec_sha,
)
from segmentation.rules.spec import Rule, walk_leaves

quick = settings(max_examples=100)


@given(rules)
@quick
def test_the_canonical_form_reads_back_as_a_rule_of_the_same_form(rule: Rule) -> None:
    document = canonical_rule(rule)
    again = Rule.model_validate({**document, "name": "other"})
    assert canonical_rule(again) == document
    assert spec_sha(again) == spec_sha(rule)


@given(rules)
@quick
def test_json_reads_back_as_the_same_rule(rule: Rule) -> None:
    assert Rule.model_validate_json(rule.model_dump_json()) == rule


def _shuffled(condition: dict[str, Any], random: Any) -> dict[str, Any]:
    found = copy.deepcopy(condition)
    for name in ("conditions", "where", "customers"):
        if name in found:
            random.shuffle(found[name])
    if "conditions" in found:
        found["conditions"] = [_shuffled(each, random) for each in found["conditions"]]
    if "condition" in found:
        found["condition"] = _shuffled(found["condition"], random)
    return found


@given(conditions, st.randoms(use_true_random=False))
@quick
def test_the_order_of_what_commutes_does_not_matter(condition: dict[str, Any], random: Any) -> None:
    assert spec_sha(rule_of(condition)) == spec_sha(rule_of(_shuffled(condition, random)))


@given(st.lists(leaves, min_size=2, max_size=6))
@quick
def test_two_leaves_share_a_hash_only_if_they_share_a_form(found: list[dict[str, Any]]) -> None:
    parsed = [rule_of(each).rule for each in found]
    forms = {canonical_text(canonical_condition(each)) for each in parsed}
    assert len({leaf_sha(each) for each in parsed}) == len(forms)


_AGGREGATE = {
    "kind": "aggregate", "stream": "transactions", "function": "sum", "field": "amount",
    "where": [{"field": "store_id", "op": "eq", "value": "S1"}],
    "window": "from 60d to 30d ago", "op": "gt", "value": 5,
}  # fmt: skip
_SEQUENCE = {
    "kind": "sequence",
    "steps": [{"stream": "transactions"}, {"stream": "refunds"}],
    "window": "last 30d",
}


@pytest.mark.parametrize(
    "change",
    [
        {"stream": "refunds"},
        {"function": "avg"},
        {"field": "product_id"},
        {"where": []},
        {"where": [{"field": "store_id", "op": "ne", "value": "S1"}]},
        {"where": [{"field": "store_id", "op": "eq", "value": "S2"}]},
        {"where": [{"field": "product_id", "op": "eq", "value": "S1"}]},
        {"window": "from 61d to 30d ago"},
        {"window": "from 60d to 31d ago"},
        {"window": "last 60d"},
        {"window": "last 30d"},
        {"window": "lifetime"},
        {"window": "mtd"},
        {"window": "qtd"},
        {"window": "between 2019-01-01 and 2019-02-01"},
        {"window": "between 2019-01-01 and 2019-02-02"},
        {"op": "gte"},
        {"value": 5.000001},
        {"value": "5"},
    ],
)
def test_every_part_of_an_aggregate_is_in_its_hash(change: dict[str, Any]) -> None:
    assert leaf_sha(rule_of({**_AGGREGATE, **change}).rule) != leaf_sha(rule_of(_AGGREGATE).rule)


@pytest.mark.parametrize(
    "change",
    [
        {"steps": [{"stream": "refunds"}, {"stream": "transactions"}]},
        {"within": "3d"},
        {"without": {"stream": "refunds"}},
        {"without": {"stream": "transactions"}},
        {"window": "last 31d"},
    ],
)
def test_every_part_of_a_sequence_is_in_its_hash(change: dict[str, Any]) -> None:
    assert leaf_sha(rule_of({**_SEQUENCE, **change}).rule) != leaf_sha(rule_of(_SEQUENCE).rule)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"window": "last 30d"}, {"window": "last 720h"}),
        ({"window": "last 4w"}, {"window": {"kind": "rolling", "last": "28d"}}),
        ({"value": 5}, {"value": 5.0}),
        (
            {"window": "between 2019-01-01 and 2019-02-01"},
            {"window": "between 2019-01-01T01:00:00+01:00 and 2019-02-01T00:00:00Z"},
        ),
    ],
)
def test_units_and_ways_of_writing_do_not_matter(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    first, second = rule_of({**_AGGREGATE, **one}), rule_of({**_AGGREGATE, **other})
    assert spec_sha(first) == spec_sha(second)


def test_groups_counts_and_populations_are_in_the_hash() -> None:
    def n_of(**counts: int) -> str:
        return spec_sha(rule_of({"kind": "n_of", "conditions": [_AGGREGATE], **counts}))

    shas = {
        spec_sha(rule_of(_AGGREGATE)),
        spec_sha(rule_of(_AGGREGATE, population=["retail"])),
        spec_sha(rule_of({"kind": "not", "condition": _AGGREGATE})),
        spec_sha(rule_of({"kind": "all", "conditions": [_AGGREGATE]})),
        spec_sha(rule_of({"kind": "any", "conditions": [_AGGREGATE]})),
        n_of(at_least=1),
        n_of(at_most=1),
        n_of(at_least=0),
        n_of(at_least=1, at_most=1),
    }
    assert len(shas) == 9


def test_name_and_description_are_not_in_the_hash() -> None:
    renamed = rule_of(_AGGREGATE, name="b", description="another")
    assert spec_sha(renamed) == spec_sha(rule_of(_AGGREGATE))


@given(conditions)
@quick
def test_leaves_have_one_bit_each_in_the_order_of_the_rule(condition: dict[str, Any]) -> None:
    rule = rule_of(condition).rule
    shas = [leaf_sha(each) for each in walk_leaves(rule)]
    assert [leaf_sha(each) for each in distinct_leaves(rule)] == list(dict.fromkeys(shas))
