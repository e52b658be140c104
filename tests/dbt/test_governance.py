"""Rules of the house, read off the manifest: each test names what breaks the rule."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from insight.database import DatabaseEndpoint, connect

Node = dict[str, Any]

_IMPORT = re.compile(r"^ +select \* from \{\{ (ref|source)\([^)]*\) \}\}$")
_REFERENCE = re.compile(r"\b(ref|source)\(")
# What a streaming model reads its raw table through, instead of an import of its own.
_STREAMING_MODEL = re.compile(r"\bstreaming_model\(\s*'(\w+)',\s*'(\w+)'")
_READ = re.compile(
    r"\b(?:first_landed_rows|with_neighbours)\(\s*'(\w+)',\s*source\('streaming', '(\w+)'\)"
)
_MODEL_READ = re.compile(r"\b(?:begin_model_read|changed_rows)\('(\w+)'")
_RELATION = re.compile(r"\b(from|join)\s+(raw|streaming|staging|intermediate|marts|seeds)\.", re.I)


@pytest.fixture(scope="module")
def manifest(built_project: Path, build_outputs: tuple[str, str]) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((built_project / "target" / "manifest.json").read_text())
    return loaded


@pytest.fixture(scope="module")
def nodes(manifest: dict[str, Any]) -> list[Node]:
    return list(manifest["nodes"].values())


@pytest.fixture(scope="module")
def models(nodes: list[Node]) -> list[Node]:
    return [node for node in nodes if node["resource_type"] == "model"]


@pytest.fixture(scope="module")
def marts(models: list[Node]) -> list[Node]:
    return [model for model in models if model["schema"] == "marts"]


@pytest.fixture(scope="module")
def warehouse_columns(built: DatabaseEndpoint) -> dict[str, set[str]]:
    """The columns that each relation really has."""
    columns: dict[str, set[str]] = {}
    with connect(built) as connection:
        for relation, name in connection.execute(
            "select table_schema || '.' || table_name, column_name from information_schema.columns"
        ):
            columns.setdefault(str(relation), set()).add(str(name))
    return columns


def _names(nodes: list[Node]) -> list[str]:
    return [node["name"] for node in nodes]


def test_there_are_at_least_four_data_tests_a_model(nodes: list[Node], models: list[Node]) -> None:
    tests = [node for node in nodes if node["resource_type"] == "test"]
    of_models = [test for test in tests if (test.get("attached_node") or "").startswith("model.")]
    assert len(of_models) >= 4 * len(models)


def test_every_model_says_what_one_row_is(models: list[Node]) -> None:
    assert [m["name"] for m in models if not m["description"].startswith("One row ")] == []


def test_every_column_in_the_database_is_described(
    nodes: list[Node], warehouse_columns: dict[str, set[str]]
) -> None:
    for node in nodes:
        if node["resource_type"] in ("model", "seed", "snapshot"):
            described = {name for name, column in node["columns"].items() if column["description"]}
            assert described == warehouse_columns[f"{node['schema']}.{node['alias']}"], node["name"]


def test_every_snapshot_has_an_owner_ends_what_is_gone_and_has_a_valid_history(
    nodes: list[Node],
) -> None:
    snapshots = {node["unique_id"]: node for node in nodes if node["resource_type"] == "snapshot"}
    tested = {
        node["attached_node"]: node["test_metadata"]["kwargs"]["key"]
        for node in nodes
        if (node.get("test_metadata") or {}).get("name") == "has_valid_history"
    }
    assert tested == {name: node["config"]["unique_key"] for name, node in snapshots.items()}
    for node in snapshots.values():
        assert node["group"], node["name"]
        assert node["config"]["hard_deletes"] == "invalidate", node["name"]


def test_every_source_table_and_column_is_described(manifest: dict[str, Any]) -> None:
    for source in manifest["sources"].values():
        assert source["description"], source["name"]
        assert source["columns"], source["name"]
        for column in source["columns"].values():
            assert column["description"], (source["name"], column["name"])


def test_every_mart_has_an_enforced_contract_and_an_unnamed_primary_key(marts: list[Node]) -> None:
    for mart in marts:
        assert mart["contract"]["enforced"], mart["name"]
        kinds = [constraint["type"] for constraint in mart["constraints"]]
        assert kinds == ["primary_key"], mart["name"]
        every = mart["constraints"] + [
            constraint
            for column in mart["columns"].values()
            for constraint in column["constraints"]
        ]
        assert [constraint["name"] for constraint in every] == [None] * len(every), mart["name"]


def test_every_mart_has_an_owner_and_is_public(marts: list[Node]) -> None:
    assert [m["name"] for m in marts if not m["group"] or m["access"] != "public"] == []


def test_only_marts_are_public(models: list[Node], marts: list[Node]) -> None:
    public = [model for model in models if model["access"] == "public"]
    assert sorted(_names(public)) == sorted(_names(marts))


def test_every_key_is_tested(nodes: list[Node], models: list[Node]) -> None:
    tested = {
        node["attached_node"]
        for node in nodes
        if node["resource_type"] == "test"
        and node.get("test_metadata")
        and node["test_metadata"]["name"] in ("unique", "unique_combination")
    }
    assert [model["name"] for model in models if model["unique_id"] not in tested] == []


def test_staging_reads_only_sources_and_everything_else_only_models(models: list[Node]) -> None:
    # What was read of the streams is a table that the models write themselves.
    own = "source.dbt_pipeline.stream_reads.stream_reads"
    for model in models:
        parents = {name.split(".")[0] for name in model["depends_on"]["nodes"] if name != own}
        marts = {"model", "seed", "snapshot"}
        expected = {"staging": {"source"}, "marts": marts}.get(model["schema"], {"model", "seed"})
        assert parents <= expected, model["name"]


def test_no_layer_reads_a_later_one(manifest: dict[str, Any], models: list[Node]) -> None:
    order = ["staging", "intermediate", "marts"]
    for model in models:
        for parent in model["depends_on"]["nodes"]:
            node = manifest["nodes"].get(parent)
            if node and node["resource_type"] == "model":
                assert order.index(node["schema"]) <= order.index(model["schema"]), model["name"]


def test_references_stand_only_in_unaliased_imports(nodes: list[Node]) -> None:
    for node in nodes:
        if node["resource_type"] in ("model", "test", "analysis") and not node.get("test_metadata"):
            for line in _READ.sub("", node["raw_code"]).splitlines():
                if _REFERENCE.search(line):
                    assert _IMPORT.match(line), (node["name"], line)


def test_references_in_macros_stand_only_in_unaliased_imports(manifest: dict[str, Any]) -> None:
    for macro in manifest["macros"].values():
        if macro["package_name"] == "dbt_pipeline":
            for line in macro["macro_sql"].splitlines():
                if re.search(r"\b(from|join)\b", line) and _REFERENCE.search(line):
                    assert _IMPORT.match(line), (macro["name"], line)


def test_every_streaming_model_reads_one_raw_table_under_its_own_name(models: list[Node]) -> None:
    streaming = [model for model in models if "streaming" in model["tags"]]
    assert {"stg_bitcoin", "stg_news", "stg_transactions"} <= set(_names(streaming))
    for model in streaming:
        [(reader, table)] = _STREAMING_MODEL.findall(model["raw_code"])
        reads = _READ.findall(model["raw_code"])
        assert reader == reads[0][0] == model["name"]
        assert {read[1] for read in reads} == {table}, model["name"]
        assert model["config"]["on_schema_change"] == "fail", model["name"]


def test_every_incremental_mart_reads_under_its_own_name(marts: list[Node]) -> None:
    incremental = [mart for mart in marts if mart["config"]["materialized"] == "incremental"]
    assert "fct_product_metrics_minute" in _names(incremental)
    for mart in incremental:
        hooks = "".join(hook["sql"] for hook in mart["config"]["pre-hook"])
        readers = _MODEL_READ.findall(hooks + mart["raw_code"])
        assert set(readers) == {mart["name"]}
        read = set(re.findall(r"'(stg_\w+)'", hooks))
        parents = {name.split(".")[-1] for name in mart["depends_on"]["nodes"]}
        assert read == {name for name in parents if name.startswith("stg_")}, mart["name"]
        assert mart["config"]["on_schema_change"] == "fail", mart["name"]


def test_every_streaming_model_is_reconciled_with_its_raw_table(
    nodes: list[Node], models: list[Node]
) -> None:
    for model in models:
        if "streaming" in model["tags"]:
            tests = {
                node["test_metadata"]["name"]: node["depends_on"]["nodes"]
                for node in nodes
                if node.get("attached_node") == model["unique_id"] and node.get("test_metadata")
            }
            for name in ("has_every_read_id", "holds_only_raw_rows", "has_exact_watermarks"):
                read = set(tests[name]) - {model["unique_id"]}
                assert read <= set(model["depends_on"]["nodes"]), (model["name"], name)


def test_no_relation_is_hard_coded(nodes: list[Node]) -> None:
    for node in nodes:
        assert not _RELATION.search(node.get("raw_code", "")), node["name"]


def test_every_source_that_is_loaded_has_freshness(manifest: dict[str, Any]) -> None:
    for source in manifest["sources"].values():
        if source["source_name"] in ("raw", "streaming"):
            assert source["loaded_at_field"], source["name"]
            assert source["freshness"]["error_after"]["count"], source["name"]


def test_every_macro_is_described(manifest: dict[str, Any]) -> None:
    own = [m for m in manifest["macros"].values() if m["package_name"] == "dbt_pipeline"]
    dispatched = re.compile(r"^(default|postgres)__")
    assert [
        m["name"] for m in own if not m["description"] and not dispatched.match(m["name"])
    ] == []


def test_every_macro_file_holds_one_macro(built_project: Path) -> None:
    for file in (built_project / "macros").glob("*.sql"):
        found = re.findall(r"\{%-? macro (\w+)", file.read_text())
        assert {re.sub(r"^(default|postgres)__", "", name) for name in found} == {file.stem}


def test_every_branching_model_has_a_unit_test(
    manifest: dict[str, Any], models: list[Node]
) -> None:
    tested = {test["model"] for test in manifest["unit_tests"].values()}
    branching = re.compile(
        r"\bcase\b|\bjoin\b|\bover \(|categorize_|parse_|first_landed_rows", re.I
    )
    # dim_datetime makes at least 365 rows; singular tests and relationships hold it.
    exempt = {"dim_datetime", "stg_marketing_spend"}
    missing = {m["name"] for m in models if branching.search(m["raw_code"])} - tested
    assert missing <= exempt


def test_the_published_names_exist(nodes: list[Node]) -> None:
    assert {
        "stg_customers",
        "stg_online_sales",
        "stg_marketing_spend",
        "stg_discount_coupon",
        "stg_tax_amount",
        "stg_bitcoin",
        "stg_news",
        "dim_customer",
        "dim_products",
        "dim_datetime",
        "fct_sales",
        "fct_customer_segments",
        "customer_segments",
        "customer_snapshot",
        "product_snapshot",
        "pos_product_snapshot",
        "customer_segment_snapshot",
        "fct_segment_movements",
        "fct_segment_balance",
        "dim_pos_products",
        "dim_pos_stores",
        "fct_pos_transactions",
        "fct_pos_refunds",
        "fct_product_metrics_minute",
        "fct_account_transactions",
        "fct_stream_lateness",
    } <= set(_names(nodes))
