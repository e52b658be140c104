"""What a change of the dbt project reaches: two manifests compared, told in Markdown.

`python -m governance.change_report BASE HEAD` writes it to standard output.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from governance.manifest import Manifest, Node, label, layer_of, nodes
from governance.rules.keys import tested_keys


@dataclass(frozen=True)
class Change:
    """Unique names of what differs between two manifests and of what stands on it."""

    new: set[str]
    changed: set[str]
    removed: set[str]
    reached: set[str]


def compare(base: Manifest, head: Manifest) -> Change:
    """Models, seeds and snapshots that differ in code, macros, config, columns or constraints."""
    before, after = _stored(base), _stored(head)
    new, removed = after.keys() - before.keys(), before.keys() - after.keys()
    changed = {
        name
        for name in after.keys() & before.keys()
        if _fingerprint(head, after[name]) != _fingerprint(base, before[name])
    }
    reached = _downstream(head, new | changed) | (_downstream(base, removed) - removed)
    return Change(new, changed, removed, reached)


def _stored(manifest: Manifest) -> dict[str, Node]:
    return {node["unique_id"]: node for node in nodes(manifest, "model", "seed", "snapshot")}


def _fingerprint(manifest: Manifest, node: Node) -> str:
    macros = sorted(_macros(manifest, node["depends_on"].get("macros", [])))
    seen = {
        "code": node["checksum"],
        "macros": [manifest["macros"][name]["macro_sql"] for name in macros],
        "config": {key: value for key, value in node["config"].items() if key != "meta"},
        "columns": _table(node),
        "constraints": node.get("constraints"),
    }
    return json.dumps(seen, sort_keys=True, default=str)


def _table(node: Node) -> dict[str, tuple[object, object]]:
    return {
        name: (column.get("data_type"), column.get("constraints"))
        for name, column in node["columns"].items()
    }


def _macros(manifest: Manifest, names: list[str]) -> set[str]:
    """The project's own macros among these, with those that they call."""
    found: set[str] = set()
    project = manifest["metadata"]["project_name"]
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found or name.split(".")[1] != project:
            continue
        found.add(name)
        waiting.extend(manifest["macros"][name]["depends_on"]["macros"])
    return found


def _downstream(manifest: Manifest, names: set[str]) -> set[str]:
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(manifest["child_map"].get(name, []))
    return found


def markdown(base: Manifest, head: Manifest) -> str:
    """The comment for a pull request: what changed, what it reaches, what its author must do."""
    change = compare(base, head)
    if not change.new | change.changed | change.removed:
        return "### dbt\n\nNo model, seed or snapshot changes.\n"
    sections = [
        ("New", _labels(head, change.new)),
        ("Changed", _labels(head, change.changed)),
        ("Removed", _labels(base, change.removed)),
        ("Marts reached", _labels(head, _marts(head, change.reached))),
        ("Exposures reached", _exposures(head, change.reached)),
        ("Columns that public models lose", _lost_columns(base, head, change)),
        ("New without a key test", _without_key(head, change.new)),
        ("Needs a full refresh", _full_refreshes(head, change.changed)),
    ]
    return "### dbt\n\n" + "".join(_section(title, lines) for title, lines in sections if lines)


def _section(title: str, lines: list[str]) -> str:
    return f"**{title}**\n\n" + "".join(f"- {line}\n" for line in lines) + "\n"


def _labels(manifest: Manifest, names: set[str]) -> list[str]:
    return sorted(f"`{label(manifest['nodes'][name])}`" for name in names)


def _marts(manifest: Manifest, names: set[str]) -> set[str]:
    found = [manifest["nodes"][name] for name in names if name.startswith("model.")]
    return {node["unique_id"] for node in found if layer_of(node) == "marts"}


def _exposures(manifest: Manifest, names: set[str]) -> list[str]:
    reached = [manifest["exposures"][name] for name in names if name.startswith("exposure.")]
    return sorted(
        f"{each['label'] or each['name']} ({each['type']}): ask {each['owner']['email']}"
        for each in reached
    )


def _lost_columns(base: Manifest, head: Manifest, change: Change) -> list[str]:
    lost = []
    for name in change.changed | change.removed:
        before = base["nodes"][name]
        after = head["nodes"].get(name, {"columns": {}})
        if before.get("access") == "public":
            columns = before["columns"].keys() - after["columns"].keys()
            lost += [f"`{label(before)}.{column}`" for column in columns]
    return sorted(lost)


def _without_key(manifest: Manifest, names: set[str]) -> list[str]:
    return _labels(
        manifest, {name for name in names if not tested_keys(manifest, manifest["nodes"][name])}
    )


def _full_refreshes(head: Manifest, names: set[str]) -> list[str]:
    found = [
        head["nodes"][name]
        for name in names
        if head["nodes"][name]["config"]["materialized"] == "incremental"
    ]
    return sorted(
        f"`{label(node)}`: its rows so far were made by the old code"
        f" (`dbt build --full-refresh --select {node['name']}+`)"
        for node in found
    )


def main() -> None:
    """Compare the manifests of the two files that are named."""
    base, head = (json.loads(Path(file).read_text()) for file in sys.argv[1:3])
    sys.stdout.write(markdown(base, head))


if __name__ == "__main__":
    main()
