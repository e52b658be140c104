"""The files of a lab's folder: written at once or not at all, and read back as they were."""

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pandas as pd
from pydantic import BaseModel, ValidationError

from insight.errors import InputError, IntegrityError
from ml_pipeline.credit_cards.extract import LINE
from ml_pipeline.export import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CUSTOMERS, EXTRACTED, TEST_CUSTOMERS_FILE = "customers.csv", "extracted.json", "test_customers.csv"
PREPARATION, PREPARED, MODEL = "preparation.json", "prepared.csv", "model.json"
ASSIGNMENTS, TEST_ASSIGNMENTS = "assignments.csv", "test_assignments.csv"
EVALUATION, REPORT = "evaluation.json", "report.md"
SWEEP_FIGURE, CLUSTER_FIGURE = "number_of_clusters.png", "clusters.png"
FILES = (
    CUSTOMERS, TEST_CUSTOMERS_FILE, PREPARATION, PREPARED, MODEL, ASSIGNMENTS, TEST_ASSIGNMENTS,
    EVALUATION, REPORT, SWEEP_FIGURE, CLUSTER_FIGURE, EXTRACTED,
)  # fmt: skip

_Document = TypeVar("_Document", bound=BaseModel)


def clear(folder: Path, *inputs: Path | None) -> None:
    """Remove what an earlier run left, and nothing else, so that a new one can begin.

    Raises InputError when the folder cannot be made, when one of `inputs` would be removed, and
    when files of these names are not those of a lab.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot hold the results ({error.strerror})",
            where=str(folder),
            next_step="Choose a folder that you may write to",
        ) from error
    found = [folder / name for name in FILES if (folder / name).exists()]
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


def write_frame(path: Path, frame: pd.DataFrame) -> None:
    """CSV without an index; numbers have all their digits."""
    write_atomically(path, frame.to_csv(index=False, lineterminator="\n").encode())


def write_text(path: Path, frame: pd.DataFrame) -> None:
    """CSV of any text."""
    # All of it in quotes: pandas takes a bare carriage return in a cell for the end of its line.
    text = frame.to_csv(index=False, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    write_atomically(path, text.encode())


def read_customers(path: Path) -> pd.DataFrame:
    """Cells as they were extracted, with their line numbers."""
    return read_cells(path).astype({LINE: int})


def read_cells(path: Path) -> pd.DataFrame:
    """A frame of text: cast from it, numbers are the very ones that were written."""
    return pd.read_csv(io.BytesIO(_content(path)), dtype=str, keep_default_na=False)


def save(path: Path, document: BaseModel) -> None:
    """Write a document as JSON."""
    write_atomically(path, (document.model_dump_json(indent=1) + "\n").encode())


def load(kind: type[_Document], path: Path) -> _Document:
    """Read a document. Raises IntegrityError when it has gone or is another one."""
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


def save_figure(path: Path, figure: "Figure") -> None:
    """Write a figure as PNG."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    write_atomically(path, picture.getvalue())
