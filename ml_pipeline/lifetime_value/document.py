"""What a run leaves behind beside the rows: models, calibration and sums, as plain JSON."""

import hashlib
import json
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from insight.errors import IntegrityError
from ml_pipeline.export import write_atomically
from ml_pipeline.lifetime_value.calibration import Calibration
from ml_pipeline.lifetime_value.forecast import Fifth
from ml_pipeline.lifetime_value.gamma_gamma import OrderValueModel
from ml_pipeline.lifetime_value.purchase_model import Family, PurchaseModel
from ml_pipeline.lifetime_value.summary import COLUMNS

# Raise it when the same data may get other numbers than before.
PIPELINE_VERSION = 1
_LIBRARIES = ("numpy", "pandas", "scipy")


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Fingerprint(_Stored):
    """What decides the result: equal fingerprints give equal rows."""

    data_sha256: str
    as_of: date
    horizon_days: int
    family: Family
    pipeline_version: int = PIPELINE_VERSION
    libraries: dict[str, str]


class RowsDigest(_Stored):
    """How many rows the table got, and a checksum of them in any order."""

    rows: int
    checksum: str


class StoredLifetimeValue(_Stored):
    """Everything but the rows, which follow from it and the data.

    `order_values` is None, and `no_order_values` says why, when they could not be modelled; the
    same goes for `calibration`. `at_bound` names parameters that ended at the bound of the search.
    """

    format: Literal[1] = 1
    origin: str
    fingerprint: Fingerprint
    customers: int
    repeaters: int
    first_order_on: date
    purchases: PurchaseModel
    log_likelihood: float
    at_bound: tuple[str, ...]
    order_values: OrderValueModel | None
    correlation: float | None
    no_order_values: str | None
    calibration: Calibration | None
    no_calibration: str | None
    fifths: tuple[Fifth, ...]
    rows: RowsDigest


def fingerprint_of(
    now: pd.DataFrame, before: pd.DataFrame, as_of: date, horizon_days: int, family: Family
) -> Fingerprint:
    """Of the summary frames that a result is made from, in their order."""
    digest = hashlib.sha256()
    for summary in (now, before):
        digest.update("\n".join(summary["customer_id"]).encode() + b"\0")
        for column in COLUMNS[1:]:
            digest.update(summary[column].to_numpy(dtype="<f8").tobytes())
    return Fingerprint(
        data_sha256=digest.hexdigest(),
        as_of=as_of,
        horizon_days=horizon_days,
        family=family,
        libraries={name: version(name) for name in _LIBRARIES},
    )


def save(path: Path, stored: StoredLifetimeValue) -> None:
    """Write the JSON document: the old one or the new one is there, never half of it."""
    write_atomically(path, (json.dumps(stored.model_dump(mode="json"), indent=1) + "\n").encode())


def load(path: Path) -> StoredLifetimeValue | None:
    """The stored document, None when there is none.

    Raises IntegrityError when the file is not one of this version.
    """
    try:
        return StoredLifetimeValue.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise IntegrityError(
            f"is not a lifetime value of this version ({place or 'document'}: {first['msg']})",
            where=str(path),
            next_step="Move it away and run `insight segment`",
        ) from error
