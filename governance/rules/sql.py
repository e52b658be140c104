"""How references stand in SQL."""

import re
from collections.abc import Iterator

from governance.manifest import Manifest, label, models, nodes, own_macros
from governance.rules.rule import Finding, Rule

_IMPORT = re.compile(r"^ +select \* from \{\{ (ref|source)\([^)]*\) \}\}$")
_REFERENCE = re.compile(r"\b(ref|source)\(")
# What a streaming model reads its raw table through, instead of an import of its own.
_READ = re.compile(
    r"\b(?:first_landed_rows|with_neighbours)\(\s*'(\w+)',\s*source\('streaming', '(\w+)'\)"
)
_MOST_JOINS = 7
# A cross join here is a look-up through an index, row by row, or one with a single row.
_JOIN = re.compile(r"(?<!\bcross )\bjoin\b", re.I)


def reference_stands_in_an_import(manifest: Manifest) -> Iterator[Finding]:
    """References stand only as `select * from {{ ref('x') }}`, alone and without an alias.

    On Postgres --empty, --sample and microbatch wrap a reference in a subquery with an alias of its
    own, so that another one behind it is a syntax error.
    """
    for node in nodes(manifest, "model", "test", "analysis"):
        if node.get("test_metadata"):
            continue
        for line in _READ.sub("", node["raw_code"]).splitlines():
            if _REFERENCE.search(line) and not _IMPORT.match(line):
                yield Finding(label(node), line.strip())


def reference_in_a_macro_stands_in_an_import(manifest: Manifest) -> Iterator[Finding]:
    """The same for the queries that macros write."""
    for macro in own_macros(manifest):
        for line in macro["macro_sql"].splitlines():
            is_read = re.search(r"\b(from|join)\b", line) and _REFERENCE.search(line)
            if is_read and not _IMPORT.match(line):
                yield Finding(macro["name"], line.strip())


def relation_is_not_hard_coded(manifest: Manifest) -> Iterator[Finding]:
    """No model, test or analysis names a schema: dbt would not know what it reads."""
    schemas = {
        *(source["schema"] for source in manifest["sources"].values()),
        *(node["schema"] for node in nodes(manifest, "model", "seed", "snapshot")),
    }
    hard_coded = re.compile(rf"\b(from|join)\s+\"?({'|'.join(sorted(schemas))})\"?\.", re.I)
    for node in nodes(manifest, "model", "test", "analysis"):
        if found := hard_coded.search(node["raw_code"]):
            yield Finding(label(node), f"{found[0]}...")


def model_has_few_joins(manifest: Manifest) -> Iterator[Finding]:
    """Fewer than 7 joins in one model."""
    for model in models(manifest):
        joins = len(_JOIN.findall(re.sub(r"--.*", "", model["raw_code"])))
        if joins >= _MOST_JOINS:
            yield Finding(label(model), f"has {joins} joins")


def model_ends_with_final(manifest: Manifest) -> Iterator[Finding]:
    """A model's last line selects from the CTE `final`."""
    for model in models(manifest):
        if not re.search(r"select \* from final\s*$", model["raw_code"]):
            yield Finding(label(model), "does not end with: select * from final")


RULES: tuple[Rule, ...] = (
    reference_stands_in_an_import,
    reference_in_a_macro_stands_in_an_import,
    relation_is_not_hard_coded,
    model_has_few_joins,
    model_ends_with_final,
)
