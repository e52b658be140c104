"""What a segmentation leaves for dbt: the labels, in the seed file or in a table, and its runs.

Labels lie in one of two places, and `labels_in` of one row of ml.segmentation_runs says in which:
dbt reads that place and no other. A switch fills the new place, then changes that row, then
empties the old place; so the place that is named is whole at every moment.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd
from psycopg import sql

from insight.database import Connection, DatabaseEndpoint, connect
from ml_pipeline.drift import Drift
from ml_pipeline.export import content_of, empty_seed, sha256, write_atomically
from ml_pipeline.model import Fingerprint, PastRun, StoredSegmentation
from ml_pipeline.results import (
    CUSTOMER_SEGMENTS,
    SEGMENTATION_RUNS,
    csv_blocks,
    replace_with_csv,
)

Place = Literal["seed", "table"]

# dbt loads a seed by inserts and git keeps it: both get slow with many rows.
MOST_LABELS_IN_A_SEED = 50_000

_FEATURES = ("recency_days", "frequency", "monetary", "average_order_value")


def place_for(setting: Literal["auto", "seed", "table"], customers: int) -> Place:
    """Where the labels of so many customers belong."""
    if setting == "auto":
        return "table" if customers > MOST_LABELS_IN_A_SEED else "seed"
    return setting


@dataclass(frozen=True)
class LabelPlaces:
    """The seed file and the warehouse with ml.customer_segments and ml.segmentation_runs."""

    database: DatabaseEndpoint
    seed: Path

    def find(self, digest: str) -> bytes | None:
        """The labels with this SHA-256, wherever they lie; None when no place has them."""
        seed = content_of(self.seed)
        if seed is not None and sha256(seed) == digest:
            return seed
        with connect(self.database) as connection:
            content = b"".join(csv_blocks(connection, CUSTOMER_SEGMENTS))
        return content if sha256(content) == digest else None

    def hold(self, stored: StoredSegmentation, place: Place) -> bool:
        """Whether the latest run's labels lie there and nowhere else, and its runs are known."""
        labels, nothing = stored.latest.seed_sha256, sha256(empty_seed())
        seed = content_of(self.seed)
        if seed is None or sha256(seed) != (labels if place == "seed" else nothing):
            return False
        runs = _run_ids(stored)
        with connect(self.database) as connection:
            return (
                _in_use(connection) == [(runs[-1], place)]
                and _known_runs(connection) >= set(runs)
                and _digest(connection) == (labels if place == "table" else nothing)
            )

    def publish(self, stored: StoredSegmentation, labels: bytes, place: Place) -> None:
        """Write the labels to their place, record the runs and name the place.

        Every step can be repeated; the runs and the table are one transaction.
        """
        if place == "seed":
            self._write_seed(labels)
        with connect(self.database) as connection:
            _lock(connection)
            replace_with_csv(
                connection, CUSTOMER_SEGMENTS, labels if place == "table" else empty_seed()
            )
            for row in run_rows(stored):
                _record(connection, row)
            _name_place(connection, _run_ids(stored)[-1], place)
        if place == "table":
            self._write_seed(empty_seed())

    def clear(self) -> None:
        """Nobody has a segment any more: both places become empty."""
        self._write_seed(empty_seed())
        with connect(self.database) as connection:
            _lock(connection)
            replace_with_csv(connection, CUSTOMER_SEGMENTS, empty_seed())
            _name_place(connection, None, None)

    def record_stop(self, before: StoredSegmentation, stop: "Stop") -> None:
        """One row about a run that refused its data; labels and their place stay."""
        row = _stopped_row(before, stop)
        with connect(self.database) as connection:
            _lock(connection)
            _record(connection, row)

    def _write_seed(self, content: bytes) -> None:
        if content_of(self.seed) != content:
            write_atomically(self.seed, content)


@dataclass(frozen=True)
class Stop:
    """A run that stopped because its customers fit the last names no longer."""

    reason: str
    fingerprint: Fingerprint
    customers: int
    mean_squared_distance: float
    drift: Drift


def read_runs(connection: Connection) -> pd.DataFrame:
    """ml.segmentation_runs as a frame, oldest first; no row before the first run."""
    names = list(SEGMENTATION_RUNS.columns)
    if connection.execute("select to_regclass('ml.segmentation_runs')").fetchone() == (None,):
        return pd.DataFrame(columns=names)
    statement = sql.SQL("select {} from {} order by recorded_at, run_number").format(
        sql.SQL(", ").join(map(sql.Identifier, names)), SEGMENTATION_RUNS.identifier
    )
    return pd.DataFrame(connection.execute(statement).fetchall(), columns=names)


