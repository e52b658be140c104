"""The notebook of the associations: no logic of its own, no outputs, finds the rules of the run."""

import json
import re
from pathlib import Path
from typing import Any

import papermill
import pytest

from insight.database import DatabaseEndpoint, connect
from ml_pipeline.associations.run import LEAST_COUNT, associate_products
from ml_pipeline.associations.thresholds import Thresholds

NOTEBOOK = Path("ml_pipeline/notebooks/product_associations.ipynb")

# 60 orders of products that go together by pairs, and as many baskets of the tills.
MARTS = """
create schema marts;
create table marts.fct_sales as
select
    'T' || i as transaction_id, 'C' || i % 9 as source_customer_id,
    date '2019-12-01' + i % 30 as transaction_date, 'SKU' || (i + k * (i % 2)) % 6 as product_sku
from generate_series(1, 60) as i, generate_series(0, 2) as k;
create table marts.dim_products as
select 'SKU' || i as product_sku, 'Thing ' || i as product_name from generate_series(0, 4) as i;
create table marts.fct_pos_transactions as
select
    'P00' || 1 + (i + k * (i % 2)) % 4 as source_product_id, 'C' || i as customer_id,
    date '2019-12-31' as date_day
from generate_series(1, 60) as i, generate_series(0, 1) as k;
create table marts.dim_pos_products as
select 'P00' || i as product_id, 'Device ' || i as product_name from generate_series(1, 4) as i;
"""


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


def test_it_runs_from_empty_and_tells_the_rules_of_the_run(
    project_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    database: DatabaseEndpoint,
) -> None:
    with connect(database) as connection:
        connection.execute(MARTS)  # type: ignore[arg-type]
    for name, value in database.environment().items():
        monkeypatch.setenv(name, value)
    executed = tmp_path / "executed.ipynb"
    papermill.execute_notebook(
        project_root / NOTEBOOK,
        executed,
        parameters={"min_confidence": "0.3"},
        cwd=project_root,
        progress_bar=False,
        execution_timeout=60,
    )
    thresholds = Thresholds.of(support="0.002", confidence="0.3", lift="1.2", count=LEAST_COUNT)
    associate_products(database, thresholds=thresholds)
    with connect(database) as connection:
        told = [
            str(sentence)
            for (sentence,) in connection.execute(
                "select sentence from (select *, row_number() over (partition by domain order by"
                " lift desc, confidence desc, rule_count desc, antecedent, consequent) as place"
                " from ml.product_associations) as ranked where place <= 10 order by domain, place"
            ).fetchall()
        ]
    assert {"Thing" in each for each in told} == {True, False}
    assert _sentences(executed) == told
    assert executed.read_text().count('"image/png"') == 2


def _sentences(notebook: Path) -> list[str]:
    """What the numbered lists of the notebook's outputs say."""
    cells = json.loads(notebook.read_text())["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    text = "\n".join("".join(each.get("data", {}).get("text/markdown", "")) for each in outputs)
    return re.findall(r"^1\. (.*)$", text, flags=re.MULTILINE)
