"""For each rule a change of the manifest that breaks it, and the node that must be reported."""

from collections.abc import Callable

from governance.manifest import Manifest, Node

Change = Callable[[Manifest], None]

_SALES, _CUSTOMER = "model.dbt_pipeline.fct_sales", "model.dbt_pipeline.dim_customer"
_STAGED = "model.dbt_pipeline.stg_customers"
_CUSTOMERS = "source.dbt_pipeline.raw.customers"
_SNAPSHOT = "snapshot.dbt_pipeline.customer_snapshot"
_MACRO = "macro.dbt_pipeline.parse_date"
_SINGULAR = "test.dbt_pipeline.assert_sale_size_classes_leave_no_gap"


def _node(manifest: Manifest, name: str) -> Node:
    node: Node = manifest["nodes"].get(name) or manifest["sources"].get(name)
    return node


def _put(name: str, key: str, value: object) -> Change:
    def change(manifest: Manifest) -> None:
        _node(manifest, name)[key] = value

    return change


def _configure(name: str, key: str, value: object) -> Change:
    def change(manifest: Manifest) -> None:
        _node(manifest, name)["config"][key] = value

    return change


def _read(reader: str, *read: str) -> Change:
    def change(manifest: Manifest) -> None:
        _node(manifest, reader)["depends_on"]["nodes"].extend(read)

    return change


def _read_only(reader: str, *read: str) -> Change:
    def change(manifest: Manifest) -> None:
        _node(manifest, reader)["depends_on"]["nodes"] = list(read)

    return change


def _write(name: str, text: str) -> Change:
    def change(manifest: Manifest) -> None:
        _node(manifest, name)["raw_code"] = text + _node(manifest, name)["raw_code"]

    return change


def _column(name: str, column: str, key: str, value: object) -> Change:
    def change(manifest: Manifest) -> None:
        _node(manifest, name)["columns"][column][key] = value

    return change


def _macro(name: str, key: str, value: object) -> Change:
    def change(manifest: Manifest) -> None:
        manifest["macros"][name][key] = value

    return change


def _first(kind: str, key: str, value: object) -> Change:
    def change(manifest: Manifest) -> None:
        next(iter(manifest[kind].values()))[key] = value

    return change


def _declare_again(manifest: Manifest) -> None:
    copy = {**manifest["sources"][_CUSTOMERS], "source_name": "again"}
    manifest["sources"]["source.dbt_pipeline.again.customers"] = copy


def _drop_tests(kind: str, attached_to: str) -> Change:
    def change(manifest: Manifest) -> None:
        manifest["nodes"] = {
            name: node
            for name, node in manifest["nodes"].items()
            if node.get("attached_node") != attached_to
            or (node.get("test_metadata") or {}).get("name") != kind
        }

    return change


def _drop_all_tests(manifest: Manifest) -> None:
    manifest["nodes"] = {
        name: node for name, node in manifest["nodes"].items() if node["resource_type"] != "test"
    }


def _drop_unit_tests(manifest: Manifest) -> None:
    manifest["unit_tests"] = {}


def _misplace_unit_test(manifest: Manifest) -> None:
    tests = manifest["unit_tests"]
    tests["unit_test.moved"] = {
        "name": "moved",
        "model": "fct_sales",
        "original_file_path": "models/marts/ecommerce/_ecommerce__models.yml",
    }


def _stack_views(manifest: Manifest) -> None:
    chain = [_STAGED, "model.dbt_pipeline.int_sale_lines", _CUSTOMER]
    chain += ["model.dbt_pipeline.dim_products", _SALES]
    for reader, read in zip(chain[1:], chain, strict=False):
        _read_only(reader, read)(manifest)
    for name in chain:
        _configure(name, "materialized", "view")(manifest)


def _name_constraint(manifest: Manifest) -> None:
    _node(manifest, _SALES)["constraints"][0]["name"] = "fct_sales_pkey"


def _supersede(manifest: Manifest) -> None:
    model = _node(manifest, _SALES)
    model["version"], model["latest_version"], model["deprecation_date"] = 1, 2, None


