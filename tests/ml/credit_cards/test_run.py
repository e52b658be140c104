"""The four steps with their files, on customers as they come."""

import csv
import importlib.util
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.errors import InputError, IntegrityError
from ml_pipeline.credit_cards import run
from ml_pipeline.credit_cards.generator import generate_customers
from ml_pipeline.credit_cards.model import CardModel
from ml_pipeline.credit_cards.options import Missing, Scaling


@pytest.fixture(scope="module")
def customers() -> pd.DataFrame:
    """Few, one of them without a credit limit."""
    return generate_customers(120)


@pytest.fixture
def data(customers: pd.DataFrame, tmp_path: Path) -> Path:
    return _write(tmp_path / "cards.csv", customers)


def _write(path: Path, frame: pd.DataFrame) -> Path:
    path.write_text(frame.to_csv(index=False))
    return path


def _content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _assignments(path: Path) -> dict[str, int]:
    frame = pd.read_csv(path)
    return dict(zip(frame["CUST_ID"], frame["cluster"], strict=True))


def test_it_leaves_plain_text_and_pictures_and_nothing_that_can_be_executed(
    data: Path, tmp_path: Path
) -> None:
    made = run.run_lab(tmp_path / "lab", data=data, test=data)
    assert set(_content(made.folder)) == {
        "customers.csv", "extracted.json", "test_customers.csv", "preparation.json",
        "prepared.csv", "model.json", "assignments.csv", "test_assignments.csv",
        "evaluation.json", "report.md", "number_of_clusters.png", "clusters.png",
    }  # fmt: skip
    report = (made.folder / "report.md").read_text()
    for expected in (
        "| k | SSE | silhouette |", f"**{made.evaluation.k}**", str(data), "random_state 7",
        "elbow", "number_of_clusters.png", "scaled as in the training", "119 customers",
    ):  # fmt: skip
        assert expected in report
    assert sum(each.customers for each in made.evaluation.clusters) == made.model.customers


def test_the_same_customers_give_the_same_files_whatever_their_order(
    customers: pd.DataFrame, data: Path, tmp_path: Path
) -> None:
    first = run.run_lab(tmp_path / "a", data=data).folder
    again = run.run_lab(tmp_path / "b", data=data).folder
    assert _content(first) == _content(again)
    shuffled = _write(tmp_path / "shuffled.csv", customers.sample(frac=1, random_state=3))
    other = run.run_lab(tmp_path / "c", data=shuffled).folder
    assert _assignments(other / "assignments.csv") == _assignments(first / "assignments.csv")


def test_of_a_customer_with_two_rows_the_last_one_counts(
    customers: pd.DataFrame, data: Path, tmp_path: Path
) -> None:
    clean = run.run_lab(tmp_path / "clean", data=data)
    wrong_first = customers.head(20).assign(BALANCE=9e9, PURCHASES=9e9)
    twice = _write(tmp_path / "twice.csv", pd.concat([wrong_first, customers]))
    made = run.run_lab(tmp_path / "twice", data=twice)
    assert made.extracted.duplicates == 20
    assert made.model == clean.model


def test_test_customers_are_scaled_as_in_the_training(
    customers: pd.DataFrame, data: Path, tmp_path: Path
) -> None:
    """On their own, equal ones would be at the mean; by the training they are where they were."""
    one = customers.dropna().iloc[[7]].assign(CUST_ID="T1")
    test = _write(tmp_path / "test.csv", one)
    made = run.run_lab(tmp_path / "lab", data=data, test=test)
    known = customers.dropna().iloc[7]
    assignments = _assignments(made.folder / "assignments.csv")
    assert _assignments(made.folder / "test_assignments.csv") == {
        "T1": assignments[known["CUST_ID"]]
    }
    prepared = pd.read_csv(made.folder / "prepared.csv")
    values = np.log1p(customers[["BALANCE", "PURCHASES", "CREDIT_LIMIT"]].dropna())
    expected = (values - values.mean()) / values.std(ddof=0)
    np.testing.assert_allclose(prepared.iloc[:, 1:], expected, atol=1e-6)


def test_customers_with_a_gap_are_left_out_or_filled_with_the_median(
    customers: pd.DataFrame, tmp_path: Path
) -> None:
    gaps = customers.copy()
    gaps.loc[:9, "BALANCE"] = np.nan
    data = _write(tmp_path / "gaps.csv", gaps)
    test = _write(tmp_path / "test.csv", gaps.head(2))
    dropped = run.run_lab(tmp_path / "drop", data=data, test=test)
    assert not set(gaps["CUST_ID"][:10]) & set(_assignments(dropped.folder / "assignments.csv"))
    assert "left out: " in (dropped.folder / "report.md").read_text()
    assert _assignments(dropped.folder / "test_assignments.csv") == {}
    filled = run.run_lab(tmp_path / "median", data=data, test=test, missing=Missing.median)
    assert filled.model.customers == len(customers)
    assert filled.model.preparation.medians[0] == gaps["BALANCE"].median()
    assert len(_assignments(filled.folder / "test_assignments.csv")) == 2


