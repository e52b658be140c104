"""Nothing lies around unused."""

import re
from collections import Counter
from collections.abc import Iterator

from governance.manifest import (
    Manifest,
    Node,
    dispatched_name,
    every_sql,
    label,
    models,
    nodes,
    own_macros,
)
from governance.rules.rule import Finding, Rule

# What dbt itself calls by name.
_CALLED_BY_DBT = re.compile(r"^(generate_(schema|alias|database)_name|get_incremental_\w+_sql)$")


def macro_is_used(manifest: Manifest) -> Iterator[Finding]:
    """Every macro is called by a node, a hook or another macro."""
    texts = list(every_sql(manifest))
    for macro in own_macros(manifest):
        name = dispatched_name(macro)
        if macro["name"].startswith("test_") or _CALLED_BY_DBT.match(name):
            continue
        call = re.compile(rf"\b{name}\(|adapter\.dispatch\(['\"]{name}['\"]")
        own = {macro["name"], name}
        if not any(call.search(text) for called_in, text in texts if called_in not in own):
            yield Finding(macro["name"], "is called nowhere")


def generic_test_is_used(manifest: Manifest) -> Iterator[Finding]:
    """Every generic test of ours is used by a column or table."""
    used = {(test.get("test_metadata") or {}).get("name") for test in nodes(manifest, "test")}
    for macro in own_macros(manifest):
        if macro["name"].startswith("test_") and macro["name"].removeprefix("test_") not in used:
            yield Finding(macro["name"], "is used by nothing")


def macro_has_a_file_of_its_own(manifest: Manifest) -> Iterator[Finding]:
    """One macro a file, named as the file."""
    names = {(m["original_file_path"], dispatched_name(m)) for m in own_macros(manifest)}
    files = Counter(path for path, _ in names)
    for path, name in sorted(names):
        stem = path.split("/")[-1].removesuffix(".sql")
        if files[path] > 1 or name.removeprefix("test_") != stem:
            yield Finding(name, f"stands in {path}")


def nothing_is_disabled(manifest: Manifest) -> Iterator[Finding]:
    """No model or test is switched off."""
    for versions in manifest["disabled"].values():
        for node in versions:
            yield Finding(node["name"], "is disabled")


def staging_model_is_read(manifest: Manifest) -> Iterator[Finding]:
    """What staging and intermediate make is read by a model or snapshot."""
    read = {
        name
        for node in nodes(manifest, "model", "snapshot")
        for name in node["depends_on"]["nodes"]
    }
    for model in (*models(manifest, "staging"), *models(manifest, "intermediate")):
        if model["unique_id"] not in read:
            yield Finding(label(model), "is read by nothing")


def doc_block_is_used(manifest: Manifest) -> Iterator[Finding]:
    """Every doc block describes something; __overview__ is the first page of the docs site."""
    project = manifest["metadata"]["project_name"]
    used = {name for described in _described(manifest) for name in described["doc_blocks"] or []}
    for name, block in manifest["docs"].items():
        if block["package_name"] == project and name not in used and block["name"][:2] != "__":
            yield Finding(block["name"], "describes nothing")


def _described(manifest: Manifest) -> Iterator[Node]:
    for node in (*manifest["nodes"].values(), *manifest["sources"].values()):
        yield node
        yield from node["columns"].values()


RULES: tuple[Rule, ...] = (
    macro_is_used,
    generic_test_is_used,
    macro_has_a_file_of_its_own,
    nothing_is_disabled,
    staging_model_is_read,
    doc_block_is_used,
)