def _batch(manifest: Manifest) -> None:
    _configure(_SALES, "incremental_strategy", "microbatch")(manifest)
    _configure(_CUSTOMER, "event_time", None)(manifest)


def _index_nothing(manifest: Manifest) -> None:
    _configure(_SALES, "indexes", [{"columns": ["no_such_column"]}])(manifest)


def _increment_badly(manifest: Manifest) -> None:
    _configure(_SALES, "materialized", "incremental")(manifest)
    _configure(_SALES, "on_schema_change", "ignore")(manifest)


def _expose(name: str) -> Change:
    def change(manifest: Manifest) -> None:
        manifest["exposures"]["exposure.new"] = {
            "name": "new",
            "description": "",
            "owner": {"name": "No address", "email": None},
            "depends_on": {"nodes": [name]},
        }

    return change


def _add_macro(name: str, path: str) -> Change:
    def change(manifest: Manifest) -> None:
        copy = {**manifest["macros"][_MACRO], "name": name, "original_file_path": path}
        manifest["macros"][f"macro.dbt_pipeline.{name}"] = copy

    return change


def _disable(manifest: Manifest) -> None:
    manifest["disabled"]["model.dbt_pipeline.off"] = [{"name": "off"}]


def _add_doc_block(manifest: Manifest) -> None:
    block = {"name": "forgotten", "package_name": "dbt_pipeline"}
    manifest["docs"]["doc.dbt_pipeline.forgotten"] = block


def _repeat_description(manifest: Manifest) -> None:
    columns = list(_node(manifest, _SALES)["columns"].values())[:3]
    for column in columns:
        column["description"], column["doc_blocks"] = "Said three times.", []


def _leave_unread(manifest: Manifest) -> None:
    for node in manifest["nodes"].values():
        if _STAGED in node.get("depends_on", {}).get("nodes", []):
            node["depends_on"]["nodes"].remove(_STAGED)


def _unown(manifest: Manifest) -> None:
    _put(_SALES, "group", None)(manifest)


