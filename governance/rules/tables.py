"""How models are stored: what Postgres or dbt would do badly without a word."""

from collections.abc import Iterator

from governance.manifest import Manifest, label, models, nodes, parents
from governance.rules.rule import Finding, Rule


def view_stands_on_no_model(manifest: Manifest) -> Iterator[Finding]:
    """Views read sources and seeds only.

    dbt replaces a model by dropping the old one with everything that stands on it, so a view on a
    model is gone when the model is rebuilt without the view.
    """
    for model in models(manifest):
        if model["config"]["materialized"] == "view":
            for parent in parents(manifest, model):
                if parent["resource_type"] in ("model", "snapshot"):
                    yield Finding(label(model), f"is a view on {label(parent)}")


def incremental_model_fails_on_another_schema(manifest: Manifest) -> Iterator[Finding]:
    """An incremental model whose columns changed asks for a full refresh or appends."""
    for model in models(manifest):
        on_change = model["config"]["on_schema_change"]
        is_incremental = model["config"]["materialized"] == "incremental"
        if is_incremental and on_change not in ("fail", "append_new_columns"):
            yield Finding(label(model), f"on_schema_change {on_change}")


def microbatch_parent_has_event_time(manifest: Manifest) -> Iterator[Finding]:
    """What a microbatch model reads has an event_time: without it each batch reads everything."""
    for model in models(manifest):
        if model["config"].get("incremental_strategy") == "microbatch":
            for parent in parents(manifest, model):
                if not parent["config"].get("event_time"):
                    yield Finding(label(model), f"{label(parent)} has no event_time")


def index_names_a_column(manifest: Manifest) -> Iterator[Finding]:
    """Indexes are on columns that the model has."""
    for model in models(manifest):
        for index in model["config"].get("indexes") or []:
            if unknown := set(index["columns"]) - set(model["columns"]):
                yield Finding(label(model), f"an index is on {', '.join(sorted(unknown))}")


def snapshot_ends_deleted_rows(manifest: Manifest) -> Iterator[Finding]:
    """A snapshot closes the version of a row that is gone (hard_deletes: invalidate)."""
    for snapshot in nodes(manifest, "snapshot"):
        if snapshot["config"].get("hard_deletes") != "invalidate":
            yield Finding(label(snapshot), f"hard_deletes {snapshot['config'].get('hard_deletes')}")


def comments_are_persisted(manifest: Manifest) -> Iterator[Finding]:
    """Descriptions reach the database, where people who use psql read them."""
    for node in nodes(manifest, "model", "seed", "snapshot"):
        if node["config"]["persist_docs"] != {"relation": True, "columns": True}:
            yield Finding(label(node), "persist_docs is not on")


RULES: tuple[Rule, ...] = (
    view_stands_on_no_model,
    incremental_model_fails_on_another_schema,
    microbatch_parent_has_event_time,
    index_names_a_column,
    snapshot_ends_deleted_rows,
    comments_are_persisted,
)
