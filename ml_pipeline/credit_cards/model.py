"""The documents between the steps, all plain JSON: nothing in them can be executed."""

from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from ml_pipeline.clustering import assign_clusters
from ml_pipeline.credit_cards.options import CUSTOMER
from ml_pipeline.credit_cards.transform import Preparation, prepare
from ml_pipeline.features import Matrix


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Extracted(_Stored):
    """Where the customers come from. `test` is None without a file of test customers."""

    data: str
    generated: bool
    rows: int
    customers: int
    test: str | None
    test_rows: int

    @property
    def duplicates(self) -> int:
        """Rows that a later one of the same customer replaced."""
        return self.rows - self.customers


class KResult(_Stored):
    """One k that was tried: sum of squared distances, and silhouette of at most 5,000 rows.

    The silhouette is None when these are all in one cluster.
    """

    k: int
    sse: float
    silhouette: float | None


class CardModel(_Stored):
    """Enough to put any customer into a cluster; centres are in standard deviations."""

    format: Literal[1] = 1
    preparation: Preparation
    centres: tuple[tuple[float, ...], ...]
    reason: str
    sweep: tuple[KResult, ...]
    customers: int
    data_sha256: str
    libraries: dict[str, str]

    @property
    def k(self) -> int:
        return len(self.centres)

    @property
    def centre_matrix(self) -> Matrix:
        """Shape (k, features)."""
        return np.array(self.centres)


class ClusterSummary(_Stored):
    """One cluster: `share` of the customers, averages in the units of the file."""

    cluster: int
    customers: int
    share: float
    averages: dict[str, float]
    medians: dict[str, float]


class Evaluation(_Stored):
    """What is known of a model: `silhouette` is that of at most 20,000 of its customers."""

    k: int
    reason: str
    elbow: int | None
    sse: float
    silhouette: float | None
    clusters: tuple[ClusterSummary, ...]


def assign(model: CardModel, numbers: pd.DataFrame) -> pd.DataFrame:
    """CUST_ID and cluster of customers, scaled and their gaps treated as in the training.

    With the rule `drop`, customers with a gap are not in the result.
    """
    scaled = prepare(numbers, model.preparation)
    points = scaled[list(model.preparation.features)].to_numpy(dtype=np.float64)
    clusters = assign_clusters(points, model.centre_matrix)
    return pd.DataFrame({CUSTOMER: scaled[CUSTOMER], "cluster": clusters})
