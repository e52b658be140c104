"""Customers of the tills into clusters, from the marts to schema ml: reads and writes.

Labels and the model they come from are replaced in one transaction. A run that finds the model of
the same data, date, k and code changes nothing.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import date

import pandas as pd
from psycopg.types.json import Jsonb

from insight.database import Connection, DatabaseEndpoint, connect
from insight.errors import InputError
from ml_pipeline.clustering import assign_clusters, fit_centres
from ml_pipeline.features import FEATURES, Labels, Matrix, Scaler, fit_scaler, log_features
from ml_pipeline.results import (
    POS_CLUSTERING,
    POS_CUSTOMER_CLUSTERS,
    create_tables,
    replace_rows,
)
from ml_pipeline.segmentation import data_sha256, library_versions, reason_to_skip
from ml_pipeline.sweep import DEFAULT_K, LARGEST_K, SMALLEST_K
from ml_pipeline.till_marts import read_till_rfm, read_till_window

# Raise it when the same data may get other clusters than before.
_CODE_VERSION = 1


@dataclass(frozen=True)
class TillClusters:
    """What a run did; `clusters` is 0 when `skipped_reason` says why there are none."""

    customers: int
    clusters: int
    unchanged: bool = False
    skipped_reason: str | None = None

    def sentence(self) -> str:
        """One short sentence for the stage."""
        if self.skipped_reason:
            return f"no clusters of till customers: {self.skipped_reason}"
        unchanged = ", unchanged" if self.unchanged else ""
        return f"{self.customers:,} till customers in {self.clusters} clusters{unchanged}"


def cluster_till_customers(
    database: DatabaseEndpoint, *, k: int = DEFAULT_K, as_of: date | None = None
) -> TillClusters:
    """K-means over the RFM of the tills' customers, written to ml.pos_customer_clusters.

    Clusters are numbered from 0, the one with the highest money first. `as_of` is the day that
    recency counts from, by default the day after the newest sale. With too few customers the table
    is empty and the report says why. Raises StageError without the marts, InputError for an
    impossible k.
    """
    if not SMALLEST_K <= k <= LARGEST_K:
        raise InputError(f"cannot make {k} clusters", next_step=f"Use {SMALLEST_K} to {LARGEST_K}")
    create_tables(database)
    with connect(database) as connection:
        window = read_till_window(connection, as_of=as_of)
        if window is None:
            return _skip(connection, 0, "there are no sales")
        rfm = read_till_rfm(connection, window.as_of)
        if reason := reason_to_skip(rfm, k):
            return _skip(connection, len(rfm), reason)
        fingerprint = _fingerprint(rfm, window.as_of, k)
        if _stored_fingerprint(connection) == fingerprint:
            return TillClusters(len(rfm), k, unchanged=True)
        labels, model = _cluster(rfm, k)
        model_row = (fingerprint, window.as_of, len(rfm), Jsonb(model))
        replace_rows(connection, POS_CLUSTERING, [model_row])
        replace_rows(
            connection,
            POS_CUSTOMER_CLUSTERS,
            zip(rfm["customer_id"].tolist(), labels.tolist(), strict=True),
        )
    return TillClusters(len(rfm), k)


def _cluster(rfm: pd.DataFrame, k: int) -> tuple[Labels, dict[str, object]]:
    """Label of each customer, and the model as plain JSON."""
    logs = log_features(rfm)
    scaler = fit_scaler(logs)
    points = scaler.transform(logs)
    centres = fit_centres(points, k)
    return assign_clusters(points, centres), _document(scaler, centres)


def _document(scaler: Scaler, centres: Matrix) -> dict[str, object]:
    return {
        "features": list(FEATURES),
        "mean": scaler.mean.tolist(),
        "scale": scaler.scale.tolist(),
        "centres": centres.tolist(),
    }


def _fingerprint(rfm: pd.DataFrame, as_of: date, k: int) -> str:
    decisive = {
        "data_sha256": data_sha256(rfm),
        "as_of": as_of.isoformat(),
        "k": k,
        "code_version": _CODE_VERSION,
        "libraries": library_versions(),
    }
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def _stored_fingerprint(connection: Connection) -> object:
    row = connection.execute("select fingerprint from ml.pos_clustering").fetchone()
    return row and row[0]


def _skip(connection: Connection, customers: int, reason: str) -> TillClusters:
    for table in (POS_CLUSTERING, POS_CUSTOMER_CLUSTERS):
        replace_rows(connection, table, [])
    return TillClusters(customers, 0, skipped_reason=reason)
