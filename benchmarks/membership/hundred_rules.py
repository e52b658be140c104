"""The active rules: the standing example, and others that differ in what they ask."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from segmentation.rules import yaml_form
from segmentation.rules.spec import Rule
from segmentation.rules.yaml_form import read_rule

_EXAMPLE = Path(yaml_form.__file__).parent / "examples" / "big_recent_spenders.yaml"
STANDING = "big_recent_spenders"

# What a few in a hundred customers are above, in each of the windows.
_WINDOWS = ("last 1d", "last 7d", "last 30d", "last 90d")
_PRODUCTS = (None, "P001", "P002", "P003", "P004")
_MEASURES = (
    ("sum", "amount", (400, 900, 1_800, 3_600)),
    ("count", None, (1, 3, 6, 12)),
    ("avg", "amount", (450, 460, 470, 480)),
    ("max", "amount", (490, 496, 498, 499)),
    ("distinct", "store_id", (1, 2, 2, 2)),
)


def rules(number: int, regular: int) -> list[Rule]:
    """The first `number` of them; past a hundred they repeat with other thresholds.

    All but the first are about customers with more than `regular` sales in 90 days.
    """
    return [read_rule(_EXAMPLE).rule, *itertools.islice(_others(regular), number - 1)]


def _others(regular: int) -> Iterator[Rule]:
    for turn in itertools.count():
        for place, product, (function, field, values) in itertools.product(
            range(len(_WINDOWS)), _PRODUCTS, _MEASURES
        ):
            window = _WINDOWS[place]
            measured = _leaf(function, field, window, product, values[place] + turn)
            often = _leaf("count", None, "last 90d", None, regular)
            name = f"r{turn}_{function}_{window[5:]}_{(product or 'all').lower()}"
            both = {"kind": "all", "conditions": [measured, often]}
            yield Rule.model_validate({"version": 1, "name": name, "rule": both})


def _leaf(
    function: str, field: str | None, window: str, product: str | None, value: int
) -> dict[str, Any]:
    where = [{"field": "product_id", "op": "eq", "value": product}] if product else []
    return {
        "kind": "aggregate", "stream": "transactions", "function": function, "field": field,
        "window": window, "where": where, "op": "gt", "value": value,
    }  # fmt: skip
