"""Names of the three clusters: by rule when they are first found, by matching ever after."""

import numpy as np

from segmentation.live.accounts import Floats
from segmentation.live.features import AMOUNT, DAYS, FREQUENCY
from segmentation.live.kmeans import squared_distances

HIGH_VALUE = "High-Value"
BUDGET = "Budget-Conscious"
AT_RISK = "At Risk / Inactive"
NAMES = (HIGH_VALUE, BUDGET, AT_RISK)

# Standard deviations of the start.
FARTHEST_MATCH = 1.5


def names_by_rule(figures: Floats) -> tuple[str, ...]:
    """The name of each of three clusters by the figures of its centroid, shape (3, features).

    The one that has been silent for longest is At Risk / Inactive; of the others the one that moves
    more money in a month is High-Value.
    """
    silent = int(np.argmax(figures[:, DAYS]))
    monthly = figures[:, AMOUNT] * figures[:, FREQUENCY]
    rest = [cluster for cluster in range(len(figures)) if cluster != silent]
    richest = max(rest, key=lambda cluster: (float(monthly[cluster]), -cluster))
    return tuple(
        AT_RISK if cluster == silent else HIGH_VALUE if cluster == richest else BUDGET
        for cluster in range(len(figures))
    )


def matched(fitted: Floats, reference: Floats) -> tuple[Floats, float]:
    """The fitted centroids in the order of the reference ones, and the largest distance of a pair.

    The pairs are those whose distances sum up to the least (Kuhn 1955, the Hungarian method).
    """
    from scipy.optimize import linear_sum_assignment

    distances = np.sqrt(squared_distances(reference, fitted))
    own, other = linear_sum_assignment(distances)
    in_order: Floats = fitted[other]
    return in_order, float(distances[own, other].max())
