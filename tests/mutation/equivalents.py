"""Edits that change nothing a reader of the model could see, each reviewed and with its reason."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from mutation.edits import Edit

REVIEWED = Path(__file__).with_name("equivalents.yml")


@dataclass(frozen=True)
class Equivalent:
    """Lines of a model and what an edit makes of them, without outer blanks.

    `occurrence` tells equal lines apart: 1 is the first place where this edit is possible.
    """

    model: str
    before: str
    after: str
    reason: str
    occurrence: int = 1


def reviewed(path: Path = REVIEWED) -> list[Equivalent]:
    """All reviewed edits. Raises TypeError on an entry that lacks a field."""
    return [Equivalent(**entry) for entry in yaml.safe_load(path.read_text()) or []]


def unreviewed(
    known: Iterable[Equivalent], model: str, edits: Sequence[Edit], sql: str
) -> Iterator[Edit]:
    """The edits of a model that nobody has found to change nothing."""
    places = {(each.before, each.after, each.occurrence) for each in known if each.model == model}
    seen: Counter[tuple[str, str]] = Counter()
    for edit in edits:
        difference = edit.difference(sql)
        seen[difference] += 1
        if (*difference, seen[difference]) not in places:
            yield edit
