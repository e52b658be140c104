"""What a rule is."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from governance.manifest import Manifest


class Finding(NamedTuple):
    """Something that breaks a rule: its name, as exceptions give it, and what is wrong."""

    node: str
    problem: str


# The function's name is the rule's; its docstring says what must be so.
Rule = Callable[[Manifest], Iterator[Finding]]
