"""All notebooks: no logic of their own, no outputs, on the site. Lifetime value runs from empty."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from insight.database import DatabaseEndpoint, connect
from ml_pipeline.lifetime_value.run import value_customers
from ml_pipeline.run_notebooks import NOTEBOOKS, execute, to_markdown

_EVERY = sorted(NOTEBOOKS.glob("*.ipynb"))


@pytest.mark.parametrize("notebook", _EVERY, ids=lambda path: path.stem)
def test_a_notebook_holds_no_function_and_is_committed_without_outputs(notebook: Path) -> None:
    cells = json.loads(notebook.read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code
    source = "\n".join("".join(cell["source"]) for cell in code)
    assert not re.search(r"^\s*(async )?(def|class)\b|\blambda\b", source, flags=re.MULTILINE)
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


def test_every_notebook_has_its_page_on_the_site(project_root: Path) -> None:
    nav = (project_root / "mkdocs.yml").read_text()
    assert re.findall(r"notebooks/(\w+)\.md", nav) == [path.stem for path in _EVERY]


def test_lifetime_value_runs_from_empty_to_a_page_with_the_rows_of_the_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    database: DatabaseEndpoint,
    orders: Callable[..., pd.DataFrame],
    fill_orders: Callable[[DatabaseEndpoint, pd.DataFrame], None],
) -> None:
    fill_orders(database, orders(200))
    for name, value in database.environment().items():
        monkeypatch.setenv(name, value)
    workplace = tmp_path / "workplace"
    workplace.mkdir()
    executed = execute(
        NOTEBOOKS / "customer_lifetime_value.ipynb", workplace, csv_path="clv.csv", horizon_days=60
    )
    assert {path.name for path in workplace.iterdir()} == {executed.name, "clv.csv"}

    value_customers(database, model_dir=tmp_path, origin="own", horizon_days=60)
    with connect(database) as connection:
        query = connection.execute("select * from ml.customer_lifetime_value")
        assert query.description is not None
        names = [column.name for column in query.description]
        rows = pd.DataFrame(query.fetchall(), columns=names).set_index("customer_id")
    told = pd.read_csv(workplace / "clv.csv", dtype={"customer_id": str}).set_index("customer_id")
    assert len(told) == 200
    for name in told.columns:
        assert rows.loc[told.index, name].astype(float).tolist() == pytest.approx(
            told[name].tolist(), abs=1e-9, nan_ok=True
        ), name

    text = to_markdown(executed, tmp_path / "site").read_text()
    assert text.startswith("# Customer lifetime value\n")
    pictures = re.findall(r"!\[\w+\]\((customer_lifetime_value_files/[^)]+\.png)\)", text)
    assert len(pictures) == 3
    assert all((tmp_path / "site" / picture).read_bytes()[1:4] == b"PNG" for picture in pictures)
