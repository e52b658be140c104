"""Who owns what, and what others may rely on."""

import re
from collections.abc import Iterator

from governance.manifest import BOOKS_OF_READS, Manifest, label, layer_of, models, nodes
from governance.rules.rule import Finding, Rule


def node_has_an_owner(manifest: Manifest) -> Iterator[Finding]:
    """Every model and snapshot belongs to a group, and every group has an owner with an address."""
    for node in nodes(manifest, "model", "snapshot"):
        if not (node["group"] if node["resource_type"] == "model" else node["config"]["group"]):
            yield Finding(label(node), "belongs to no group")
    for group in manifest["groups"].values():
        if not group["owner"].get("email") or not group["owner"].get("name"):
            yield Finding(group["name"], "its owner lacks name or email")


def marts_and_only_marts_are_public(manifest: Manifest) -> Iterator[Finding]:
    """Others may read the marts; what lies before them may change at any time."""
    for model in models(manifest):
        if (model["access"] == "public") != (layer_of(model) == "marts"):
            yield Finding(label(model), f"of {layer_of(model)} is {model['access']}")


def public_model_has_a_contract(manifest: Manifest) -> Iterator[Finding]:
    """A public model has an enforced contract."""
    for model in models(manifest):
        if model["access"] == "public" and not model["contract"]["enforced"]:
            yield Finding(label(model), "is public without an enforced contract")


def exposure_reads_public_tables(manifest: Manifest) -> Iterator[Finding]:
    """An exposure stands on public models, stored as tables; never on sources, seeds or views."""
    for exposure in manifest["exposures"].values():
        for name in exposure["depends_on"]["nodes"]:
            node = manifest["nodes"].get(name, {})
            if node.get("access") != "public" or node["config"]["materialized"] == "view":
                yield Finding(exposure["name"], f"reads {name}")


def exposure_has_an_owner(manifest: Manifest) -> Iterator[Finding]:
    """An exposure says whom to ask before a mart changes."""
    for exposure in manifest["exposures"].values():
        if not exposure["owner"].get("email"):
            yield Finding(exposure["name"], "its owner has no email")


def superseded_version_has_an_end(manifest: Manifest) -> Iterator[Finding]:
    """Each version but the latest has the date from which it may be gone."""
    for model in models(manifest):
        version = model["version"]
        is_superseded = version is not None and version != model["latest_version"]
        if is_superseded and not model["deprecation_date"]:
            yield Finding(label(model), "is superseded and has no deprecation_date")


def source_has_freshness(manifest: Manifest) -> Iterator[Finding]:
    """Every source that is loaded says when it was, and how old is too old."""
    for source in manifest["sources"].values():
        error_after = (source["freshness"] or {}).get("error_after") or {}
        has_time = source["loaded_at_field"] or source.get("loaded_at_query")
        is_watched = has_time and error_after.get("count")
        if not is_watched and source["source_name"] != BOOKS_OF_READS:
            yield Finding(label(source), "has no loaded_at_field or no error_after")


def contract_has_exact_types(manifest: Manifest) -> Iterator[Finding]:
    """No contract holds floating point, nor a time without its zone."""
    inexact = re.compile(r"^(float|real|double|timestamp(?!tz)(?! with time zone)|time\b)", re.I)
    for model in models(manifest):
        for column in model["columns"].values():
            if inexact.match(column.get("data_type") or ""):
                yield Finding(f"{label(model)}.{column['name']}", f"is {column['data_type']}")


RULES: tuple[Rule, ...] = (
    node_has_an_owner,
    marts_and_only_marts_are_public,
    public_model_has_a_contract,
    exposure_reads_public_tables,
    exposure_has_an_owner,
    superseded_version_has_an_end,
    source_has_freshness,
    contract_has_exact_types,
)
