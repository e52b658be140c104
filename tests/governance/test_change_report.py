"""The report on a pull request names what a change reaches and what its author must do."""

import copy
from typing import Any

import pytest

from governance.change_report import compare, markdown

Manifest = dict[str, Any]

_STAGED, _MART, _VIEWER = "model.p.stg_a", "model.p.fct_a", "exposure.p.report"


def _model(name: str, layer: str, reads: list[str], **config: object) -> dict[str, Any]:
    return {
        "unique_id": f"model.p.{name}",
        "name": name,
        "resource_type": "model",
        "fqn": ["p", layer, "domain", name],
        "checksum": {"checksum": name},
        "config": {"materialized": "table", **config},
        "columns": {"a": {"name": "a", "data_type": "text", "constraints": []}},
        "constraints": [],
        "version": None,
        "access": "public" if layer == "marts" else "protected",
        "depends_on": {"nodes": reads, "macros": ["macro.p.outer", "macro.dbt.ref"]},
    }


@pytest.fixture
def base() -> Manifest:
    """A staging model, an incremental mart on it, and an exposure on the mart."""
    mart = _model("fct_a", "marts", [_STAGED], materialized="incremental")
    return {
        "metadata": {"project_name": "p"},
        "nodes": {_STAGED: _model("stg_a", "staging", []), _MART: mart},
        "sources": {},
        "macros": {
            "macro.p.outer": {"macro_sql": "1", "depends_on": {"macros": ["macro.p.inner"]}},
            "macro.p.inner": {"macro_sql": "2", "depends_on": {"macros": []}},
        },
        "exposures": {
            _VIEWER: {
                "name": "report",
                "label": "The report",
                "type": "dashboard",
                "owner": {"email": "owner@example.com"},
            }
        },
        "child_map": {_STAGED: [_MART], _MART: [_VIEWER], _VIEWER: []},
    }


@pytest.fixture
def head(base: Manifest) -> Manifest:
    return copy.deepcopy(base)


def test_equal_manifests_change_nothing(base: Manifest, head: Manifest) -> None:
    head["nodes"][_MART]["config"]["meta"] = {"note": "no part of the table"}
    assert markdown(base, head) == "### dbt\n\nNo model, seed or snapshot changes.\n"


def test_a_change_reaches_marts_and_exposures_behind_it(base: Manifest, head: Manifest) -> None:
    head["nodes"][_STAGED]["checksum"] = {"checksum": "another"}
    assert compare(base, head).changed == {_STAGED}
    report = markdown(base, head)
    assert "**Marts reached**\n\n- `fct_a`\n" in report
    assert "- The report (dashboard): ask owner@example.com\n" in report
    assert "full refresh" not in report


def test_a_macro_behind_a_macro_changes_who_calls_it(base: Manifest, head: Manifest) -> None:
    head["macros"]["macro.p.inner"]["macro_sql"] = "3"
    assert compare(base, head).changed == {_STAGED, _MART}
    assert "**Needs a full refresh**\n\n- `fct_a`" in markdown(base, head)


def test_a_lost_column_of_a_public_model_is_told(base: Manifest, head: Manifest) -> None:
    head["nodes"][_MART]["columns"] = {}
    head["nodes"][_STAGED]["columns"] = {}
    report = markdown(base, head)
    assert "**Columns that public models lose**\n\n- `fct_a.a`\n\n" in report


def test_a_new_model_without_a_key_test_is_told(base: Manifest, head: Manifest) -> None:
    head["nodes"]["model.p.fct_b"] = _model("fct_b", "marts", [_STAGED])
    report = markdown(base, head)
    assert "**New**\n\n- `fct_b`\n" in report
    assert "**New without a key test**\n\n- `fct_b`\n" in report
    head["nodes"]["test.p.unique"] = {
        "resource_type": "test",
        "attached_node": "model.p.fct_b",
        "test_metadata": {"name": "unique", "kwargs": {"column_name": "a", "model": "m"}},
    }
    assert "without a key test" not in markdown(base, head)


def test_a_removed_model_reaches_what_stood_on_it(base: Manifest, head: Manifest) -> None:
    del head["nodes"][_STAGED]
    report = markdown(base, head)
    assert "**Removed**\n\n- `stg_a`\n" in report
    assert "**Marts reached**\n\n- `fct_a`\n" in report
