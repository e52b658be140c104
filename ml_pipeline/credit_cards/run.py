"""The lab's four steps with their files: the only part that reads or writes.

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

import csv
import importlib.util
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pandas as pd
from pydantic import BaseModel, ValidationError

from insight.errors import InputError, IntegrityError
from ml_pipeline.credit_cards.evaluate import evaluate_model
from ml_pipeline.credit_cards.extract import LINE, keep_last, parse_customers
from ml_pipeline.credit_cards.generator import TEST_CUSTOMERS, TEST_SEED, generate_customers
from ml_pipeline.credit_cards.model import CardModel, Evaluation, Extracted, assign
from ml_pipeline.credit_cards.options import DEFAULT_FEATURES, Missing, Scaling
from ml_pipeline.credit_cards.report import render_report
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

    from matplotlib.figure import Figure

CUSTOMERS, EXTRACTED, TEST_CUSTOMERS_FILE = "customers.csv", "extracted.json", "test_customers.csv"
PREPARATION, PREPARED, MODEL = "preparation.json", "prepared.csv", "model.json"
ASSIGNMENTS, TEST_ASSIGNMENTS = "assignments.csv", "test_assignments.csv"
EVALUATION, REPORT = "evaluation.json", "report.md"
SWEEP_FIGURE, CLUSTER_FIGURE = "number_of_clusters.png", "clusters.png"
_FILES = (
    CUSTOMERS, TEST_CUSTOMERS_FILE, PREPARATION, PREPARED, MODEL, ASSIGNMENTS, TEST_ASSIGNMENTS,
    EVALUATION, REPORT, SWEEP_FIGURE, CLUSTER_FIGURE, EXTRACTED,
)  # fmt: skip
_GENERATED, _GENERATED_TEST = "generated customers", "generated test customers"

_Document = TypeVar("_Document", bound=BaseModel)


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
        extracted=_load(Extracted, folder / EXTRACTED),
        model=_load(CardModel, model),
        evaluation=_load(Evaluation, folder / EVALUATION),
        tested=_read_cells(tested) if tested.exists() else None,
    )


def extract(folder: Path, data: Path | None = None, test: Path | None = None) -> Path:
    """The last row of each customer of `data`, and of `test`, as text; returns customers.csv.

    Without `data`, both are generated. Raises InputError for a file that cannot be used, and when
    the folder holds files of the same names that are not of a lab.
    """
    _clear(folder, data, test)
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
    _save(folder / EXTRACTED, extracted)
    _write_text(folder / CUSTOMERS, customers)
    if tests is not None:
        _write_text(folder / TEST_CUSTOMERS_FILE, keep_last(tests))
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
    extracted = _load(Extracted, folder / EXTRACTED)
    names = feature_names(features)
    numbers = read_numbers(_read_customers(customers), names, scaling, extracted.data)
    if extracted.test is not None:
        # A bad test file is told before the training, not after it.
        read_numbers(_read_customers(folder / TEST_CUSTOMERS_FILE), names, scaling, extracted.test)
    preparation = fit_preparation(numbers, names, missing, scaling)
    _save(folder / PREPARATION, preparation)
    _write_frame(folder / PREPARED, prepare(numbers, preparation))
    return folder / PREPARED


def train(prepared: Path, clusters: int | None = None) -> Path:
    """K-means of every k on prepared.csv, one of them kept; returns model.json.

    `clusters` None keeps the elbow. Raises InputError when there are too few different customers.
    """
    folder = prepared.parent
    preparation = _load(Preparation, folder / PREPARATION)
    points = _read_cells(prepared).astype(dict.fromkeys(preparation.features, float))
    model = train_kmeans(points, preparation, clusters)
    _save(folder / MODEL, model)
    return folder / MODEL


def evaluate(model: Path) -> Path:
    """Elbow, silhouette, profile and the cluster of every customer; returns report.md."""
    folder = model.parent
    extracted = _load(Extracted, folder / EXTRACTED)
    kept = _load(CardModel, model)
    numbers = _numbers(folder / CUSTOMERS, kept, extracted.data)
    evaluation = evaluate_model(kept, numbers)
    _save(folder / EVALUATION, evaluation)
    _write_frame(folder / ASSIGNMENTS, assign(kept, numbers))
    tested = None
    if extracted.test is not None:
        tested = assign(kept, _numbers(folder / TEST_CUSTOMERS_FILE, kept, extracted.test))
        _write_frame(folder / TEST_ASSIGNMENTS, tested)
    figures = _draw(folder, kept, evaluation)
    report = render_report(extracted, kept, evaluation, tested, figures)
    write_atomically(folder / REPORT, report.encode())
    return folder / REPORT


def _clear(folder: Path, *inputs: Path | None) -> None:
    """Remove what an earlier run left, and nothing else."""
    found = [folder / name for name in _FILES if (folder / name).exists()]
    for path in inputs:
        if path is not None and path.resolve() in [each.resolve() for each in found]:
            raise InputError(
                "would be replaced by the results",
                where=str(path),
                next_step="Choose another folder for them",
            )
    if found and folder / EXTRACTED not in found:
        raise InputError(
            "would be replaced, and no lab wrote it",
            where=str(found[0]),
            next_step="Choose an empty or new folder for the results",
        )
    for path in found:
        path.unlink()


def _numbers(path: Path, model: CardModel, source: str) -> pd.DataFrame:
    preparation = model.preparation
    return read_numbers(_read_customers(path), preparation.features, preparation.scaling, source)


def _draw(folder: Path, model: CardModel, evaluation: Evaluation) -> list[tuple[str, str]]:
    """The figures that were written, with captions; none without matplotlib."""
    if importlib.util.find_spec("matplotlib") is None:
        return []
    from ml_pipeline.credit_cards.figures import plot_clusters, plot_sweep

    _save_figure(folder / SWEEP_FIGURE, plot_sweep(model, evaluation))
    _save_figure(folder / CLUSTER_FIGURE, plot_clusters(model, evaluation))
    return [
        (SWEEP_FIGURE, "SSE and silhouette by number of clusters"),
        (CLUSTER_FIGURE, "Centre of each cluster"),
    ]


def _save_figure(path: Path, figure: "Figure") -> None:
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    write_atomically(path, picture.getvalue())


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


def _write_frame(path: Path, frame: pd.DataFrame) -> None:
    write_atomically(path, frame.to_csv(index=False, lineterminator="\n").encode())


def _write_text(path: Path, frame: pd.DataFrame) -> None:
    # All text in quotes: pandas takes a bare carriage return in a cell for the end of its line.
    text = frame.to_csv(index=False, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    write_atomically(path, text.encode())


def _read_customers(path: Path) -> pd.DataFrame:
    """Cells as they were extracted, with their line numbers."""
    return _read_cells(path).astype({LINE: int})


def _read_cells(path: Path) -> pd.DataFrame:
    """A frame of text: cast from it, numbers are the very ones that were written."""
    return pd.read_csv(io.BytesIO(_content(path)), dtype=str, keep_default_na=False)


def _save(path: Path, document: BaseModel) -> None:
    write_atomically(path, (document.model_dump_json(indent=1) + "\n").encode())


def _load(kind: type[_Document], path: Path) -> _Document:
    try:
        return kind.model_validate_json(_content(path))
    except ValidationError as error:
        raise IntegrityError(
            "is not a document of this version of the lab",
            where=str(path),
            next_step="Run the lab again from its first step",
        ) from error


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise IntegrityError(
            "has gone, and it is what an earlier step wrote",
            where=str(path),
            next_step="Run the lab again from its first step",
        ) from None
