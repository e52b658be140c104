"""The model as plain JSON: enough to put any customer into a segment, and nothing executable."""

import json
from datetime import date
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from insight.errors import IntegrityError
from ml_pipeline.clustering import assign_clusters, inertia
from ml_pipeline.drift import Drift, FeatureBins
from ml_pipeline.export import write_atomically
from ml_pipeline.features import FEATURES, Labels, Matrix, Scaler, log_features
from ml_pipeline.naming import SEGMENT_NAMES
from ml_pipeline.sweep import KResult, Sweep

# Raise it when the same data may get other segments than before.
PIPELINE_VERSION = 1


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SegmentModel(_Stored):
    """Scaler and centres (both in log units and standard deviations), a segment id a centre."""

    features: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    centres: tuple[tuple[float, ...], ...]
    segment_ids: tuple[int, ...]

    @classmethod
    def build(cls, scaler: Scaler, centres: Matrix, segment_ids: tuple[int, ...]) -> "SegmentModel":
        """From the parts of a training."""
        return cls(
            features=FEATURES,
            mean=tuple(scaler.mean.tolist()),
            scale=tuple(scaler.scale.tolist()),
            centres=tuple(map(tuple, centres.tolist())),
            segment_ids=segment_ids,
        )

    @property
    def k(self) -> int:
        """Number of clusters; a segment may have several."""
        return len(self.centres)

    @property
    def scaler(self) -> Scaler:
        return Scaler(np.array(self.mean), np.array(self.scale))

    @property
    def centre_matrix(self) -> Matrix:
        """Centres in standard deviations, shape (k, features)."""
        return np.array(self.centres)


class Fingerprint(_Stored):
    """What decides the result: equal fingerprints give equal segments."""

    data_sha256: str
    as_of: date
    requested_k: int | None
    swept: bool
    pipeline_version: int
    libraries: dict[str, str]


class Window(_Stored):
    """Which sales the features cover: first and last day, and the day they are counted from."""

    first_sale_on: date
    last_sale_on: date
    as_of: date


class SegmentSummary(_Stored):
    """One segment: `share` of the customers, the rest averages over its customers."""

    segment_id: int
    segment_name: str
    customers: int
    share: float
    revenue: float
    average_recency_days: float
    average_orders: float
    average_order_value: float
    meets_rule: bool


class PastRun(_Stored):
    """One training, as far as later ones want to know it.

    What has a default is missing in documents of before; `seed_sha256` is the digest of the
    labels, wherever they lie.
    """

    as_of: date
    customers: int
    k: int
    data_sha256: str
    seed_sha256: str
    inertia_per_customer: float
    named_by: Literal["rules", "match"]
    moved_share: float | None
    k_reason: str | None = None
    farthest_match: float | None = None
    quality: KResult | None = None
    drift: Drift | None = None


class StoredSegmentation(_Stored):
    """Everything a run leaves behind but the labels, which follow from it and the data."""

    format: Literal[1] = 1
    origin: str
    fingerprint: Fingerprint
    window: Window
    model: SegmentModel
    k_reason: str
    sweep: Sweep | None
    segments: tuple[SegmentSummary, ...]
    net_refunders: int
    match_distances: tuple[float, ...] | None
    score_cut_points: dict[str, dict[int, float | None]]
    feature_bins: dict[str, FeatureBins]
    drift: Drift | None
    history: tuple[PastRun, ...]
    # How many runs came before the first of `history`.
    forgotten_runs: int = 0
    sweep_picture_sha256: str | None = None

    @property
    def latest(self) -> PastRun:
        return self.history[-1]


def assign(model: SegmentModel, rfm: pd.DataFrame) -> Labels:
    """Segment id of each row of an RFM frame, from the stored numbers alone."""
    points = model.scaler.transform(log_features(rfm))
    clusters = assign_clusters(points, model.centre_matrix)
    ids: Labels = np.array(model.segment_ids, dtype=np.int64)[clusters]
    return ids


def mean_squared_distance(model: SegmentModel, rfm: pd.DataFrame) -> float:
    """Of the customers to their nearest centre, in standard deviations of the training data."""
    points = model.scaler.transform(log_features(rfm))
    return inertia(points, model.centre_matrix) / len(rfm)


def label_customers(model: SegmentModel, rfm: pd.DataFrame) -> pd.DataFrame:
    """customer_id, segment_id and segment_name of each row of an RFM frame, in its order."""
    ids = assign(model, rfm)
    names = np.array([SEGMENT_NAMES[number] for number in sorted(SEGMENT_NAMES)], dtype=object)
    return pd.DataFrame(
        {"customer_id": rfm["customer_id"], "segment_id": ids, "segment_name": names[ids]}
    )


def save(path: Path, stored: StoredSegmentation) -> None:
    """Write the JSON document: the old one or the new one is there, never half of it."""
    document = json.dumps(stored.model_dump(mode="json"), indent=1) + "\n"
    write_atomically(path, document.encode())


def load(path: Path) -> StoredSegmentation | None:
    """The stored document, None when there is none.

    Raises IntegrityError when the file is not one of this version.
    """
    try:
        return StoredSegmentation.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise IntegrityError(
            f"is not a segmentation model of this version ({place or 'document'}: {first['msg']})",
            where=str(path),
            next_step="Move it away to name the segments afresh",
        ) from error
