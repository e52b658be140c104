"""What dbt is told about the raw tables, rendered from the contracts.

Required fields get no not_null test: Postgres itself refuses a row without one.
Run as a module it writes the source files of all domains into a dbt project.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import yaml

from streaming.contract import Contract, load_contracts

_HEADING = "# Rendered from streaming/contracts by `python -m streaming.dbt_sources`.\n"

_DATA_TYPES = {"timestamptz": "timestamp with time zone"}

_LOADER_COLUMNS = (
    ("ingestion_timestamp", "timestamp with time zone", "When the loader wrote the row (UTC)."),
    ("_offset", "bigint", "Offset of the message in its partition."),
    ("_partition_id", "integer", "Partition, a row of streaming.stream_progress."),
    ("_load_id", "bigint", "Load that wrote the row, a row of streaming.load_ledger."),
)


def render_dbt_sources(contracts: Sequence[Contract], domain: str) -> str:
    """The YAML text of `_<domain>__sources.yml`: source `streaming`, one table a contract."""
    source = {
        "name": "streaming",
        "schema": "streaming",
        "description": "Events as the stream loader wrote them, one table a stream.",
        "config": {"loaded_at_field": "ingestion_timestamp"},
        "tables": [_table(each) for each in contracts if each.domain == domain],
    }
    document = {"version": 2, "sources": [source]}
    return _HEADING + yaml.dump(
        document, Dumper=_IndentedLists, sort_keys=False, allow_unicode=True, width=100
    )


def source_file(project: Path, domain: str) -> Path:
    """Where the rendered text of a domain belongs in a dbt project."""
    return project / "models" / "staging" / domain / f"_{domain}__sources.yml"


def write_dbt_sources(contracts: Sequence[Contract], project: Path) -> list[Path]:
    """Write the source file of each domain; returns the files."""
    files = []
    for domain in sorted({each.domain for each in contracts}):
        file = source_file(project, domain)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(render_dbt_sources(contracts, domain), encoding="utf-8")
        files.append(file)
    return files


def _table(contract: Contract) -> dict[str, object]:
    return {
        "name": contract.table,
        "description": contract.table_description,
        "config": {
            "freshness": {
                "warn_after": _period(contract.freshness_seconds),
                # Later than that, messages not loaded yet are gone from Kafka.
                "error_after": _period(contract.retention_seconds),
            },
            "meta": {"stream": contract.stream, "contract_version": contract.version},
        },
        "columns": [*_contract_columns(contract), *_loader_columns()],
    }


def _contract_columns(contract: Contract) -> list[dict[str, object]]:
    return [
        {
            "name": column.name,
            "data_type": _DATA_TYPES.get(column.physical_type, column.physical_type),
            "description": column.description,
        }
        for column in contract.columns
    ]


def _loader_columns() -> list[dict[str, object]]:
    return [
        {"name": name, "data_type": kind, "description": text}
        for name, kind, text in _LOADER_COLUMNS
    ]


def _period(seconds: int) -> dict[str, object]:
    for period, size in (("day", 86400), ("hour", 3600)):
        if seconds % size == 0:
            return {"count": seconds // size, "period": period}
    return {"count": max(1, seconds // 60), "period": "minute"}


class _IndentedLists(yaml.SafeDumper):
    """Indents the items of a list, as the other YAML files of the project do."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)


def main() -> None:
    """Render the sources of the contracts in this package into the project given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", type=Path, default=Path("dbt_pipeline"))
    write_dbt_sources(load_contracts(), parser.parse_args().project)


if __name__ == "__main__":
    main()
