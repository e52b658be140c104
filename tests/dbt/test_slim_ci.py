"""What the pull request job does: only what a change touches is built, on the base's warehouse."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from governance.change_report import markdown
from insight.database import DatabaseEndpoint

RunDbtIn = Callable[[Path, DatabaseEndpoint, str], tuple[bool, str]]

_BUILD = "dbt build --select state:modified+ --defer --state base"


@pytest.fixture
def changed_project(
    built_project: Path, built: DatabaseEndpoint, copy_project: Callable[[], Path]
) -> Path:
    """A copy of the project with the manifest of the base in the folder `base`."""
    project = copy_project()
    (project / "base").mkdir()
    shutil.copy(built_project / "target" / "manifest.json", project / "base")
    return project


def test_only_what_changed_and_what_stands_on_it_is_built(
    changed_project: Path, warehouse: DatabaseEndpoint, run_dbt: RunDbtIn
) -> None:
    model = changed_project / "models" / "marts" / "retail" / "fct_pos_refunds.sql"
    model.write_text(model.read_text() + "\n-- Changed.\n")
    success, output = run_dbt(changed_project, warehouse, _BUILD)
    assert success, output
    results = json.loads((changed_project / "target" / "run_results.json").read_text())["results"]
    built = {each["unique_id"] for each in results if each["unique_id"].startswith("model.")}
    manifest = json.loads((changed_project / "target" / "manifest.json").read_text())
    changed = "model.dbt_pipeline.fct_pos_refunds"
    assert built == {changed, *_models_on(manifest, changed)}
    base = json.loads((changed_project / "base" / "manifest.json").read_text())
    report = markdown(base, manifest)
    assert "**Changed**\n\n- `fct_pos_refunds`\n" in report
    assert "**Needs a full refresh**\n\n- `fct_pos_refunds`" in report


def _models_on(manifest: dict[str, dict[str, list[str]]], name: str) -> set[str]:
    children = {each for each in manifest["child_map"][name] if each.startswith("model.")}
    return children.union(*(_models_on(manifest, child) for child in children))


def test_nothing_is_built_for_a_change_of_nothing(
    changed_project: Path, built: DatabaseEndpoint, run_dbt: RunDbtIn
) -> None:
    success, output = run_dbt(changed_project, built, _BUILD)
    assert success, output
    assert "No nodes selected!" in output or "Nothing to do" in output
