"""What an operator of the project relies on: a clean parse, and going on after a failure."""

import json
from collections.abc import Callable
from pathlib import Path

from insight.database import DatabaseEndpoint

RunDbt = Callable[[str], tuple[bool, str]]
RunDbtIn = Callable[[Path, DatabaseEndpoint, str], tuple[bool, str]]


def test_nothing_is_deprecated_and_nothing_warns(dbt: RunDbt) -> None:
    success, output = dbt("dbt --warn-error parse --no-partial-parse --show-all-deprecations")
    assert success, output
    assert "deprecat" not in output.lower()


def test_retry_goes_on_where_a_build_failed(
    copy_project: Callable[[], Path], warehouse: DatabaseEndpoint, run_dbt: RunDbtIn
) -> None:
    project = copy_project()
    model = project / "models" / "marts" / "retail" / "dim_pos_stores.sql"
    working = model.read_text()
    model.write_text(working.replace("select * from final", "select * from finale"))
    success, output = run_dbt(project, warehouse, "dbt build --select pos_stores dim_pos_stores")
    assert not success
    assert 'relation "finale" does not exist' in output
    model.write_text(working)
    success, output = run_dbt(project, warehouse, "dbt retry")
    assert success, output
    results = json.loads((project / "target" / "run_results.json").read_text())["results"]
    finished = {each["unique_id"] for each in results}
    assert "model.dbt_pipeline.dim_pos_stores" in finished
    # What had succeeded is not built again.
    assert "seed.dbt_pipeline.pos_stores" not in finished