def run_rows(stored: StoredSegmentation) -> list[dict[str, object]]:
    """A row of ml.segmentation_runs for each run that the document remembers, oldest first."""
    return [
        {
            "run_id": run_id,
            "origin": stored.origin,
            "run_number": number,
            "outcome": "trained",
            "reason": run.k_reason,
            "as_of_date": run.as_of,
            "customer_count": run.customers,
            "cluster_count": run.k,
            "named_by": run.named_by,
            "mean_squared_distance": run.inertia_per_customer,
            "farthest_match": run.farthest_match,
            "data_sha256": run.data_sha256,
            "labels_sha256": run.seed_sha256,
            **_quality(run),
            **_drift(run.drift),
        }
        for run_id, (number, run) in zip(_run_ids(stored), _numbered(stored), strict=True)
    ]


def _numbered(stored: StoredSegmentation) -> list[tuple[int, PastRun]]:
    return list(enumerate(stored.history, start=stored.forgotten_runs + 1))


def _run_ids(stored: StoredSegmentation) -> list[str]:
    """The same for the same run, so that recording it twice leaves one row."""
    return [
        _identity(
            stored.origin, number, run.data_sha256, run.as_of, run.k, run.named_by, run.seed_sha256
        )
        for number, run in _numbered(stored)
    ]


def _identity(*parts: object) -> str:
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:16]


def _stopped_row(before: StoredSegmentation, stop: Stop) -> dict[str, object]:
    number = before.forgotten_runs + len(before.history) + 1
    wanted = stop.fingerprint
    return {
        "run_id": _identity(before.origin, number, wanted.data_sha256, wanted.as_of, "stopped"),
        "origin": before.origin,
        "run_number": number,
        "outcome": "stopped",
        "reason": stop.reason,
        "as_of_date": wanted.as_of,
        "customer_count": stop.customers,
        "cluster_count": before.model.k,
        "mean_squared_distance": stop.mean_squared_distance,
        "data_sha256": wanted.data_sha256,
        **_drift(stop.drift),
    }


def _quality(run: PastRun) -> dict[str, object]:
    measured = run.quality
    if measured is None:
        return {}
    return {
        "silhouette": measured.silhouette,
        "davies_bouldin": measured.davies_bouldin,
        "calinski_harabasz": measured.calinski_harabasz,
        "stability_mean": measured.stability_mean,
        "stability_min": measured.stability_min,
        "jaccard_min": min(measured.jaccard, default=None),
        "smallest_cluster_share": measured.smallest_share,
    }


def _drift(drift: Drift | None) -> dict[str, object]:
    if drift is None:
        return {}
    return {
        **{f"psi_{feature}": drift.psi.get(feature) for feature in _FEATURES},
        "moved_share": drift.moved_share,
        "distance_ratio": drift.distance_ratio,
    }


def _lock(connection: Connection) -> None:
    """Two runs at once would both name a place."""
    connection.execute("lock table ml.segmentation_runs in share row exclusive mode")


def _record(connection: Connection, row: dict[str, object]) -> None:
    statement = sql.SQL("insert into {} ({}) values ({}) on conflict do nothing").format(
        SEGMENTATION_RUNS.identifier,
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join(map(sql.Placeholder, row)),
    )
    connection.execute(statement, row)


def _name_place(connection: Connection, run_id: str | None, place: Place | None) -> None:
    connection.execute(
        """update ml.segmentation_runs
           set labels_in = case when run_id = %(run)s then %(place)s end
           where labels_in is not null or run_id = %(run)s""",
        {"run": run_id, "place": place},
    )


def _in_use(connection: Connection) -> Sequence[tuple[object, ...]]:
    return connection.execute(
        "select run_id, labels_in from ml.segmentation_runs where labels_in is not null"
    ).fetchall()


def _known_runs(connection: Connection) -> set[str]:
    rows = connection.execute("select run_id from ml.segmentation_runs").fetchall()
    return {str(run_id) for (run_id,) in rows}


def _digest(connection: Connection) -> str:
    digest = hashlib.sha256()
    for block in csv_blocks(connection, CUSTOMER_SEGMENTS):
        digest.update(block)
    return digest.hexdigest()
