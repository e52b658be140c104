"""What is an error, what is a warning, and where it points."""

from typing import Any

import pytest
from hypothesis import given, settings
from random_rules import CATALOGUE, conditions, moments, rule_of, worlds
from rule_worlds import CATALOGUE_WITH_OTHERS, World, results_of

from insight.errors import InputError
from segmentation.queries.plan import make_plan
from segmentation.rules.catalogue import build_catalogue
from segmentation.rules.checks import errors
from segmentation.rules.lint import lint, warnings
from streaming.contract import load_contracts


def count(op: str, value: float, **more: Any) -> dict[str, Any]:
    return {"kind": "aggregate", "stream": "transactions", "function": "count",
            "window": "last 30d", "op": op, "value": value, **more}  # fmt: skip


def total(op: str, value: float, **more: Any) -> dict[str, Any]:
    return count(op, value, function="sum", field="amount", **more)


def gender(op: str, *value: Any) -> dict[str, Any]:
    return {"kind": "trait", "field": "gender", "op": op, **({"value": value[0]} if value else {})}


def both(*found: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "all", "conditions": list(found)}


def either(*found: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "any", "conditions": list(found)}


def not_(found: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "not", "condition": found}


def bucket(percent: float, salt: str = "a") -> dict[str, Any]:
    return {"kind": "bucket", "salt": salt, "percent": percent}


@pytest.mark.parametrize(
    ("condition", "code", "pointer"),
    [
        (count("gt", 1, stream="sales"), "unknown_stream", "/rule/stream"),
        (count("gt", 1, stream="bitcoin-prices"), "unknown_stream", "/rule/stream"),
        (total("gt", 1) | {"field": "amuont"}, "unknown_field", "/rule/field"),
        (total("gt", 1) | {"field": "store_id"}, "function_does_not_fit", "/rule/function"),
        (total("gt", 1) | {"field": "timestamp"}, "function_does_not_fit", "/rule/function"),
        (count("gt", 1) | {"value": "five"}, "value_does_not_fit", "/rule/value"),
        (count("gt", 1, where=[{"field": "no", "op": "is_set"}]), "unknown_field",
         "/rule/where/0/field"),
        (count("gt", 1, where=[{"field": "store_id", "op": "gt", "value": "S"}]),
         "operator_does_not_fit", "/rule/where/0/op"),
        (count("gt", 1, where=[{"field": "amount", "op": "contains", "value": "5"}]),
         "operator_does_not_fit", "/rule/where/0/op"),
        (count("gt", 1, where=[{"field": "amount", "op": "eq", "value": True}]),
         "value_does_not_fit", "/rule/where/0/value"),
        (count("gt", 1, stream="refunds", where=[{"field": "reason", "op": "eq", "value": "x"}]),
         "value_does_not_fit", "/rule/where/0/value"),
        ({"kind": "trait", "field": "age", "op": "gt", "value": 3}, "unknown_field", "/rule/field"),
        ({"kind": "member", "segment": "nobody"}, "unknown_segment", "/rule/segment"),
        ({"kind": "member", "segment": "random"}, "circular_segments", "/rule/segment"),
        ({"kind": "n_of", "at_least": 2, "conditions": [bucket(5)]}, "impossible_count",
         "/rule/at_least"),
        ({"kind": "n_of", "at_least": 1, "at_most": 0, "conditions": [bucket(5)]},
         "impossible_count", "/rule/at_most"),
        (not_(both({"kind": "sequence", "window": "mtd", "steps": [
            {"stream": "refunds"}, {"stream": "x"}]})), "unknown_stream",
         "/rule/condition/conditions/0/steps/1/stream"),
    ],
)  # fmt: skip
def test_errors_of_meaning_point_at_what_is_wrong(
    condition: dict[str, Any], code: str, pointer: str
) -> None:
    rule = rule_of(condition)
    assert [(each.code, each.pointer) for each in errors(rule, CATALOGUE)] == [(code, pointer)]
    with pytest.raises(InputError):
        make_plan(rule, CATALOGUE)


def test_an_unknown_domain_is_an_error() -> None:
    (found,) = errors(rule_of(bucket(5), population=["retail", "toys"]), CATALOGUE)
    assert found.pointer == "/population/1"
    assert "known are banking, ecommerce, retail" in found.message


