"""The main job on a person's own files, in a folder whose name has spaces."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from workplace import Workplace

from batch.generator import generate

_MISSING = 5


@pytest.fixture(scope="module")
def own_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A year of sales as somebody exported it: a suffix, and customers who are not in the list."""
    folder = tmp_path_factory.mktemp("own") / "my data"
    generate(folder)
    (folder / "Online_Sales.csv").rename(folder / "Online_Sales_head.csv")
    customers = (folder / "CustomersData.csv").read_text().splitlines(keepends=True)
    (folder / "CustomersData.csv").write_text("".join(customers[:-_MISSING]))
    return folder


def test_sales_of_unknown_customers_are_kept_counted_and_visible(
    new_workplace: Callable[..., Workplace], own_files: Path
) -> None:
    workplace = new_workplace("my home")
    outcome = workplace.insight("run", "--data", str(own_files))
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert "generated" not in outcome.stdout

    known = ids_of(own_files / "CustomersData.csv")
    sales = [row["CustomerID"] for row in rows_of(own_files / "Online_Sales_head.csv")]
    unknown = [customer for customer in sales if customer not in known]
    assert len(set(unknown)) == _MISSING
    assert f"warning: {len(unknown):,} sales of unknown customers" in outcome.stdout
    counted = workplace.insight(
        "query",
        "--format=csv",
        "select count(*), count(distinct source_customer_id)"
        " from marts.fct_sales where customer_id = '-1'",
    )
    assert counted.stdout.splitlines()[1] == f"{len(unknown)},{_MISSING}"

    again = workplace.insight("load")
    assert again.returncode == 0
    assert "your files of" in again.stdout


def rows_of(file: Path) -> list[dict[str, str]]:
    with open(file, newline="") as stream:
        return list(csv.DictReader(stream))


def ids_of(file: Path) -> set[str]:
    return {row["CustomerID"] for row in rows_of(file)}
