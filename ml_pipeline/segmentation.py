"""The whole segmentation as one function: RFM frame in, named model and its evidence out."""

import hashlib
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
import pandas as pd

from insight.errors import InputError
from ml_pipeline.clustering import RANDOM_STATE, distinct_points, fit_centres, inertia
from ml_pipeline.customer_checks import expect_customers
from ml_pipeline.drift import Drift, distance_ratio, population_stability
from ml_pipeline.features import FEATURES, Matrix, Scaler, fit_scaler, log_features
from ml_pipeline.model import (
    SegmentModel,
    SegmentSummary,
    StoredSegmentation,
    assign,
    mean_squared_distance,
)
from ml_pipeline.naming import (
    SEGMENT_NAMES,
    check_rules_still_hold,
    match_to_reference,
    meets_rule,
    name_by_rules,
)
from ml_pipeline.sweep import (
    DEFAULT_K,
    LARGEST_K,
    SMALLEST_K,
    KChoice,
    Sweep,
    choose_k,
    sweep_k,
)

FEWEST_CUSTOMERS = 50
_LIBRARIES = ("numpy", "scikit-learn", "scipy")


@dataclass(frozen=True)
class Training:
    """A named model with what led to it; `match_distances` is None when rules gave the names."""

    model: SegmentModel
    choice: KChoice
    sweep: Sweep | None
    match_distances: tuple[float, ...] | None
    inertia_per_customer: float


def reason_to_skip(rfm: pd.DataFrame, k: int | None) -> str | None:
    """Why these customers cannot be segmented and what to do, None when they can."""
    if len(rfm) < FEWEST_CUSTOMERS:
        customers = "1 customer" if len(rfm) == 1 else f"{len(rfm)} customers"
        return f"{customers} with sales, segments need at least {FEWEST_CUSTOMERS}; load more sales"
    needed = k or DEFAULT_K
    distinct = distinct_points(log_features(rfm), needed)
    if distinct == 1:
        return "all customers are equal, nothing tells them apart; check the sales"
    if distinct < needed:
        return (
            f"the customers differ in {distinct} ways only, too few for {needed} clusters; "
            f"set INSIGHT_SEGMENT_COUNT to {distinct}"
        )
    return None


def train(
    rfm: pd.DataFrame,
    *,
    k: int | None = DEFAULT_K,
    reference: SegmentModel | None = None,
    sweep: bool = True,
    random_state: int = RANDOM_STATE,
) -> Training:
    """Cluster customers and name the clusters.

    `k` None applies the rule of `sweep.choose_k`. A `reference` of another k or other features
    is no reference. Raises InputError for a k outside 2 to 10, one that the rule should choose
    without a sweep, figures that are none or fewer different customers than k; IntegrityError
    when the reference's names no longer fit.
    """
    _check_k(k, sweep=sweep)
    expect_customers(rfm, FEATURES)
    logs = log_features(rfm)
    _expect_different(logs, k or DEFAULT_K)
    scaler = fit_scaler(logs)
    points = scaler.transform(logs)
    measured = sweep_k(points) if sweep else None
    choice = KChoice(k, "asked for") if k else choose_k(_present(measured))
    centres = fit_centres(points, choice.k, random_state=random_state)
    ids, distances = _name(centres, scaler, reference)
    return Training(
        model=SegmentModel.build(scaler, centres, ids),
        choice=choice,
        sweep=measured,
        match_distances=distances,
        inertia_per_customer=round(inertia(points, centres) / len(points), 6),
    )


def summarise(model: SegmentModel, rfm: pd.DataFrame) -> tuple[SegmentSummary, ...]:
    """One row a segment of the model, most revenue first; also a segment without customers."""
    ids = assign(model, rfm)
    rows = [
        _summary(segment, rfm[ids == segment], len(rfm), _fits(model, segment))
        for segment in sorted(set(model.segment_ids))
    ]
    return tuple(sorted(rows, key=lambda row: (-row.revenue, row.segment_id)))


def drift_since(
    before: StoredSegmentation, rfm: pd.DataFrame, *, moved: float | None = None
) -> Drift:
    """How far these customers are from those of a stored model; `moved` as in `moved_share`."""
    distance = mean_squared_distance(before.model, rfm)
    return Drift(
        psi=population_stability(before.feature_bins, rfm),
        moved_share=moved,
        distance_ratio=distance_ratio(distance, before.latest.inertia_per_customer),
    )


def data_sha256(rfm: pd.DataFrame) -> str:
    """Digest of an RFM frame: ids and exact values, in the frame's order."""
    digest = hashlib.sha256("\n".join(rfm["customer_id"]).encode())
    for feature in FEATURES:
        digest.update(rfm[feature].to_numpy(dtype="<f8").tobytes())
    return digest.hexdigest()


def library_versions() -> dict[str, str]:
    """The libraries whose versions may change the result."""
    return {name: version(name) for name in _LIBRARIES}


def _check_k(k: int | None, *, sweep: bool) -> None:
    if k is not None and not SMALLEST_K <= k <= LARGEST_K:
        raise InputError(f"cannot make {k} clusters", next_step=f"Use {SMALLEST_K} to {LARGEST_K}")
    if k is None and not sweep:
        raise InputError("the rule for k needs the sweep", next_step="Set k or allow the sweep")


def _expect_different(logs: Matrix, k: int) -> None:
    distinct = distinct_points(logs, k) if len(logs) else 0
    if distinct < k:
        raise InputError(
            f"cannot make {k} clusters of {len(logs):,} customers, {distinct} of them different",
            next_step=f"Use at least {k} customers that differ, or a smaller k",
        )


def _present(sweep: Sweep | None) -> Sweep:
    assert sweep is not None
    return sweep


def _name(
    centres: Matrix, scaler: Scaler, reference: SegmentModel | None
) -> tuple[tuple[int, ...], tuple[float, ...] | None]:
    usable = reference and reference.k == len(centres) and reference.features == FEATURES
    if reference is None or not usable:
        return name_by_rules(centres), None
    in_old_units = reference.scaler.transform(scaler.restore(centres))
    ids, distances = match_to_reference(
        in_old_units, reference.centre_matrix, reference.segment_ids
    )
    check_rules_still_hold(ids, centres, reference.segment_ids, reference.centre_matrix)
    return ids, tuple(np.round(distances, 6).tolist())


def _fits(model: SegmentModel, segment: int) -> bool:
    return all(
        meets_rule(segment, centre)
        for number, centre in zip(model.segment_ids, model.centre_matrix, strict=True)
        if number == segment
    )


def _summary(segment: int, members: pd.DataFrame, total: int, fits: bool) -> SegmentSummary:
    revenue, orders = float(members["monetary"].sum()), int(members["frequency"].sum())
    count = max(1, len(members))
    return SegmentSummary(
        segment_id=segment,
        segment_name=SEGMENT_NAMES[segment],
        customers=len(members),
        share=round(len(members) / total, 6),
        revenue=round(revenue, 2),
        average_recency_days=round(float(members["recency_days"].sum()) / count, 1),
        average_orders=round(orders / count, 1),
        average_order_value=round(revenue / max(1, orders), 2),
        meets_rule=fits,
    )
