"""The lab's four steps with their files.

Each step takes the path of what the step before it wrote, and writes into the same folder; the
command line calls them one after the other, Airflow as tasks of their own. `extract` removes what
an earlier run left, so that no file of the folder is of another run. `extracted.json` is written
first and removed last: without it, files of these names are somebody else's.

| step | writes |
|---|---|
| extract | extracted.json, customers.csv, test_customers.csv when there are test customers |
| transform | preparation.json, prepared.csv |
| train | model.json |
| evaluate | assignments.csv, test_assignments.csv, evaluation.json, figures, report.md |
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from insight.errors import InputError
from ml_pipeline.credit_cards.evaluate import evaluate_model
from ml_pipeline.credit_cards.extract import keep_last, parse_customers
from ml_pipeline.credit_cards.generator import TEST_CUSTOMERS, TEST_SEED, generate_customers
from ml_pipeline.credit_cards.model import CardModel, Evaluation, Extracted, assign
from ml_pipeline.credit_cards.options import DEFAULT_FEATURES, Missing, Scaling
from ml_pipeline.credit_cards.report import render_report
from ml_pipeline.credit_cards.results import (
    ASSIGNMENTS,
    CLUSTER_FIGURE,
    CUSTOMERS,
    EVALUATION,
    EXTRACTED,
    MODEL,
    PREPARATION,
    PREPARED,
    REPORT,
    SWEEP_FIGURE,
    TEST_ASSIGNMENTS,
    TEST_CUSTOMERS_FILE,
    clear,
    load,
    read_cells,
    read_customers,
    save,
    save_figure,
    write_frame,
    write_text,
)
from ml_pipeline.credit_cards.train import train_kmeans
from ml_pipeline.credit_cards.transform import (
    Preparation,
    feature_names,
    fit_preparation,
    prepare,
    read_numbers,
)
from ml_pipeline.export import write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence

_GENERATED, _GENERATED_TEST = "generated customers", "generated test customers"


@dataclass(frozen=True)
class LabRun:
    """Everything that a run of all four steps made; `tested` is None without test customers."""

    folder: Path
    extracted: Extracted
    model: CardModel
    evaluation: Evaluation
    tested: pd.DataFrame | None


def run_lab(
    folder: Path,
    *,
    data: Path | None = None,
    test: Path | None = None,
    features: "Sequence[str]" = DEFAULT_FEATURES,
    missing: Missing = Missing.drop,
    scaling: Scaling = Scaling.log,
    clusters: int | None = None,
) -> LabRun:
    """All steps, one after the other; see each for what it raises."""
    customers = extract(folder, data, test)
    prepared = transform(customers, features, missing, scaling)
    model = train(prepared, clusters)
    evaluate(model)
    tested = folder / TEST_ASSIGNMENTS
    return LabRun(
        folder=folder,
        extracted=load(Extracted, folder / EXTRACTED),
        model=load(CardModel, model),
        evaluation=load(Evaluation, folder / EVALUATION),
        tested=read_cells(tested) if tested.exists() else None,
    )


def extract(folder: Path, data: Path | None = None, test: Path | None = None) -> Path:
    """The last row of each customer of `data`, and of `test`, as text; returns customers.csv.

    Without `data`, both are generated. Raises InputError for a file that cannot be used, and when
    the folder holds files of the same names that are not of a lab.
    """
    clear(folder, data, test)
    if data is None and test is not None:
        raise InputError(
            "is given without customers to train on",
            where=str(test),
            next_step="Name their file as well, with the option for the data",
        )
    rows = _generated() if data is None else _parsed(data)
    tests = _generated_test() if data is None else None if test is None else _parsed(test)
    customers = keep_last(rows)
    extracted = Extracted(
        data=_GENERATED if data is None else str(data),
        generated=data is None,
        rows=len(rows),
        customers=len(customers),
        test=_GENERATED_TEST if data is None else None if test is None else str(test),
        test_rows=0 if tests is None else len(tests),
    )
    save(folder / EXTRACTED, extracted)
    write_text(folder / CUSTOMERS, customers)
    if tests is not None:
        write_text(folder / TEST_CUSTOMERS_FILE, keep_last(tests))
    return folder / CUSTOMERS


def transform(
    customers: Path,
    features: "Sequence[str]" = DEFAULT_FEATURES,
    missing: Missing = Missing.drop,
    scaling: Scaling = Scaling.log,
) -> Path:
    """The features of customers.csv as numbers in standard deviations; returns prepared.csv.

    Raises InputError with line and column of a cell that is no number, for an unknown feature,
    and when no customer is left.
    """
    folder = customers.parent
    extracted = load(Extracted, folder / EXTRACTED)
    names = feature_names(features)
    numbers = read_numbers(read_customers(customers), names, scaling, extracted.data)
    if extracted.test is not None:
        # A bad test file is told before the training, not after it.
        read_numbers(read_customers(folder / TEST_CUSTOMERS_FILE), names, scaling, extracted.test)
    preparation = fit_preparation(numbers, names, missing, scaling)
    save(folder / PREPARATION, preparation)
    write_frame(folder / PREPARED, prepare(numbers, preparation))
    return folder / PREPARED


def train(prepared: Path, clusters: int | None = None) -> Path:
    """K-means of every k on prepared.csv, one of them kept; returns model.json.

    `clusters` None keeps the elbow. Raises InputError when there are too few different customers.
    """
    folder = prepared.parent
    preparation = load(Preparation, folder / PREPARATION)
    points = read_cells(prepared).astype(dict.fromkeys(preparation.features, float))
    model = train_kmeans(points, preparation, clusters)
    save(folder / MODEL, model)
    return folder / MODEL


def evaluate(model: Path) -> Path:
    """Elbow, silhouette, profile and the cluster of every customer; returns report.md."""
    folder = model.parent
    extracted = load(Extracted, folder / EXTRACTED)
    kept = load(CardModel, model)
    numbers = _numbers(folder / CUSTOMERS, kept, extracted.data)
    evaluation = evaluate_model(kept, numbers)
    save(folder / EVALUATION, evaluation)
    write_frame(folder / ASSIGNMENTS, assign(kept, numbers))
    tested = None
    if extracted.test is not None:
        tested = assign(kept, _numbers(folder / TEST_CUSTOMERS_FILE, kept, extracted.test))
        write_frame(folder / TEST_ASSIGNMENTS, tested)
    figures = _draw(folder, kept, evaluation)
    report = render_report(extracted, kept, evaluation, tested, figures)
    write_atomically(folder / REPORT, report.encode())
    return folder / REPORT


def _numbers(path: Path, model: CardModel, source: str) -> pd.DataFrame:
    preparation = model.preparation
    return read_numbers(read_customers(path), preparation.features, preparation.scaling, source)


def _draw(folder: Path, model: CardModel, evaluation: Evaluation) -> list[tuple[str, str]]:
    """The figures that were written, with captions; none without matplotlib."""
    if importlib.util.find_spec("matplotlib") is None:
        return []
    from ml_pipeline.credit_cards.figures import plot_clusters, plot_sweep

    save_figure(folder / SWEEP_FIGURE, plot_sweep(model, evaluation))
    save_figure(folder / CLUSTER_FIGURE, plot_clusters(model, evaluation))
    return [
        (SWEEP_FIGURE, "SSE and silhouette by number of clusters"),
        (CLUSTER_FIGURE, "Centre of each cluster"),
    ]


def _generated() -> pd.DataFrame:
    return parse_customers(generate_customers().to_csv(index=False), _GENERATED)


def _generated_test() -> pd.DataFrame:
    made = generate_customers(TEST_CUSTOMERS, seed=TEST_SEED, first_id=90_001)
    return parse_customers(made.to_csv(index=False), _GENERATED_TEST)


def _parsed(path: Path) -> pd.DataFrame:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError(
            "there is no such file", where=str(path), next_step="Check its name and folder"
        ) from None
    except OSError as error:
        raise InputError(
            f"cannot be read ({error.strerror})",
            where=str(path),
            next_step="Name a CSV file that you may read",
        ) from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            "is not UTF-8 text",
            where=f"{path}:{line}",
            next_step="Save it as a CSV file in UTF-8",
        ) from error
    return parse_customers(text, str(path))
