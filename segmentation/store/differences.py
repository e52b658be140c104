"""What differs between two rules, by place."""

from collections.abc import Iterator
from dataclasses import dataclass

from segmentation.rules.spec import Rule

_ABSENT = None


@dataclass(frozen=True)
class Difference:
    """A JSON pointer into the rule, and what stood and stands there; None where nothing does."""

    pointer: str
    before: object
    after: object


def differences(before: Rule, after: Rule) -> tuple[Difference, ...]:
    """All places at which two rules differ, from the top down; the names of segments too."""
    return tuple(
        _between(
            "",
            before.model_dump(mode="json", exclude_none=True),
            after.model_dump(mode="json", exclude_none=True),
        )
    )


def _between(pointer: str, before: object, after: object) -> Iterator[Difference]:
    if isinstance(before, dict) and isinstance(after, dict):
        if before.get("kind") != after.get("kind"):
            yield Difference(pointer, before, after)
            return
        for key in dict.fromkeys([*before, *after]):
            place = f"{pointer}/{key}"
            yield from _between(place, before.get(key, _ABSENT), after.get(key, _ABSENT))
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            yield from _between(
                f"{pointer}/{index}",
                before[index] if index < len(before) else _ABSENT,
                after[index] if index < len(after) else _ABSENT,
            )
    elif before != after:
        yield Difference(pointer, before, after)
