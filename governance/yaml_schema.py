"""YAML files of a dbt project against the JSON schema that dbt itself carries.

dbt checks them so for other databases than Postgres only; here a misspelt key, `data_tets:` say,
is ignored without a word, and the tests under it never run.
"""

import sys
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jsonschema import ValidationError

from governance.dbt_schema import PROJECT, RESOURCES, validator

_NOT_SOURCE = frozenset({"target", "logs"})
# dbt carries no schema for these; it reads them itself, and strictly.
_WITHOUT_SCHEMA = frozenset({"profiles.yml", "selectors.yml"})
_TIMESTAMP, _MERGE = "tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:merge"


@dataclass(frozen=True)
class BadKey:
    """A place in a file that the schema does not know."""

    file: Path
    place: str
    problem: str

    def __str__(self) -> str:
        return f"{self.file}: {self.place}: {self.problem}"


def bad_keys(project: Path) -> list[BadKey]:
    """All files of a dbt project; without network or database."""
    files = [file for file in project.rglob("*.yml") if _is_ours(file.relative_to(project))]
    return [bad for file in sorted(files) for bad in _bad_keys_of(file)]


def _is_ours(file: Path) -> bool:
    return not _NOT_SOURCE & set(file.parts) and file.name not in _WITHOUT_SCHEMA


def _bad_keys_of(file: Path) -> Iterator[BadKey]:
    try:
        # A subclass of SafeLoader: nothing but plain values is made.
        document = yaml.load(file.read_text(), _Loader) or {}  # noqa: S506
    except yaml.YAMLError as unreadable:
        yield BadKey(file, "the whole file", " ".join(str(unreadable).split()))
        return
    is_project = file.name == "dbt_project.yml"
    for error in validator(PROJECT if is_project else RESOURCES).iter_errors(document):
        deepest = _deepest(error)
        yield BadKey(file, _place(document, deepest), deepest.message)


class _Loader(yaml.SafeLoader):
    """Dates stay texts, as the schema wants them, and no key stands twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        written = [key for key, _ in node.value if key.tag != _MERGE]
        keys = [self.construct_object(key, deep=True) for key in written]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} stands twice", node.start_mark
                )
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != _TIMESTAMP]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _deepest(error: ValidationError) -> ValidationError:
    """Of the alternatives that all fail, the one that got furthest."""
    below = [_deepest(each) for each in error.context or ()]
    return max([*below, error], key=_depth)


def _depth(error: ValidationError) -> tuple[int, bool]:
    # Every optional part may be null; that it is not says less than which key is unknown.
    return len(error.absolute_path), error.validator == "additionalProperties"


def _place(document: object, error: ValidationError) -> str:
    """The path with names instead of positions: models[fct_sales].columns[gender].data_tests[0]."""
    place, here = "", document
    for step in error.absolute_path:
        here = here[step]  # type: ignore[index]
        if isinstance(step, int):
            place += f"[{here.get('name', step) if isinstance(here, dict) else step}]"
        else:
            place += f".{step}"
    return place.lstrip(".") or "the top"


def main() -> int:
    """Tell what is wrong with the project folder that is named; 1 when something is."""
    found = bad_keys(Path(sys.argv[1]))
    sys.stderr.writelines(f"{bad}\n" for bad in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
