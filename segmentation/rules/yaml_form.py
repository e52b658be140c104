"""Rules as YAML files, with complaints that name the file and the line."""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from insight.errors import InputError
from segmentation.rules.checks import Finding
from segmentation.rules.spec import Rule

# Enough for a list of the longest ids; more is no rule.
MOST_BYTES = 2_000_000
MOST_NESTING = 50

_TIMESTAMP = "tag:yaml.org,2002:timestamp"


@dataclass(frozen=True)
class RuleFile:
    """A rule and where its parts stand; `lines` are by JSON pointer, counted from 1."""

    rule: Rule
    file: Path
    lines: Mapping[str, int]

    def place(self, finding: Finding) -> str:
        """File and line of a finding."""
        return f"{self.file}:{line_of(finding.pointer, self.lines)}"


class InvalidRuleError(InputError):
    """A file that holds no rule: `complaints` are all that is wrong, as (line, sentence)."""

    def __init__(self, file: Path, complaints: list[tuple[int, str]]):
        self.complaints = complaints
        line, sentence = complaints[0]
        more = f" (and {len(complaints) - 1} more)" if len(complaints) > 1 else ""
        super().__init__(f"{sentence}{more}", where=f"{file}:{line}")


def read_rule(file: Path) -> RuleFile:
    """The rule in a YAML or JSON file. Raises InvalidRuleError, or InputError if it is no text."""
    try:
        if file.stat().st_size > MOST_BYTES:
            raise InputError(f"is larger than {MOST_BYTES:,} bytes", where=str(file))
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"is no readable text ({' '.join(str(error).split())})", where=str(file)
        ) from error
    return parse_rule(text, file)


def parse_rule(text: str, file: Path) -> RuleFile:
    """The rule in a text; `file` is named in complaints. Raises InvalidRuleError."""
    node = _parsed(text, file)
    lines = dict(_lines(node, ""))
    document = _Loader("").construct_document(node)
    if not isinstance(document, dict):
        raise InvalidRuleError(
            file, [(1, "is no rule: expected a mapping with version, name, rule")]
        )
    try:
        return RuleFile(Rule.model_validate(document), file, lines)
    except ValidationError as error:
        raise InvalidRuleError(file, _complaints(error, document, lines)) from error


def line_of(pointer: str, lines: Mapping[str, int]) -> int:
    """The line of a JSON pointer, or of the nearest part of the document around it."""
    while pointer not in lines and pointer:
        pointer = pointer.rpartition("/")[0]
    return lines.get(pointer, 1)


class _Loader(yaml.SafeLoader):
    """Dates stay texts, and no key stands twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if not isinstance(name, str):
                raise yaml.constructor.ConstructorError(
                    None, None, f"{name!r} is no name of a key", key.start_mark
                )
            if name in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {name!r} stands twice", key.start_mark
                )
            seen.add(name)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != _TIMESTAMP]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _parsed(text: str, file: Path) -> yaml.Node:
    try:
        _refuse_traps(text)
        node = yaml.compose(text, _Loader)
        if node is not None:
            _Loader("").construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise InvalidRuleError(file, [(line, f"is no readable YAML: {error.problem}")]) from error
    except (yaml.YAMLError, ValueError) as error:
        sentence = f"is no readable YAML ({' '.join(str(error).split())})"
        raise InvalidRuleError(file, [(1, sentence)]) from error
    if node is None:
        raise InvalidRuleError(file, [(1, "is empty: expected version, name and rule")])
    return node


def _refuse_traps(text: str) -> None:
    """Aliases could repeat a part a million times; deep nesting would exhaust the stack."""
    nesting = 0
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.AliasEvent):
            raise _trap("aliases are not allowed in a rule", event)
        nesting += isinstance(event, yaml.CollectionStartEvent)
        nesting -= isinstance(event, yaml.CollectionEndEvent)
        if nesting > MOST_NESTING:
            raise _trap("is nested too deeply", event)


def _trap(problem: str, event: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)


def _lines(node: yaml.Node, pointer: str) -> Iterator[tuple[str, int]]:
    yield pointer, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            below = f"{pointer}/{_escaped(key.value)}"
            yield from _lines(value, below)
            if isinstance(value, yaml.ScalarNode):
                # A long text may begin further down.
                yield below, key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _lines(value, f"{pointer}/{index}")


def _escaped(part: object) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")


def complaints_of(error: ValidationError, document: object) -> list[tuple[str, str]]:
    """What is wrong with a document that is no rule: JSON pointer and sentence of each place."""
    found: dict[str, str] = {}
    for each in error.errors(include_url=False):
        pointer, name, is_inside = _pointer(each["loc"], document)
        if each["type"] in ("missing", "extra_forbidden") and not is_inside:
            name = str(each["loc"][-1])
            pointer = f"{pointer}/{_escaped(name)}"
        elif not is_inside:
            # One of several types was tried; what it says of that one is of no use.
            found.setdefault(pointer, f"{name} takes a text, a number, true or false, or for some"
                             " operators a list of them")  # fmt: skip
        found.setdefault(pointer, _sentence(each, name))
    # A list whose items are wrong is counted as too short.
    return [
        (pointer, sentence)
        for pointer, sentence in found.items()
        if not any(each.startswith(f"{pointer}/") for each in found)
    ]


def _complaints(
    error: ValidationError, document: object, lines: Mapping[str, int]
) -> list[tuple[int, str]]:
    found = [
        (line_of(pointer, lines), f"{pointer or '/'}: {sentence}")
        for pointer, sentence in complaints_of(error, document)
    ]
    return sorted(found, key=lambda each: each[0])


def _pointer(location: tuple[int | str, ...], document: Any) -> tuple[str, str, bool]:
    """The pointer into the document, the last name, and whether all of the location was found.

    The kinds that pydantic puts between are left out.
    """
    pointer, here, name = "", document, "the document"
    for part in location:
        if isinstance(here, dict) and part in here:
            pointer, here, name = f"{pointer}/{_escaped(part)}", here[part], str(part)
        elif isinstance(here, list) and isinstance(part, int) and part < len(here):
            pointer, here, name = f"{pointer}/{part}", here[part], f"item {part}"
        elif not (isinstance(here, dict) and part == here.get("kind")):
            return pointer, name, name == "window"
    return pointer, name, True


def _sentence(error: Any, name: str) -> str:
    match error["type"]:
        case "missing":
            return f"{name} is missing"
        case "extra_forbidden":
            return f"{name} is not known here"
        case "union_tag_invalid":
            context = error["ctx"]
            return f"{context['tag']!r} is no kind: write {context['expected_tags']}"
        case "union_tag_not_found":
            return "kind is missing"
        case "value_error":
            return f"{name}: {error['ctx']['error']}"
    message = str(error["msg"])
    return f"{name}: {message[:1].lower()}{message[1:]}"