# Rule: (what breaks it, the node that is reported).
CHANGES: dict[str, tuple[Change, str]] = {
    "source_has_one_reader": (_read(_CUSTOMER, _CUSTOMERS), "raw.customers"),
    "source_is_declared_once": (_declare_again, "again.customers"),
    "staging_reads_one_source": (
        _read(_STAGED, "model.dbt_pipeline.stg_tax_amount"),
        "stg_customers",
    ),
    "only_staging_reads_sources": (_read_only(_SALES, _CUSTOMERS), "fct_sales"),
    "source_and_model_are_not_joined": (_read(_SALES, _CUSTOMERS), "fct_sales"),
    "no_layer_reads_a_later_one": (
        _read("model.dbt_pipeline.int_sale_lines", _SALES),
        "int_sale_lines",
    ),
    "model_has_a_parent": (_read_only(_SALES), "fct_sales"),
    "model_has_few_parents": (_read(_SALES, *[_CUSTOMER] * 6), "fct_sales"),
    "chain_of_views_is_short": (_stack_views, "fct_sales"),
    "model_lies_in_a_layer_and_domain": (
        _put(_SALES, "fqn", ["dbt_pipeline", "models", "fct_sales"]),
        "fct_sales",
    ),
    "model_is_named_by_its_layer": (_put(_SALES, "name", "sales"), "sales"),
    "model_lies_in_the_domain_of_its_group": (_put(_SALES, "group", "retail"), "fct_sales"),
    "model_is_described_beside_its_file": (
        _put(_SALES, "patch_path", "dbt_pipeline://models/marts/ecommerce/schema.yml"),
        "fct_sales",
    ),
    "source_is_described_in_its_domain": (
        _put(_CUSTOMERS, "original_file_path", "models/staging/ecommerce/sources.yml"),
        "raw.customers",
    ),
    "unit_test_lies_beside_its_model": (_misplace_unit_test, "moved"),
    "name_fits_postgres": (_put(_SALES, "alias", "x" * 64), "fct_sales"),
    "singular_test_says_a_fact": (_put(_SINGULAR, "name", "check_sizes"), "check_sizes"),
    "model_has_a_key_test": (_drop_tests("unique", _CUSTOMER), "dim_customer"),
    "mart_has_a_primary_key": (_put(_SALES, "constraints", []), "fct_sales"),
    "primary_key_is_tested": (
        _put(_CUSTOMER, "constraints", [{"type": "primary_key", "columns": ["gender"]}]),
        "dim_customer",
    ),
    "primary_key_is_not_null": (
        _column(_CUSTOMER, "customer_id", "constraints", []),
        "dim_customer",
    ),
    "constraint_has_no_name": (_name_constraint, "fct_sales"),
    "foreign_key_is_tested": (_drop_tests("relationships", _SALES), "fct_sales.customer_id"),
    "there_are_enough_tests": (_drop_all_tests, "the project"),
    "branching_model_has_a_unit_test": (_drop_unit_tests, "fct_sales"),
    "model_says_what_one_row_is": (_put(_SALES, "description", "Sales."), "fct_sales"),
    "table_is_described": (_put(_CUSTOMERS, "description", " "), "raw.customers"),
    "column_is_described": (
        _column(_CUSTOMER, "gender", "description", ""),
        "dim_customer.gender",
    ),
    "macro_is_described": (_macro(_MACRO, "description", ""), "parse_date"),
    "macro_argument_is_described": (
        _macro(_MACRO, "arguments", [{"name": "day", "type": None, "description": "A day."}]),
        "parse_date.day",
    ),
    "other_resource_is_described": (_expose(_SALES), "new"),
    "term_is_described_once": (_repeat_description, "fct_sales.sale_line_id"),
    "node_has_an_owner": (_unown, "fct_sales"),
    "marts_and_only_marts_are_public": (_put(_STAGED, "access", "public"), "stg_customers"),
    "public_model_has_a_contract": (_put(_SALES, "contract", {"enforced": False}), "fct_sales"),
    "exposure_reads_public_tables": (_expose(_STAGED), "new"),
    "exposure_has_an_owner": (_expose(_SALES), "new"),
    "superseded_version_has_an_end": (_supersede, "fct_sales.v1"),
    "source_has_freshness": (_put(_CUSTOMERS, "freshness", None), "raw.customers"),
    "contract_has_exact_types": (
        _column(_SALES, "quantity", "data_type", "double precision"),
        "fct_sales.quantity",
    ),
    "reference_stands_in_an_import": (_write(_SALES, "from {{ ref('x') }} as x\n"), "fct_sales"),
    "reference_in_a_macro_stands_in_an_import": (
        _macro(_MACRO, "macro_sql", "select a from {{ ref('x') }}"),
        "parse_date",
    ),
    "relation_is_not_hard_coded": (_write(_SALES, "select 1 from raw.customers\n"), "fct_sales"),
    "model_has_few_joins": (_write(_SALES, "join\n" * 7), "fct_sales"),
    "model_ends_with_final": (_put(_SALES, "raw_code", "select 1"), "fct_sales"),
    "view_stands_on_no_model": (_configure(_CUSTOMER, "materialized", "view"), "dim_customer"),
    "incremental_model_fails_on_another_schema": (_increment_badly, "fct_sales"),
    "microbatch_parent_has_event_time": (_batch, "fct_sales"),
    "index_names_a_column": (_index_nothing, "fct_sales"),
    "snapshot_ends_deleted_rows": (
        _configure(_SNAPSHOT, "hard_deletes", "ignore"),
        "customer_snapshot",
    ),
    "comments_are_persisted": (_configure(_SALES, "persist_docs", {}), "fct_sales"),
    "macro_is_used": (_add_macro("forgotten", "macros/forgotten.sql"), "forgotten"),
    "generic_test_is_used": (
        _add_macro("test_forgotten", "tests/generic/forgotten.sql"),
        "test_forgotten",
    ),
    "macro_has_a_file_of_its_own": (_add_macro("second", "macros/parse_date.sql"), "second"),
    "nothing_is_disabled": (_disable, "off"),
    "staging_model_is_read": (_leave_unread, "stg_customers"),
    "doc_block_is_used": (_add_doc_block, "forgotten"),
}
