"""Rules of the house, read off the manifest: each test names what breaks the rule."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rule_breaking_changes import CHANGES

from governance.check import GovernanceException, check, read_exceptions
from governance.rules import RULES, Rule
from insight.database import DatabaseEndpoint, connect

Node = dict[str, Any]
Break = Callable[[str], tuple[dict[str, Any], str]]

# What a streaming model reads its raw table through, instead of an import of its own.
_STREAMING_MODEL = re.compile(r"\bstreaming_model\(\s*'(\w+)',\s*'(\w+)'")
_READ = re.compile(
    r"\b(?:first_landed_rows|with_neighbours)\(\s*'(\w+)',\s*source\('streaming', '(\w+)'\)"
)
_MODEL_READ = re.compile(r"\b(?:begin_model_read|changed_rows)\('(\w+)'")


@pytest.fixture(scope="module")
def manifest(built_project: Path, build_outputs: tuple[str, str]) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((built_project / "target" / "manifest.json").read_text())
    return loaded


@pytest.fixture(scope="module")
def broken(manifest: dict[str, Any]) -> Break:
    """Gives a manifest that breaks the rule of this name, and what must be reported."""
    text = json.dumps(manifest)

    def break_rule(name: str) -> tuple[dict[str, Any], str]:
        change, node = CHANGES[name]
        changed: dict[str, Any] = json.loads(text)
        change(changed)
        return changed, node

    return break_rule


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


def test_no_rule_is_broken(manifest: dict[str, Any]) -> None:
    violations = check(manifest, read_exceptions()).violations
    assert not violations, "\n".join(map(str, violations))


def test_every_exception_is_needed_and_has_a_reason(manifest: dict[str, Any]) -> None:
    exceptions = read_exceptions()
    assert check(manifest, exceptions).unneeded == []
    assert [each for each in exceptions if len(each.reason.split()) < 4] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_what_breaks_a_rule_is_reported(
    manifest: dict[str, Any], broken: Break, rule: Rule
) -> None:
    changed, node = broken(rule.__name__)
    before = {finding.node for finding in rule(manifest)}
    assert node in {finding.node for finding in rule(changed)} - before


def test_an_exception_excuses_one_node_of_one_rule(broken: Break) -> None:
    changed, node = broken("model_says_what_one_row_is")
    excused = GovernanceException("model_says_what_one_row_is", node, "It is a test.")
    other = GovernanceException("column_is_described", node, "It is a test.")
    assert (excused.rule, node) not in _violations(changed, excused)
    assert (excused.rule, node) in _violations(changed, other)
    assert check(changed, [other]).unneeded == [other]


def _violations(manifest: dict[str, Any], *more: GovernanceException) -> set[tuple[str, str]]:
    verdict = check(manifest, [*read_exceptions(), *more])
    return {(rule, finding.node) for rule, finding in verdict.violations}


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
        "fct_customer_lifetime_value",
        "fct_sales",
        "fct_customer_segments",
        "fct_customer_rfm",
        "fct_pos_customer_segments",
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
        "fct_product_associations",
        "fct_account_transactions",
        "fct_stream_lateness",
    } <= set(_names(nodes))
