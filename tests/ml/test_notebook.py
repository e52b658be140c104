"""The notebook: no logic of its own, no outputs, runs from empty, writes the same seed."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import papermill
import pytest

from insight.database import DatabaseEndpoint
from ml_pipeline.run import segment_customers

NOTEBOOK = Path("ml_pipeline/notebooks/customer_segmentation.ipynb")


@pytest.fixture
def cells(project_root: Path) -> list[dict[str, Any]]:
    document = json.loads((project_root / NOTEBOOK).read_text())
    return [cell for cell in document["cells"] if cell["cell_type"] == "code"]


def test_it_holds_no_function(cells: list[dict[str, Any]]) -> None:
    source = "\n".join("".join(cell["source"]) for cell in cells)
    assert not re.search(r"^\s*(async )?(def|class)\b|\blambda\b", source, flags=re.MULTILINE)


def test_it_is_committed_without_outputs(cells: list[dict[str, Any]]) -> None:
    assert cells
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)


def test_it_runs_from_empty_and_writes_the_seed_of_the_run(
    project_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    database: DatabaseEndpoint,
    population: Callable[..., pd.DataFrame],
    sale_lines: Callable[..., pd.DataFrame],
    fill_marts: Callable[[DatabaseEndpoint, pd.DataFrame], None],
) -> None:
    fill_marts(database, sale_lines(population(120)))
    for name, value in database.environment().items():
        monkeypatch.setenv(name, value)
    segment_customers(
        database, seed_path=tmp_path / "run.csv", model_dir=tmp_path, origin="own", sweep=False
    )
    executed = tmp_path / "executed.ipynb"
    papermill.execute_notebook(
        project_root / NOTEBOOK,
        executed,
        parameters={
            "seed_path": str(tmp_path / "notebook.csv"),
            "reference_path": str(tmp_path / "customer_segmentation-own.json"),
        },
        cwd=project_root,
        progress_bar=False,
    )
    assert (tmp_path / "notebook.csv").read_bytes() == (tmp_path / "run.csv").read_bytes()
    shown = executed.read_text()
    assert shown.count('"image/png"') == 4
    assert "distance_ratio" in shown
    assert "trained" in shown
