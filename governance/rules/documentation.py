"""Everything a reader meets is described."""

from collections.abc import Iterator

from governance.manifest import (
    Manifest,
    Node,
    dispatched_name,
    label,
    models,
    nodes,
    own_macros,
)
from governance.rules.rule import Finding, Rule

# What stands beside the nodes in a manifest.
_OTHERS = ("exposures", "metrics", "semantic_models", "saved_queries", "groups")
_COLUMNS_OF_A_TERM = 3


def model_says_what_one_row_is(manifest: Manifest) -> Iterator[Finding]:
    """A model's description begins with its grain: "One row ..."."""
    for model in models(manifest):
        if not model["description"].startswith("One row "):
            yield Finding(label(model), "its description does not begin with 'One row '")


def table_is_described(manifest: Manifest) -> Iterator[Finding]:
    """Seeds, snapshots and sources are described."""
    for node in _tables(manifest):
        if not node["description"].strip():
            yield Finding(label(node), "has no description")


def column_is_described(manifest: Manifest) -> Iterator[Finding]:
    """Every table lists its columns, and each is described."""
    for node in _tables(manifest):
        if not node["columns"]:
            yield Finding(label(node), "lists no columns")
        for column in node["columns"].values():
            if not column["description"].strip():
                yield Finding(f"{label(node)}.{column['name']}", "has no description")


def _tables(manifest: Manifest) -> list[Node]:
    return [*nodes(manifest, "model", "seed", "snapshot"), *manifest["sources"].values()]


def macro_is_described(manifest: Manifest) -> Iterator[Finding]:
    """Every macro and generic test is described."""
    for macro in own_macros(manifest):
        if not macro["description"].strip() and dispatched_name(macro) == macro["name"]:
            yield Finding(macro["name"], "has no description")


def macro_argument_is_described(manifest: Manifest) -> Iterator[Finding]:
    """The listed arguments of a macro have a type and a description."""
    for macro in own_macros(manifest):
        # dbt does not read arguments from a test block; a dispatched macro has those of its caller.
        if macro["name"].startswith("test_") or dispatched_name(macro) != macro["name"]:
            continue
        for argument in macro["arguments"]:
            if not argument["description"] or not argument["type"]:
                yield Finding(f"{macro['name']}.{argument['name']}", "lacks type or description")


def other_resource_is_described(manifest: Manifest) -> Iterator[Finding]:
    """Exposures, metrics, semantic models, saved queries and groups are described."""
    for kind in _OTHERS:
        for resource in manifest[kind].values():
            if not (resource.get("description") or "").strip():
                yield Finding(resource["name"], f"({kind}) has no description")


def term_is_described_once(manifest: Manifest) -> Iterator[Finding]:
    """What three columns say alike is a doc block, so that it changes in one place."""
    places: dict[str, list[str]] = {}
    for node in nodes(manifest, "model", "seed", "snapshot"):
        for column in node["columns"].values():
            if not column["doc_blocks"]:
                text = " ".join(column["description"].split())
                places.setdefault(text, []).append(f"{label(node)}.{column['name']}")
    for text, columns in places.items():
        if len(columns) >= _COLUMNS_OF_A_TERM:
            yield Finding(columns[0], f"'{text}' also stands on {', '.join(columns[1:])}")


RULES: tuple[Rule, ...] = (
    model_says_what_one_row_is,
    table_is_described,
    column_is_described,
    macro_is_described,
    macro_argument_is_described,
    other_resource_is_described,
    term_is_described_once,
)
