"""A rule read back in plain English."""

from typing import Any

import pytest
from random_rules import rule_of

from segmentation.rules.sentences import rule_sentence

COUNT = {"kind": "aggregate", "stream": "transactions", "function": "count",
         "window": "last 30d", "op": "gt", "value": 5}  # fmt: skip
SUM = {**COUNT, "function": "sum", "field": "amount", "value": 1000}
MORE = "the number of transactions in the last 30 days is more than 5"


@pytest.mark.parametrize(
    ("condition", "sentence"),
    [
        (COUNT, MORE),
        ({"kind": "all", "conditions": [SUM, COUNT]},
         "the total of amount over transactions in the last 30 days is more than 1,000"
         f" and {MORE}"),
        ({"kind": "not", "condition": {"kind": "any", "conditions": [COUNT, COUNT]}},
         f"it is not so that ({MORE} or {MORE})"),
        ({"kind": "n_of", "at_least": 1, "conditions": [COUNT]},
         f"at least 1 of these hold: [{MORE}]"),
        ({"kind": "n_of", "at_most": 1, "conditions": [COUNT]},
         f"at most 1 of these hold: [{MORE}]"),
        ({"kind": "n_of", "at_least": 1, "at_most": 1, "conditions": [COUNT]},
         f"exactly 1 of these hold: [{MORE}]"),
        ({**SUM, "function": "avg", "window": "mtd", "op": "lte", "value": 9.5},
         "the average of amount over transactions since the start of the month is at most 9.5"),
        ({**SUM, "function": "max", "window": "lifetime", "op": "ne"},
         "the highest amount of transactions at any time is not 1,000"),
        ({**SUM, "function": "min", "window": "from 90d to 30d ago", "op": "eq"},
         "the lowest amount of transactions from 90 days to 30 days ago is 1,000"),
        ({**SUM, "function": "distinct", "window": "between 2019-01-01 and 2019-02-01T12:00:00Z"},
         "the number of different amount in transactions from 2019-01-01 to before"
         " 2019-02-01 12:00:00 is more than 1,000"),
        ({**COUNT, "window": "last 36h", "where": [
            {"field": "store_id", "op": "in", "value": ["S1", "S2"]},
            {"field": "amount", "op": "between", "value": [1, 2.5]}]},
         "the number of transactions where store_id is one of 'S1' or 'S2' and amount is from 1 to"
         " 2.5 in the last 36 hours is more than 5"),
        ({"kind": "trait", "field": "gender", "op": "is_not_set"}, "gender is not known"),
        ({"kind": "trait", "field": "location", "op": "starts_with", "value": "New"},
         "location starts with 'New'"),
        ({"kind": "member", "segment": "vips"}, "the customer is in segment vips"),
        ({"kind": "list", "customers": ["a", "b"]}, "the customer is one of 2 named customers"),
        ({"kind": "bucket", "salt": "may", "percent": 10},
         "the customer is among the 10 % drawn with salt 'may'"),
        ({"kind": "sequence", "window": "last 90d", "within": "3d",
          "steps": [{"stream": "transactions"}, {"stream": "transactions"}],
          "without": {"stream": "refunds",
                      "where": [{"field": "reason", "op": "eq", "value": "defective"}]}},
         "there is an event of transactions, then an event of transactions, all within 3 days,"
         " with no event of refunds where reason is 'defective' in between, in the last 90 days"),
    ],
)  # fmt: skip
def test_sentences(condition: dict[str, Any], sentence: str) -> None:
    assert rule_sentence(rule_of(condition)) == f"Customers for whom {sentence}."


def test_a_population_is_named() -> None:
    found = rule_sentence(rule_of(COUNT, population=["banking", "retail"]))
    assert found.startswith("Customers of banking or retail for whom ")
