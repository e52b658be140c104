"""Who may read whom."""

from collections import Counter
from collections.abc import Iterator

from governance.manifest import LAYERS, Manifest, Node, label, layer_of, models, parents
from governance.rules.rule import Finding, Rule

_MOST_PARENTS = 7
_MOST_VIEWS_IN_A_CHAIN = 4


def _kinds(manifest: Manifest, node: Node) -> set[str]:
    return {parent["resource_type"] for parent in parents(manifest, node)}


def source_has_one_reader(manifest: Manifest) -> Iterator[Finding]:
    """Every source table is read by exactly one model: others read that one."""
    readers = Counter(
        parent for model in models(manifest) for parent in set(model["depends_on"]["nodes"])
    )
    for source in manifest["sources"].values():
        if readers[source["unique_id"]] != 1:
            yield Finding(label(source), f"is read by {readers[source['unique_id']]} models")


def source_is_declared_once(manifest: Manifest) -> Iterator[Finding]:
    """No table is declared as a source under two names."""
    relations = Counter(source["relation_name"] for source in manifest["sources"].values())
    for source in manifest["sources"].values():
        if relations[source["relation_name"]] > 1:
            yield Finding(label(source), f"{source['relation_name']} is another source too")


def staging_reads_one_source(manifest: Manifest) -> Iterator[Finding]:
    """A staging model reads one source and nothing else, other staging models least of all."""
    for model in models(manifest, "staging"):
        read = parents(manifest, model)
        if [parent["resource_type"] for parent in read] != ["source"]:
            yield Finding(label(model), f"reads {', '.join(map(label, read)) or 'nothing'}")


def only_staging_reads_sources(manifest: Manifest) -> Iterator[Finding]:
    """Behind staging, models read models, seeds and snapshots."""
    for model in models(manifest):
        if layer_of(model) != "staging" and "source" in _kinds(manifest, model):
            yield Finding(label(model), "reads a source")


def source_and_model_are_not_joined(manifest: Manifest) -> Iterator[Finding]:
    """No model reads a source beside a model: the source wants a staging model first."""
    for model in models(manifest):
        kinds = _kinds(manifest, model)
        if "source" in kinds and len(kinds) > 1:
            yield Finding(label(model), f"reads {' and '.join(sorted(kinds))}s")


def no_layer_reads_a_later_one(manifest: Manifest) -> Iterator[Finding]:
    """Data flows from staging over intermediate to marts."""
    for model in models(manifest):
        for parent in parents(manifest, model):
            if parent["resource_type"] == "model" and _place(parent) > _place(model):
                yield Finding(label(model), f"reads {label(parent)} of {layer_of(parent)}")


def _place(model: Node) -> int:
    layer = layer_of(model)
    return LAYERS.index(layer) if layer in LAYERS else len(LAYERS)


def model_has_a_parent(manifest: Manifest) -> Iterator[Finding]:
    """No model makes its rows out of nothing."""
    for model in models(manifest):
        if not parents(manifest, model):
            yield Finding(label(model), "reads nothing")


def model_has_few_parents(manifest: Manifest) -> Iterator[Finding]:
    """At most 7 direct parents; more want an intermediate model."""
    for model in models(manifest):
        read = parents(manifest, model)
        if len(read) > _MOST_PARENTS:
            yield Finding(label(model), f"reads {len(read)} others")


def chain_of_views_is_short(manifest: Manifest) -> Iterator[Finding]:
    """At most 4 views stand on one another: each query runs all of them."""
    for model in models(manifest):
        if (length := _views_up_to(manifest, model)) > _MOST_VIEWS_IN_A_CHAIN:
            yield Finding(label(model), f"is the end of a chain of {length} views")


def _views_up_to(manifest: Manifest, node: Node) -> int:
    if node["resource_type"] != "model" or node["config"]["materialized"] not in _NOT_STORED:
        return 0
    return 1 + max((_views_up_to(manifest, each) for each in parents(manifest, node)), default=0)


_NOT_STORED = ("view", "ephemeral")

RULES: tuple[Rule, ...] = (
    source_has_one_reader,
    source_is_declared_once,
    staging_reads_one_source,
    only_staging_reads_sources,
    source_and_model_are_not_joined,
    no_layer_reads_a_later_one,
    model_has_a_parent,
    model_has_few_parents,
    chain_of_views_is_short,
)