def test_segments_that_refer_in_a_circle_are_an_error_that_names_the_way() -> None:
    segments = {
        "b": rule_of({"kind": "member", "segment": "c"}, name="b"),
        "c": rule_of(either({"kind": "member", "segment": "a"}), name="c"),
    }
    catalogue = build_catalogue(load_contracts(), segments)
    (found,) = errors(rule_of({"kind": "member", "segment": "b"}, name="a"), catalogue)
    assert found.message == "segments refer in a circle: a -> b -> c -> a"


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (both(count("gt", 5), count("lt", 6)), [("contradiction", "/rule")]),
        (both(count("gt", 5), count("lt", 7)), []),
        (both(total("gt", 5), total("lt", 6)), []),
        (both(count("gt", 5), count("lt", 3, window="last 90d")), []),
        (both(count("gt", 5), not_(count("gte", 6))), [("contradiction", "/rule")]),
        (either(count("gt", 5), count("lte", 5)), [("always_true", "/rule")]),
        (both(bucket(5), count("lt", 0)), [("contradiction", "/rule/conditions/1")]),
        (both(bucket(5), count("gte", 0)), [("always_true", "/rule/conditions/1")]),
        (both(bucket(5), total("lt", 0)), [("contradiction", "/rule/conditions/1")]),
        (count("eq", 1.5), [("contradiction", "/rule")]),
        (both(gender("eq", "F"), gender("eq", "M")), [("contradiction", "/rule")]),
        (both(gender("in", ["F", "M"]), gender("eq", "M")), []),
        (either(gender("is_set"), gender("is_not_set")), [("always_true", "/rule")]),
        (either(gender("eq", "F"), gender("ne", "F")), []),
        (both(gender("contains", "F"), gender("eq", "M")), []),
        (both(bucket(10), not_(bucket(20))), [("contradiction", "/rule")]),
        (both(bucket(10), not_(bucket(20, "b"))), []),
        (bucket(100), [("always_true", "/rule")]),
        ({"kind": "n_of", "at_least": 0, "conditions": [bucket(5)]}, [("always_true", "/rule")]),
        (both(bucket(5), bucket(5.0)), [("duplicate", "/rule/conditions/1")]),
        (both(count("gt", 5), both(count("gt", 5, window="last 720h"))), []),
        (both(count("gt", 5), count("gt", 5, window="last 720h")),
         [("duplicate", "/rule/conditions/1")]),
        (either(bucket(5), count("eq", 0, window="from 3d to 5d ago")),
         [("always_true", "/rule/conditions/1"), ("empty_window", "/rule/conditions/1/window")]),
        (either(bucket(5), count("gt", 1, window="between 2019-02-01 and 2019-02-01")),
         [("contradiction", "/rule/conditions/1"), ("empty_window", "/rule/conditions/1/window")]),
    ],
)  # fmt: skip
def test_warnings_point_at_the_innermost_condition(
    condition: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    found = lint(rule_of(condition), CATALOGUE)
    assert {each.severity for each in found} <= {"warning"}
    assert sorted((each.code, each.pointer) for each in found) == sorted(expected)


@given(conditions, worlds, moments)
@settings(max_examples=60)
def test_what_is_said_to_be_constant_is_so_in_every_world(
    condition: dict[str, Any], world: World, as_of: Any
) -> None:
    rule = rule_of(condition)
    constant = {each.code for each in warnings(rule, CATALOGUE_WITH_OTHERS)
                if each.pointer == "/rule"}  # fmt: skip
    matches = {each.matches for each in results_of(rule, world, as_of).values()}
    assert not ("contradiction" in constant and True in matches)
    assert not ("always_true" in constant and False in matches)


def test_a_rule_of_many_thresholds_is_linted_without_trying_everything() -> None:
    windows = [f"last {n + 1}d" for n in range(32)]
    leaves = [leaf for each in windows
              for leaf in (count("gt", 5, window=each), count("lt", 9, window=each))]  # fmt: skip
    assert lint(rule_of(both(*leaves)), CATALOGUE) == []
