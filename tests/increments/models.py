"""The incremental models and what they stand on, as the manifest tells."""

from collections.abc import Iterable

from dbt.contracts.graph.manifest import Manifest
from dbt.contracts.graph.nodes import ModelNode


def incremental_models(manifest: Manifest) -> list[ModelNode]:
    """Every incremental model of the project."""
    return [
        node
        for node in manifest.nodes.values()
        if isinstance(node, ModelNode) and node.config.materialized == "incremental"
    ]


def staging_models(manifest: Manifest) -> list[ModelNode]:
    """The incremental models that read raw tables."""
    return [node for node in incremental_models(manifest) if raw_tables(manifest, [node])]


def marts(manifest: Manifest) -> list[ModelNode]:
    """The incremental models that read other models."""
    staged = {node.unique_id for node in staging_models(manifest)}
    return [node for node in incremental_models(manifest) if node.unique_id not in staged]


def names(models: Iterable[ModelNode]) -> list[str]:
    return [node.name for node in models]


def raw_tables(manifest: Manifest, models: Iterable[ModelNode]) -> set[str]:
    """The raw tables that the models read themselves."""
    sources = [manifest.sources.get(each) for node in models for each in node.depends_on.nodes]
    return {found.identifier for found in sources if found and found.source_name == "streaming"}


def neighbours(manifest: Manifest, resource_type: str) -> list[str]:
    """Names of what the incremental models stand on that is not incremental itself."""
    incremental = {node.unique_id for node in incremental_models(manifest)}
    found: dict[str, str] = {}
    waiting = sorted(incremental)
    while waiting:
        node = manifest.nodes.get(waiting.pop())
        if node is None:
            continue
        waiting += getattr(node.depends_on, "nodes", [])  # a seed has none
        if node.unique_id not in incremental and node.resource_type == resource_type:
            found[node.unique_id] = node.name
    return sorted(found.values())
