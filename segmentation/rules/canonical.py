"""The canonical form of a rule and hashes of it, equal for rules that ask the same in other words.

The order of what commutes, units, and how numbers and times are written do not matter, nor do name
and description. Everything else does.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from segmentation.rules.spec import SPEC_VERSION, Condition, Leaf, Rule, walk_leaves

_COMMUTING = frozenset({"all", "any", "n_of"})


def canonical_rule(rule: Rule) -> dict[str, Any]:
    """What a rule asks, as a JSON document that reads back as the same rule but for its name."""
    return {
        "version": rule.version,
        "population": None if rule.population is None else sorted(set(rule.population)),
        "rule": canonical_condition(rule.rule),
    }


def canonical_condition(condition: Condition) -> dict[str, Any]:
    """One condition as a JSON document."""
    return _normalised(condition.model_dump(mode="json"))


def spec_sha(rule: Rule) -> str:
    """SHA-256 of what the rule asks, in hexadecimal."""
    return _sha(canonical_rule(rule))


def leaf_sha(leaf: Condition) -> str:
    """SHA-256 of what one condition asks, in hexadecimal; rules that share it share its result."""
    return _sha({"version": SPEC_VERSION, "condition": canonical_condition(leaf)})


def distinct_leaves(condition: Condition) -> tuple[Leaf, ...]:
    """The leaves of a condition from left to right, each once; their places are bits of a mask."""
    found: dict[str, Leaf] = {}
    for leaf in walk_leaves(condition):
        found.setdefault(leaf_sha(leaf), leaf)
    return tuple(found.values())


def canonical_text(document: object) -> str:
    """A document as the text that is hashed."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _sha(document: object) -> str:
    return hashlib.sha256(canonical_text(document).encode()).hexdigest()


def _normalised(condition: dict[str, Any]) -> dict[str, Any]:
    found = dict(condition)
    if "conditions" in found:
        below = [_normalised(each) for each in found["conditions"]]
        found["conditions"] = _sorted(below) if found["kind"] in _COMMUTING else below
    if "condition" in found:
        found["condition"] = _normalised(found["condition"])
    if "customers" in found:
        found["customers"] = sorted(set(found["customers"]))
    for name in ("where", "steps"):
        if name in found:
            found[name] = [_normalised(each) for each in found[name]]
    if "where" in found:
        found["where"] = _unique(found["where"])
    if found.get("without"):
        found["without"] = _normalised(found["without"])
    if found.get("op") in ("in", "not_in"):
        found["value"] = _unique(found["value"])
    return found


def _sorted(documents: Iterable[Any]) -> list[Any]:
    return sorted(documents, key=canonical_text)


def _unique(documents: Iterable[Any]) -> list[Any]:
    return _sorted({canonical_text(each): each for each in documents}.values())
