"""Evaluate: elbow, silhouette, and what the clusters are like."""

import numpy as np
import pandas as pd

from ml_pipeline.clustering import assign_clusters, inertia
from ml_pipeline.credit_cards.model import CardModel, ClusterSummary, Evaluation, assign
from ml_pipeline.credit_cards.train import silhouette
from ml_pipeline.credit_cards.transform import fill_gaps, prepare
from ml_pipeline.features import STORED_DECIMALS
from ml_pipeline.knee import find_knee


def evaluate_model(model: CardModel, numbers: pd.DataFrame) -> Evaluation:
    """Measures and profile of a model on the customers it was trained on.

    `numbers` holds CUST_ID and the features in the units of the file, gaps included.
    """
    features = list(model.preparation.features)
    points = prepare(numbers, model.preparation)[features].to_numpy(dtype=np.float64)
    labels = assign_clusters(points, model.centre_matrix)
    return Evaluation(
        k=model.k,
        reason=model.reason,
        elbow=find_knee([each.k for each in model.sweep], [each.sse for each in model.sweep]),
        sse=round(inertia(points, model.centre_matrix), STORED_DECIMALS),
        silhouette=silhouette(points, labels),
        clusters=profile(model, numbers),
    )


def profile(model: CardModel, numbers: pd.DataFrame) -> tuple[ClusterSummary, ...]:
    """Size, averages and medians of each cluster, also of one without customers."""
    preparation = model.preparation
    features = list(preparation.features)
    values = fill_gaps(numbers, features, preparation.missing, preparation.medians)
    clusters = assign(model, numbers)["cluster"].to_numpy()
    return tuple(
        _summary(cluster, values.loc[clusters == cluster, features], len(values))
        for cluster in range(model.k)
    )


def _summary(cluster: int, members: pd.DataFrame, total: int) -> ClusterSummary:
    return ClusterSummary(
        cluster=cluster,
        customers=len(members),
        share=round(len(members) / total, 6),
        averages=_rounded(members.mean()),
        medians=_rounded(members.median()),
    )


def _rounded(values: "pd.Series[float]") -> dict[str, float]:
    return {str(name): round(float(value), 4) for name, value in values.fillna(0.0).items()}