def test_any_columns_may_be_features_in_either_scaling(data: Path, tmp_path: Path) -> None:
    made = run.run_lab(
        tmp_path / "lab", data=data, features=["tenure", "PAYMENTS"], scaling=Scaling.standard,
        clusters=6,
    )  # fmt: skip
    assert made.model.preparation.features == ("TENURE", "PAYMENTS")
    assert made.evaluation.k == 6
    negative = _write(
        tmp_path / "negative.csv", generate_customers(60).assign(BALANCE=range(-30, 30))
    )
    run.run_lab(tmp_path / "lab", data=negative, scaling=Scaling.standard)
    with pytest.raises(InputError, match=r"negative\.csv:2: column BALANCE: '-30' is negative"):
        run.run_lab(tmp_path / "lab", data=negative)


def test_without_data_customers_are_generated_and_said_to_be(tmp_path: Path) -> None:
    made = run.run_lab(tmp_path)
    assert made.extracted.customers == 8950
    assert made.model.customers == 8949
    assert made.extracted.generated
    assert made.tested is not None
    assert len(made.tested) == 10
    assert "nobody in it exists" in (tmp_path / "report.md").read_text()


def test_generated_customers_are_the_same_each_time() -> None:
    pd.testing.assert_frame_equal(generate_customers(50), generate_customers(50))
    assert not generate_customers(50).equals(generate_customers(50, seed=1))


def test_a_run_that_fails_leaves_no_results_of_the_one_before(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    run.run_lab(folder, data=data, test=data)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="has no column SALARY"):
        run.run_lab(folder, data=data, features=["SALARY"])
    assert set(_content(folder)) == {"customers.csv", "extracted.json", "notes.txt"}


def test_nobody_elses_files_are_replaced(data: Path, tmp_path: Path) -> None:
    mine = tmp_path / "report.md"
    mine.write_text("mine")
    with pytest.raises(InputError, match=r"report\.md: would be replaced, and no lab wrote it"):
        run.run_lab(tmp_path, data=data)
    assert mine.read_text() == "mine"
    customers = run.extract(tmp_path / "lab", data)
    with pytest.raises(InputError, match=r"customers\.csv: would be replaced by the results"):
        run.extract(tmp_path / "lab", customers)
    assert customers.exists()
    with pytest.raises(InputError, match=r"report\.md: cannot hold the results \(File exists\)"):
        run.extract(mine, data)


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))))
def test_cells_of_any_text_are_extracted_as_they_are(cells: list[str]) -> None:
    rows = [(f"C{number:03}", cell) for number, cell in enumerate(["first", *cells])]
    frame = pd.DataFrame(rows, columns=["CUST_ID", "NOTE"])
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "cards.csv"
        text = frame.to_csv(index=False, quoting=csv.QUOTE_ALL)
        data.write_text(text, encoding="utf-8", newline="")
        extracted = run.extract(Path(folder) / "lab", data)
        read = pd.read_csv(extracted, dtype=str, keep_default_na=False)
    assert list(read["NOTE"]) == [cell.strip() for _, cell in rows]
    assert list(read["CUST_ID"]) == [customer for customer, _ in rows]


def test_the_report_needs_no_figures(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    made = run.run_lab(tmp_path / "lab", data=data)
    assert "png" not in (made.folder / "report.md").read_text()


def test_files_that_cannot_be_read_are_named(data: Path, tmp_path: Path) -> None:
    missing = tmp_path / "nowhere.csv"
    for options in ({"data": missing}, {"data": data, "test": missing}):
        with pytest.raises(InputError) as caught:
            run.run_lab(tmp_path / "lab", **options)  # type: ignore[arg-type]
        assert str(caught.value) == f"{missing}: there is no such file. Check its name and folder"
    with pytest.raises(InputError, match="cannot be read"):
        run.run_lab(tmp_path / "lab", data=tmp_path)
    latin = tmp_path / "latin.csv"
    latin.write_bytes("CUST_ID,BALANCE\nC1,1\nC\xe9,2\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"latin\.csv:3: is not UTF-8 text"):
        run.run_lab(tmp_path / "lab", data=latin)


def test_bad_test_customers_stop_it_before_the_training(
    customers: pd.DataFrame, data: Path, tmp_path: Path
) -> None:
    test = _write(tmp_path / "test.csv", customers.head(3).astype(str).assign(PURCHASES="much"))
    with pytest.raises(InputError, match=r"test\.csv:2: column PURCHASES: 'much' is not a number"):
        run.run_lab(tmp_path / "lab", data=data, test=test)
    assert not (tmp_path / "lab" / "model.json").exists()


def test_test_customers_without_data_are_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="without customers to train on"):
        run.extract(tmp_path / "lab", None, data)


def test_a_step_whose_files_have_gone_or_changed_says_so(data: Path, tmp_path: Path) -> None:
    prepared = run.transform(run.extract(tmp_path / "lab", data))
    model = run.train(prepared)
    model.write_text("{}")
    with pytest.raises(IntegrityError, match="is not a document of this version of the lab"):
        run.evaluate(model)
    prepared.unlink()
    with pytest.raises(IntegrityError, match=r"prepared\.csv: has gone"):
        run.train(prepared)


def test_the_stored_model_is_read_back_as_it_was(data: Path, tmp_path: Path) -> None:
    made = run.run_lab(tmp_path / "lab", data=data)
    stored = (made.folder / "model.json").read_text()
    assert CardModel.model_validate_json(stored) == made.model
