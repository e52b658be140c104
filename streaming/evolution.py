"""Which changes of a contract are compatible: what was stored stays right under the new one.

A compatible change only lets more messages in, so the rows and the old producers keep the new
contract too. Anything else needs a stream of its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import cast

from insight.errors import InputError
from streaming.contract import Column, Contract

_IDENTITY = ("table", "topic", "key", "event_time")
_PROMISES = (
    "domain",
    "description",
    "table_description",
    "partitions",
    "freshness_seconds",
    "retention_seconds",
    "poll_interval_seconds",
    "source",
)
_NEW_STREAM = "Give the changed stream a name, a topic and a table of its own"


class Weight(IntEnum):
    """The part of a version that has to grow; an incompatible change is refused in any version."""

    patch = 1
    minor = 2
    incompatible = 3


@dataclass(frozen=True)
class Change:
    """One difference between two contracts of a stream, for instance amount: maximum is lower."""

    field: str
    what: str
    weight: Weight

    def __str__(self) -> str:
        return f"{self.field} {self.what}"


def check_evolution(old: Contract, new: Contract) -> list[Change]:
    """What changes from `old` to `new`, contracts of one stream; empty when nothing does.

    Raises InputError with the field when the change is incompatible, and when the version did
    not grow as the change needs.
    """
    _refuse_lower(old, new)
    found = list(changes(old, new))
    for change in found:
        if change.weight is Weight.incompatible:
            raise InputError(f"{change}, which is incompatible", where=_where(new),
                             next_step=_NEW_STREAM)  # fmt: skip
    _check_version(old, new, found)
    return found


def changes(old: Contract, new: Contract) -> Iterator[Change]:
    """All differences, in the order in which a person would look for them."""
    for name in _IDENTITY:
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            yield Change(name, f"changes from {before} to {after}", Weight.incompatible)
    yield from _column_changes(old, new)
    for name in _PROMISES:
        if getattr(old, name) != getattr(new, name):
            yield Change(name, "changes", Weight.patch)


def version_number(contract: Contract) -> tuple[int, int, int]:
    """The version as three numbers, for comparison."""
    major, minor, patch = map(int, contract.version.split("."))
    return major, minor, patch


def _refuse_lower(old: Contract, new: Contract) -> None:
    if version_number(new) < version_number(old):
        raise InputError(
            f"version {new.version} is lower than {old.version}, which is in use",
            where=_where(new),
            next_step="Register a higher version",
        )


def _check_version(old: Contract, new: Contract, found: list[Change]) -> None:
    before, after = version_number(old), version_number(new)
    weightiest = max(found, key=lambda each: each.weight, default=None)
    if weightiest is None:
        return
    is_minor = weightiest.weight is Weight.minor
    if (after[:2] if is_minor else after) <= (before[:2] if is_minor else before):
        needed = (before[0], before[1] + 1, 0) if is_minor else (*before[:2], before[2] + 1)
        raise InputError(
            f"{weightiest}, but version {new.version} does not say so: {old.version} is in use",
            where=_where(new),
            next_step=f"Raise the version to {'.'.join(map(str, needed))}",
        )


def _where(contract: Contract) -> str:
    return f"{contract.file}: stream {contract.stream}"


def _column_changes(old: Contract, new: Contract) -> Iterator[Change]:
    before = {each.name: each for each in old.columns}
    after = {each.name: each for each in new.columns}
    for name, column in before.items():
        if name not in after:
            yield Change(name, "is removed or renamed", Weight.incompatible)
        else:
            yield from _changes_of(column, after[name])
    for name, column in after.items():
        if name not in before and column.required:
            yield Change(name, "is new and required", Weight.incompatible)
        elif name not in before:
            yield Change(name, "is new", Weight.minor)
    if [*before] != [each for each in after if each in before]:
        yield Change("schema.properties", "stand in another order", Weight.patch)


def _changes_of(old: Column, new: Column) -> Iterator[Change]:
    for kind in ("logical_type", "physical_type"):
        before, after = getattr(old, kind), getattr(new, kind)
        if before != after:
            yield Change(old.name, f"changes its type from {before} to {after}",
                         Weight.incompatible)  # fmt: skip
            return
    if old.required != new.required:
        what = "becomes required" if new.required else "becomes optional"
        yield _change(old, what, tighter=new.required)
    yield from _enum_changes(old, new)
    yield from _bound_changes(old, new)
    yield from _pattern_changes(old, new)
    if (old.description, old.example) != (new.description, new.example):
        yield Change(old.name, "is described anew", Weight.patch)


def _change(column: Column, what: str, *, tighter: bool) -> Change:
    return Change(column.name, what, Weight.incompatible if tighter else Weight.minor)


def _enum_changes(old: Column, new: Column) -> Iterator[Change]:
    if old.enum and not new.enum:
        yield _change(old, "may be any value", tighter=False)
    elif new.enum and not old.enum:
        yield _change(old, "may be some values only", tighter=True)
    else:
        for value in old.enum:
            if value not in new.enum:
                yield _change(old, f"may not be {value!r} any more", tighter=True)
        for value in new.enum:
            if value not in old.enum:
                yield _change(old, f"may be {value!r} too", tighter=False)


def _pattern_changes(old: Column, new: Column) -> Iterator[Change]:
    before, after = old.options.get("pattern"), new.options.get("pattern")
    if before != after:
        what = "has another pattern" if after else "has no pattern any more"
        yield _change(old, what, tighter=after is not None)


def _bound_changes(old: Column, new: Column) -> Iterator[Change]:
    for what, before, after in (
        ("lower bound", _lowest(old), _lowest(new)),
        ("upper bound", _negated(_highest(old)), _negated(_highest(new))),
        ("shortest length", _length(old, "minLength"), _length(new, "minLength")),
        ("longest length", _negated(_length(old, "maxLength")),
         _negated(_length(new, "maxLength"))),
    ):  # fmt: skip
        # All are turned so that a greater one lets less in, and none lets everything in.
        if before == after:
            continue
        is_tighter = after is not None and (before is None or after > before)
        direction = "tighter" if is_tighter else "wider"
        yield _change(old, f"has a {direction} {what}", tighter=is_tighter)


Bound = tuple[float, bool]


def _lowest(column: Column) -> Bound | None:
    return max(_bounds(column, "minimum", "exclusiveMinimum"), default=None)


def _highest(column: Column) -> Bound | None:
    found = _bounds(column, "maximum", "exclusiveMaximum")
    return min(found, key=lambda bound: (bound[0], not bound[1]), default=None)


def _bounds(column: Column, inclusive: str, exclusive: str) -> list[Bound]:
    """(bound, whether the bound itself is out)."""
    return [
        (_number(column.options[name]), name == exclusive)
        for name in (inclusive, exclusive)
        if name in column.options
    ]


def _length(column: Column, name: str) -> Bound | None:
    return (_number(column.options[name]), False) if name in column.options else None


def _negated(bound: Bound | None) -> Bound | None:
    return None if bound is None else (-bound[0], bound[1])


def _number(value: object) -> float:
    return value.timestamp() if isinstance(value, datetime) else cast(float, value)
