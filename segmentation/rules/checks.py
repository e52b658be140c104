"""Errors of meaning: what a rule names must exist, and fit what is done with it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from insight.errors import InputError
from segmentation.rules.catalogue import Catalogue, Field, Stream
from segmentation.rules.spec import (
    Aggregate,
    Filter,
    Member,
    NOf,
    Rule,
    Sequence,
    Step,
    Trait,
    Value,
    segments_of,
    steps_of,
    walk,
)
from segmentation.rules.windows import parse_moment

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """Something about a place in a rule; `pointer` is a JSON pointer into its document."""

    severity: Severity
    code: str
    pointer: str
    message: str

    def __str__(self) -> str:
        return f"{self.pointer}: {self.message}"


_ORDERED = frozenset({"lt", "lte", "gt", "gte", "between"})
_OF_TEXT = frozenset({"contains", "starts_with"})
_TYPES_OF = {
    "sum": ("number",),
    "avg": ("number",),
    "min": ("number", "timestamp"),
    "max": ("number", "timestamp"),
    "distinct": ("text", "number", "boolean", "timestamp"),
}


def errors(rule: Rule, catalogue: Catalogue) -> list[Finding]:
    """All errors of meaning, in the order of the rule; none means it can be compiled."""
    return list(_errors(rule, catalogue))


def refuse_errors(rule: Rule, catalogue: Catalogue) -> None:
    """Raises InputError that names the first error of meaning, if there is one."""
    found = errors(rule, catalogue)
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise InputError(f"{found[0].message}{more}", where=f"{rule.name}: {found[0].pointer}")


def _errors(rule: Rule, catalogue: Catalogue) -> Iterator[Finding]:
    for index, domain in enumerate(rule.population or ()):
        if domain not in catalogue.domains:
            yield _error(
                "unknown_domain",
                f"/population/{index}",
                f"there is no domain {domain!r}: {_known(catalogue.domains)}",
            )
    for pointer, condition in walk(rule.rule):
        if isinstance(condition, NOf):
            yield from _n_of_errors(pointer, condition)
        elif isinstance(condition, Trait):
            yield from _trait_errors(pointer, condition, catalogue)
        elif isinstance(condition, Aggregate):
            yield from _step_errors(pointer, steps_of(condition)[0][1], catalogue)
            yield from _aggregate_errors(pointer, condition, catalogue)
        elif isinstance(condition, Sequence):
            for part, step in steps_of(condition):
                yield from _step_errors(f"{pointer}{part}", step, catalogue)
        elif isinstance(condition, Member):
            yield from _member_errors(pointer, condition, rule, catalogue)


def _error(code: str, pointer: str, message: str) -> Finding:
    return Finding("error", code, pointer, message)


def _known(names: object) -> str:
    listed = ", ".join(sorted(str(each) for each in names))  # type: ignore[attr-defined]
    return f"known are {listed}" if listed else "none are known"


def _n_of_errors(pointer: str, group: NOf) -> Iterator[Finding]:
    count = len(group.conditions)
    if group.at_least is not None and group.at_least > count:
        yield _error(
            "impossible_count",
            f"{pointer}/at_least",
            f"at least {group.at_least} of {count} conditions can never hold",
        )
    if None not in (group.at_least, group.at_most) and group.at_least > group.at_most:  # type: ignore[operator]
        yield _error(
            "impossible_count",
            f"{pointer}/at_most",
            f"at least {group.at_least} and at most {group.at_most} can never hold",
        )


def _trait_errors(pointer: str, trait: Trait, catalogue: Catalogue) -> Iterator[Finding]:
    known = catalogue.traits.get(trait.field)
    if known is None:
        yield _error(
            "unknown_field",
            f"{pointer}/field",
            f"there is no trait {trait.field!r}: {_known(catalogue.traits)}",
        )
    else:
        yield from _comparison_errors(pointer, trait, known)


def _step_errors(pointer: str, step: Step, catalogue: Catalogue) -> Iterator[Finding]:
    stream = catalogue.streams.get(step.stream)
    if stream is None:
        yield _error(
            "unknown_stream",
            f"{pointer}/stream",
            f"there is no stream {step.stream!r} with customers: {_known(catalogue.streams)}",
        )
        return
    for index, each in enumerate(step.where):
        place = f"{pointer}/where/{index}"
        known = stream.fields.get(each.field)
        if known is None:
            yield _no_field(f"{place}/field", each.field, stream)
        else:
            yield from _comparison_errors(place, each, known)


def _no_field(pointer: str, name: str, stream: Stream) -> Finding:
    return _error(
        "unknown_field",
        pointer,
        f"{stream.name} has no field {name!r}: {_known(stream.fields)}",
    )


def _comparison_errors(pointer: str, each: Trait | Filter, known: Field) -> Iterator[Finding]:
    if (each.op in _ORDERED and known.type not in ("number", "timestamp")) or (
        each.op in _OF_TEXT and known.type != "text"
    ):
        yield _does_not_fit(pointer, each.op, known)
    else:
        for value in each.values:
            yield from _value_errors(f"{pointer}/value", value, known)


def _does_not_fit(pointer: str, op: str, known: Field) -> Finding:
    return _error(
        "operator_does_not_fit",
        f"{pointer}/op",
        f"{op} does not fit {known.name}, which is a {known.type}",
    )


def _value_errors(pointer: str, value: Value, known: Field) -> Iterator[Finding]:
    if typed_value(value, known) is None:
        yield _error(
            "value_does_not_fit",
            pointer,
            f"{shown(value)} is no {known.type}, as {known.name} is",
        )
    elif known.values and value not in known.values:
        yield _error(
            "value_does_not_fit",
            pointer,
            f"{known.name} is never {shown(value)}: {_known(known.values)}",
        )


def _aggregate_errors(pointer: str, leaf: Aggregate, catalogue: Catalogue) -> Iterator[Finding]:
    stream = catalogue.streams.get(leaf.stream)
    if stream is None:
        return
    known = measured_field(leaf, stream)
    if known is None:
        yield _no_field(f"{pointer}/field", str(leaf.field), stream)
        return
    if leaf.field is not None and known.type not in _TYPES_OF[leaf.function]:
        yield _error(
            "function_does_not_fit",
            f"{pointer}/function",
            f"{leaf.function} does not fit {known.name}, which is a {known.type}",
        )
        return
    result = result_field(leaf, stream)
    if typed_value(leaf.value, result) is None:
        yield _error(
            "value_does_not_fit",
            f"{pointer}/value",
            f"{shown(leaf.value)} is no {result.type}, as {leaf.function} gives",
        )


def measured_field(leaf: Aggregate, stream: Stream) -> Field | None:
    """The field that an aggregate is made of, the event itself for a count; None if unknown."""
    if leaf.field is None:
        return Field("events", "number")
    return stream.fields.get(leaf.field)


def result_field(leaf: Aggregate, stream: Stream) -> Field:
    """What an aggregate gives: a number, or a time for the min or max of a time."""
    known = measured_field(leaf, stream)
    assert known is not None
    if leaf.function in ("min", "max"):
        return known
    return Field(leaf.function, "number", minimum=Decimal(0))


def typed_value(value: Value, known: Field) -> Decimal | str | bool | datetime | None:
    """The value as the type of a field; None when it is none of that type."""
    match known.type:
        case "text":
            return value if isinstance(value, str) else None
        case "boolean":
            return value if isinstance(value, bool) else None
        case "number":
            is_number = isinstance(value, Decimal)
            return value if is_number else None
    if not isinstance(value, str):
        return None
    try:
        moment = parse_moment(value)
    except ValueError:
        return None
    return moment if isinstance(moment, datetime) else None


def shown(value: Value) -> str:
    """A value as a person would write it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:,f}" if isinstance(value, Decimal) else f"'{value}'"


def _member_errors(
    pointer: str, leaf: Member, rule: Rule, catalogue: Catalogue
) -> Iterator[Finding]:
    place = f"{pointer}/segment"
    if leaf.segment == rule.name:
        yield _error("circular_segments", place, f"segment {rule.name} refers to itself")
    elif leaf.segment not in catalogue.segments:
        yield _error(
            "unknown_segment",
            place,
            f"there is no active segment {leaf.segment!r}: {_known(catalogue.segments)}",
        )
    elif path := _path_back(leaf.segment, rule.name, catalogue.segments):
        yield _error("circular_segments", place, f"segments refer in a circle: {' -> '.join(path)}")


def _path_back(start: str, goal: str, segments: Mapping[str, Rule]) -> list[str] | None:
    """The names from goal over start back to goal, if there is such a way."""
    waiting: list[list[str]] = [[goal, start]]
    seen = {start}
    while waiting:
        path = waiting.pop()
        rule = segments.get(path[-1])
        for name in segments_of(rule.rule) if rule else ():
            if name == goal:
                return [*path, goal]
            if name not in seen:
                seen.add(name)
                waiting.append([*path, name])
    return None
