"""`insight lab credit-cards`: what it prints, and bad input as one line."""

from pathlib import Path

import pandas as pd
import pytest
from workplace import Workplace

from ml_pipeline.credit_cards.generator import generate_customers


@pytest.fixture
def workplace(tmp_path: Path, project_root: Path) -> Workplace:
    return Workplace(tmp_path / "home", project_root / "dbt_pipeline")


@pytest.fixture
def customers(tmp_path: Path) -> Path:
    path = tmp_path / "customers.csv"
    path.write_text(generate_customers(80).to_csv(index=False))
    return path


def test_it_prints_the_clusters_and_writes_the_assignments(
    workplace: Workplace, customers: Path, tmp_path: Path
) -> None:
    outcome = workplace.insight(
        "lab", "credit-cards", "--data", str(customers), "--test", str(customers),
        "--features", "balance, payments", "--missing", "median", "--clusters", "3",
    )  # fmt: skip
    assert outcome.returncode == 0, outcome.stderr
    folder = workplace.home / "lab" / "credit_cards" / "latest"
    assignments = pd.read_csv(folder / "assignments.csv")
    assert list(assignments.columns) == ["CUST_ID", "cluster"]
    assert len(assignments) == 80
    sizes = assignments["cluster"].value_counts()
    printed = [line.split() for line in outcome.stdout.splitlines()]
    for cluster, size in sizes.items():
        assert any(line[:2] == [str(cluster), str(size)] for line in printed)
    assert "k = 3 is kept: asked for" in outcome.stdout
    assert ["C10001", str(assignments["cluster"][0])] in printed
    assert str(folder) in outcome.stdout
    # No services were needed, so none were started.
    assert [path.name for path in workplace.home.iterdir()] == ["lab"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, ": there is no such file. Check its name and folder"),
        ("CUST_ID,BALANCE\nC1,nan\n", ":2: column BALANCE: 'nan' is not a number such as 1234.5"),
    ],
)
def test_bad_input_is_one_line(
    workplace: Workplace, tmp_path: Path, content: str | None, sentence: str
) -> None:
    data = tmp_path / "bad.csv"
    if content is not None:
        data.write_text(content)
    outcome = workplace.insight("lab", "credit-cards", "--data", str(data), "--features", "BALANCE")
    assert (outcome.returncode, outcome.stdout) == (1, "")
    assert outcome.stderr.count("\n") == 1
    assert outcome.stderr.startswith(f"Error: {data}{sentence}")


def test_help_needs_no_scikit_learn(workplace: Workplace) -> None:
    outcome = workplace.insight(
        "lab", "credit-cards", "--help", extra={"PYTHONPROFILEIMPORTTIME": "1"}
    )
    assert outcome.returncode == 0
    for heavy in ("sklearn", "pandas", "airflow"):
        assert f" {heavy}\n" not in outcome.stderr
