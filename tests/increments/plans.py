"""The statements that dbt really runs, and how Postgres carries them out."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlparse
from dbt.cli.main import dbtRunner
from increments.warehouse import StreamingWarehouse

from insight.database import Connection

_EXPLAINED = ("create temporary table", "insert", "update", "delete")


@dataclass(frozen=True)
class Scan:
    """How often one node of a plan touched rows of a relation."""

    relation: str
    kind: str
    rows: float


def statements(streams: StreamingWarehouse, *models: str) -> dict[str, list[str]]:
    """What a run sends to Postgres, by model, in the order of the run."""
    sent: dict[str, list[str]] = {}

    def listen(event: Any) -> None:
        if event.info.name == "SQLQuery" and event.data.node_info.node_name in models:
            sent.setdefault(event.data.node_info.node_name, []).extend(
                sqlparse.split(event.data.sql)
            )

    runner = dbtRunner(manifest=streams.manifest, callbacks=[listen])
    outcome = runner.invoke(["--quiet", "run", "--threads", "1", "--select", *models])
    assert outcome.success, outcome.result
    return sent


def carry_out(connection: Connection, sent: list[str]) -> list[Scan]:
    """Run the statements of one model again, in one transaction; what their plans scanned."""
    scans: list[Scan] = []
    for statement in sent:
        bare = sqlparse.format(statement, strip_comments=True).strip()
        if not " ".join(bare.lower().split()).startswith(_EXPLAINED):
            if bare and bare.lower() not in ("begin", "commit"):
                connection.execute(bare)
            continue
        explained = connection.execute(f"explain (analyze, verbose, format json) {bare}")
        row = explained.fetchone()
        assert row is not None
        scans += _scans(row[0][0]["Plan"])
    return scans


def _scans(node: dict[str, Any]) -> Iterator[Scan]:
    if "Relation Name" in node and "Scan" in node["Node Type"]:
        unneeded = ("Rows Removed by Filter", "Rows Removed by Index Recheck")
        rows = node["Actual Rows"] + sum(node.get(each, 0) for each in unneeded)
        relation = f"{node['Schema']}.{node['Relation Name']}"
        yield Scan(relation, node["Node Type"], rows * node["Actual Loops"])
    for child in node.get("Plans", []):
        yield from _scans(child)
