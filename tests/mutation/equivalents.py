"""Edits that change nothing a reader of the model could see, each reviewed and with its reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from mutation.edits import Edit

REVIEWED = Path(__file__).with_name("equivalents.yml")


@dataclass(frozen=True)
class Equivalent:
    """A line of a model and what an edit makes of it, both without outer blanks."""

    model: str
    before: str
    after: str
    reason: str


def reviewed(path: Path = REVIEWED) -> list[Equivalent]:
    """All reviewed edits. Raises TypeError on an entry that lacks a field."""
    return [Equivalent(**entry) for entry in yaml.safe_load(path.read_text()) or []]


def is_equivalent(known: Sequence[Equivalent], model: str, edit: Edit, sql: str) -> bool:
    before, after = edit.difference(sql)
    return any((each.model, each.before, each.after) == (model, before, after) for each in known)


def outdated(known: Sequence[Equivalent], texts: dict[str, str]) -> list[Equivalent]:
    """Entries whose line stands in none of the models any more."""
    lines = {name: " ".join(text.split()) for name, text in texts.items()}
    return [each for each in known if each.before not in lines.get(each.model, "")]
