"""Questions to dbt's manifest.json, as plain functions on the parsed document."""

import re
from collections.abc import Iterator
from typing import Any

Manifest = dict[str, Any]
Node = dict[str, Any]

LAYERS = ("staging", "intermediate", "marts")

# Where the models write down what they have read of the streams: state of theirs, not a source.
BOOKS_OF_READS = "stream_reads"


def nodes(manifest: Manifest, *kinds: str) -> list[Node]:
    """The nodes of these resource types: model, seed, snapshot, test, analysis, operation."""
    return [node for node in manifest["nodes"].values() if node["resource_type"] in kinds]


def models(manifest: Manifest, layer: str | None = None) -> list[Node]:
    """All models, or those of one layer."""
    every = nodes(manifest, "model")
    return every if layer is None else [model for model in every if layer_of(model) == layer]


def layer_of(node: Node) -> str:
    """The first folder below `models`, for instance "marts"."""
    return str(node["fqn"][1])


def domain_of(node: Node) -> str:
    """The folder below the layer, for instance "retail"; empty when there is none."""
    folders = node["original_file_path"].split("/")[1:-1]
    return str(folders[1]) if len(folders) > 1 else ""


def label(node: Node) -> str:
    """The name by which a person knows it: "fct_sales", "fct_sales.v1", "raw.customers"."""
    if node["resource_type"] == "source":
        return f"{node['source_name']}.{node['name']}"
    version = node.get("version")
    return str(node["name"]) if version is None else f"{node['name']}.v{version}"


def parents(manifest: Manifest, node: Node) -> list[Node]:
    """What it reads: models, seeds, snapshots and sources, but not the books of reads."""
    found = [
        manifest["nodes"].get(name) or manifest["sources"].get(name)
        for name in node["depends_on"]["nodes"]
    ]
    return [each for each in found if each and each.get("source_name") != BOOKS_OF_READS]


def tests_of(manifest: Manifest, node: Node) -> list[Node]:
    """The generic tests declared on it."""
    return [
        test
        for test in nodes(manifest, "test")
        if test.get("attached_node") == node["unique_id"] and test.get("test_metadata")
    ]


def test_arguments(test: Node) -> dict[str, Any]:
    """What a generic test was given, without `model`."""
    kwargs: dict[str, Any] = test["test_metadata"]["kwargs"]
    return {name: value for name, value in kwargs.items() if name != "model"}


def primary_key(node: Node) -> list[str]:
    """The columns of its primary key constraint; empty when it has none."""
    for constraint in node["constraints"]:
        if constraint["type"] == "primary_key":
            return list(constraint["columns"])
    return [
        column["name"]
        for column in node["columns"].values()
        if any(each["type"] == "primary_key" for each in column["constraints"])
    ]


def own_macros(manifest: Manifest) -> list[Node]:
    """The macros and generic tests of this project."""
    project = manifest["metadata"]["project_name"]
    return [m for m in manifest["macros"].values() if m["package_name"] == project]


def dispatched_name(macro: Node) -> str:
    """Its name without the adapter: "postgres__lookup" is called as "lookup"."""
    return re.sub(r"^(default|postgres)__", "", macro["name"])


def every_sql(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Name and text of all that is rendered: nodes with their hooks, and macros."""
    for node in manifest["nodes"].values():
        hooks = [*node["config"].get("pre-hook", []), *node["config"].get("post-hook", [])]
        yield label(node), "\n".join([node.get("raw_code") or "", *(h["sql"] for h in hooks)])
    for macro in own_macros(manifest):
        yield macro["name"], macro["macro_sql"]
