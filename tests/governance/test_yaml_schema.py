"""A key that dbt would ignore on Postgres is found, with its file and place."""

import shutil
from pathlib import Path

import pytest
import yaml

from governance.yaml_schema import bad_keys

# What is misspelt in which file: (file, written, misspelt, place, named in the message).
_MISSPELT = [
    (
        "models/marts/retail/_retail__models.yml",
        "    data_tests:",
        "    data_tets:",
        "models[dim_pos_products]",
        "data_tets",
    ),
    (
        "models/staging/ecommerce/_ecommerce__models.yml",
        "severity: warn",
        "severty: warn",
        "models[stg_customers].columns[gender].data_tests[0].accepted_values.config",
        "severty",
    ),
    (
        "models/marts/retail/_retail__unit_tests.yml",
        "    given:",
        "    gven:",
        "unit_tests[dim_pos_products_has_an_unknown_member]",
        "gven",
    ),
    (
        "models/staging/ecommerce/_ecommerce__sources.yml",
        "freshness:",
        "freshnes:",
        "sources[raw].config",
        "freshnes",
    ),
    (
        "models/_exposures.yml",
        "maturity:",
        "maturty:",
        "exposures[customer_segmentation]",
        "maturty",
    ),
    (
        "snapshots/ecommerce/_ecommerce__snapshots.yml",
        "hard_deletes:",
        "hard_delets:",
        "snapshots[customer_snapshot].config",
        "hard_delets",
    ),
    (
        "macros/_macros.yml",
        "        type:",
        "        typ:",
        "macros[generate_schema_name].arguments[custom_schema_name]",
        "typ",
    ),
    ("dbt_project.yml", "+persist_docs:", "+persist_dcs:", "models.dbt_pipeline.+persist_dcs", ""),
    ("models/_groups.yml", "groups:", "gruops:", "the top", "gruops"),
    ("models/_groups.yml", "groups:", "version: 2\ngroups:", "the whole file", "stands twice"),
]


@pytest.fixture
def project(project_root: Path, tmp_path: Path) -> Path:
    ignored = shutil.ignore_patterns("target", "logs", "*.csv")
    return Path(
        shutil.copytree(project_root / "dbt_pipeline", tmp_path / "project", ignore=ignored)
    )


def test_the_project_has_no_key_that_dbt_does_not_know(project_root: Path) -> None:
    assert [str(bad) for bad in bad_keys(project_root / "dbt_pipeline")] == []


@pytest.mark.parametrize(("file", "written", "misspelt", "place", "named"), _MISSPELT)
def test_a_misspelt_key_is_found_in_its_place(
    project: Path, file: str, written: str, misspelt: str, place: str, named: str
) -> None:
    text = (project / file).read_text()
    assert written in text
    (project / file).write_text(text.replace(written, misspelt, 1))
    bad = bad_keys(project)[0]
    assert bad.file == project / file
    assert bad.place.startswith(place)
    assert named in bad.problem


def test_versions_metrics_and_merged_keys_are_known(tmp_path: Path) -> None:
    document = """
anchors:
  - &money {data_type: "numeric(22, 2)"}
models:
  - name: fct_x
    latest_version: 2
    columns: [{<<: *money, name: amount, description: Money.}]
    versions:
      - {v: 1, defined_in: fct_x_v1, deprecation_date: 2030-01-01}
      - {v: 2, columns: [{include: all, exclude: [amount]}, {<<: *money, name: net}]}
metrics:
  - {name: m, label: M, type: simple, type_params: {measure: amount}}
saved_queries:
  - {name: q, query_params: {metrics: [m], order_by: [m], limit: 1}}
"""
    (tmp_path / "models.yml").write_text(document)
    assert [str(bad) for bad in bad_keys(tmp_path)] == []
    loaded = yaml.safe_load(document)
    loaded["models"][0]["versions"][0]["deprecation_dat"] = "2030-01-01"
    loaded["metrics"][0]["type_params"]["mesure"] = "amount"
    (tmp_path / "models.yml").write_text(yaml.safe_dump(loaded))
    assert sorted(bad.place for bad in bad_keys(tmp_path)) == [
        "metrics[m].type_params",
        "models[fct_x].versions[0]",
    ]
