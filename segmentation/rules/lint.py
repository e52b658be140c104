"""Warnings about rules that can be meant, but hardly are.

The values that one aggregate or trait can take are cut where the rule cuts them; if no combination
of such values lets a condition hold, it is a contradiction, and if all do, it always holds.
Different aggregates are taken as independent, so what is told is true, but not all is told.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise, product
from typing import Any

from segmentation.queries.buckets import bucket_limit
from segmentation.queries.plan import compare, measure_of, tree_of, truth
from segmentation.rules import spec
from segmentation.rules.canonical import canonical_condition, canonical_text, leaf_sha
from segmentation.rules.catalogue import Catalogue, Field
from segmentation.rules.checks import Finding, errors, result_field, typed_value
from segmentation.rules.spec import Condition, Rule, walk
from segmentation.rules.windows import is_empty

# More combinations than this are not tried.
_MOST_COMBINATIONS = 20_000

Holds = Callable[[Any], bool]


def lint(rule: Rule, catalogue: Catalogue) -> list[Finding]:
    """Errors of meaning, or if there are none, warnings; in the order of the rule."""
    return errors(rule, catalogue) or warnings(rule, catalogue)


def warnings(rule: Rule, catalogue: Catalogue) -> list[Finding]:
    """Warnings about a rule without errors."""
    found = [*_empty_windows(rule), *_duplicates(rule), *_constants(rule, catalogue)]
    order = {pointer: index for index, (pointer, _) in enumerate(walk(rule.rule))}
    return sorted(found, key=lambda each: order.get(each.pointer.removesuffix("/window"), 0))


def _warning(code: str, pointer: str, message: str) -> Finding:
    return Finding("warning", code, pointer, message)


def _empty_windows(rule: Rule) -> Iterator[Finding]:
    for pointer, condition in walk(rule.rule):
        if isinstance(condition, spec.Aggregate | spec.Sequence) and is_empty(condition.window):
            yield _warning(
                "empty_window",
                f"{pointer}/window",
                "the window is always empty: its end does not come after its start",
            )


def _duplicates(rule: Rule) -> Iterator[Finding]:
    for pointer, condition in walk(rule.rule):
        if isinstance(condition, spec.Not):
            continue
        seen: dict[str, int] = {}
        for index, each in enumerate(spec.children(condition)):
            text = canonical_text(canonical_condition(each))
            if text in seen:
                yield _warning(
                    "duplicate",
                    f"{pointer}/conditions/{index}",
                    f"asks the same as {pointer}/conditions/{seen[text]}",
                )
            seen.setdefault(text, index)


@dataclass(frozen=True)
class _Subject:
    """What leaves compare, with one value for every class of values that they tell apart."""

    samples: Sequence[Any]
    leaves: Mapping[str, Holds]

    @property
    def outcomes(self) -> list[tuple[bool, ...]]:
        """Every combination of its leaves that can be."""
        found = [tuple(holds(value) for holds in self.leaves.values()) for value in self.samples]
        return list(dict.fromkeys(found))


def _constants(rule: Rule, catalogue: Catalogue) -> Iterator[Finding]:
    """Conditions that never or always hold; only the innermost of nested ones is told."""
    told: list[str] = []
    for pointer, condition in reversed(list(walk(rule.rule))):
        if any(each.startswith(f"{pointer}/") for each in told):
            continue
        found = _possible(condition, catalogue)
        if found == {False}:
            told.append(pointer)
            yield _warning("contradiction", pointer, "can never hold, for no customer")
        elif found == {True}:
            told.append(pointer)
            yield _warning("always_true", pointer, "always holds, for every customer")


def _possible(condition: Condition, catalogue: Catalogue) -> set[bool]:
    """The outcomes that a condition can have; both when there are too many ways to try."""
    subjects = _subjects(condition, catalogue)
    outcomes = [each.outcomes for each in subjects]
    places = [sha for each in subjects for sha in each.leaves]
    tree = tree_of(condition, {sha: place for place, sha in enumerate(places)})
    if math.prod(map(len, outcomes)) > _MOST_COMBINATIONS:
        return {True, False}
    found = set()
    for combination in product(*outcomes):
        found.add(truth(tree, [holds for each in combination for holds in each]))
        if len(found) == 2:
            break
    return found


def _subjects(condition: Condition, catalogue: Catalogue) -> list[_Subject]:
    by_subject: dict[object, list[spec.Leaf]] = {}
    for leaf in spec.walk_leaves(condition):
        by_subject.setdefault(_subject_key(leaf), []).append(leaf)
    return [_subject(leaves, catalogue) for leaves in by_subject.values()]


def _subject_key(leaf: spec.Leaf) -> object:
    match leaf:
        case spec.Aggregate():
            return ("aggregate", leaf.stream, measure_of(leaf))
        case spec.Trait() if leaf.op not in ("contains", "starts_with"):
            return ("trait", leaf.field)
        case spec.Bucket():
            return ("bucket", leaf.salt)
    return leaf_sha(leaf)


def _subject(leaves: Sequence[Any], catalogue: Catalogue) -> _Subject:
    first = leaves[0]
    if isinstance(first, spec.Aggregate):
        return _aggregate_subject(leaves, catalogue)
    if isinstance(first, spec.Trait) and first.op not in ("contains", "starts_with"):
        return _trait_subject(leaves, catalogue)
    if isinstance(first, spec.Bucket):
        limits = {leaf_sha(each): bucket_limit(each) for each in leaves}
        samples = ["", *limits.values()]
        below = {sha: _below(limit) for sha, limit in limits.items()}
        return _Subject([each for each in samples if each != "g"], below)
    return _Subject([False, True], {leaf_sha(first): bool})


def _below(limit: str) -> Holds:
    return lambda digest: digest < limit


def _aggregate_subject(leaves: Sequence[spec.Aggregate], catalogue: Catalogue) -> _Subject:
    first = leaves[0]
    stream = catalogue.streams[first.stream]
    result = result_field(first, stream)
    limits = {leaf_sha(each): typed_value(each.value, result) for each in leaves}
    samples = _around(list(limits.values()), whole=first.function in ("count", "distinct"))
    least = _least(first, catalogue)
    if least is not None:
        samples = [each for each in [*samples, least] if each >= least]
    if is_empty(first.window):
        samples = []
    if first.function in ("count", "sum", "distinct"):
        samples.append(Decimal(0))
    else:
        samples.append(None)
    ops = {leaf_sha(each): each.op for each in leaves}
    return _Subject(samples, {sha: _compares(ops[sha], limits[sha]) for sha in limits})


def _compares(op: str, limit: object) -> Holds:
    return lambda value: value is not None and compare(op, value, limit)


def _least(leaf: spec.Aggregate, catalogue: Catalogue) -> Decimal | None:
    """What an aggregate is never below, by the contract."""
    if leaf.function in ("count", "distinct"):
        return Decimal(0)
    known = catalogue.streams[leaf.stream].fields[str(leaf.field)]
    if known.minimum is None or (leaf.function == "sum" and known.minimum < 0):
        return None
    return Decimal(0) if leaf.function == "sum" else known.minimum


def _trait_subject(leaves: Sequence[spec.Trait], catalogue: Catalogue) -> _Subject:
    known = catalogue.traits[leaves[0].field]
    values = [typed_value(value, known) for each in leaves for value in each.values]
    samples: list[Any] = [None, *_values_of(known, values)]
    return _Subject(samples, {leaf_sha(each): _trait_holds(each, known) for each in leaves})


def _values_of(known: Field, values: list[Any]) -> list[Any]:
    if known.type in ("number", "timestamp"):
        samples = _around(values)
        if known.minimum is not None:
            samples = [each for each in [*samples, known.minimum] if each >= known.minimum]
        # Without limits one value stands for all that are known.
        return samples or [Decimal(0)]
    if known.type == "boolean":
        return [False, True]
    # No value of a rule holds a NUL: this stands for all values that it does not name.
    return list(known.values) if known.values else [*values, "\0"]


def _trait_holds(each: spec.Trait, known: Field) -> Holds:
    wanted = [typed_value(value, known) for value in each.values]

    def holds(value: Any) -> bool:
        if each.op in ("is_set", "is_not_set"):
            return (value is not None) is (each.op == "is_set")
        if value is None:
            return False
        match each.op:
            case "in":
                return value in wanted
            case "not_in":
                return value not in wanted
            case "between":
                return compare("gte", value, wanted[0]) and compare("lte", value, wanted[1])
        return compare(each.op, value, wanted[0])

    return holds


def _around(limits: Sequence[Any], *, whole: bool = False) -> list[Any]:
    """A value at, between, below and above all limits; whole numbers only if asked."""
    found = sorted(set(limits))
    if not found:
        return []
    if whole:
        near = {n for each in found for n in (math.floor(each), math.ceil(each))}
        return sorted({Decimal(n + step) for n in near for step in (-1, 0, 1)})
    step: Any = timedelta(days=1) if isinstance(found[0], datetime) else Decimal(1)
    between = [low + (high - low) / 2 for low, high in pairwise(found)]
    return [found[0] - step, *found, *between, found[-1] + step]
