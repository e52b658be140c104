"""Segment names that follow from the customers' profile and last over retraining.

The first model is named by rules on the profile of its clusters. Every later one takes the names
of the stored centres it is nearest to (Hungarian matching, Kuhn 1955), because a cluster's number
says nothing from one fit to the next.
"""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from insight.errors import IntegrityError
from ml_pipeline.clustering import squared_distances
from ml_pipeline.features import FEATURES, Labels, Matrix

BIG_SPENDERS, AT_RISK, OCCASIONAL, CHAMPIONS, LOYAL = range(5)
SEGMENT_NAMES = {
    BIG_SPENDERS: "Big Spenders",
    AT_RISK: "At-Risk (Lapsing)",
    OCCASIONAL: "Occasional Shoppers",
    CHAMPIONS: "Champions (VIPs)",
    LOYAL: "Loyal Customers",
}
RULES = {
    CHAMPIONS: "most orders and revenue together; both above the average customer",
    AT_RISK: "longest since the last order; longer than the average customer",
    BIG_SPENDERS: "highest order value of those with few orders; above the average customer",
    LOYAL: "most orders of the rest; more than the average customer",
    OCCASIONAL: "the rest; less revenue than the average customer",
}
# Standard deviations of the old data. Refits on 90 % of the customers move a centre by about 0.2.
FARTHEST_MATCH = 1.0

_RECENCY, _FREQUENCY, _MONETARY, _ORDER_VALUE = range(len(FEATURES))
_RULE_ORDER = (CHAMPIONS, AT_RISK, BIG_SPENDERS, LOYAL, OCCASIONAL)
# With fewer than five clusters a name needs a cluster that fits it by so many standard deviations.
_STANDS_OUT = 0.5


def name_by_rules(centres: Matrix) -> tuple[int, ...]:
    """Segment id of each cluster from centres in standard deviations, shape (k, features), k >= 2.

    The rules of `RULES` choose one cluster after the other. With k < 5 a rule that no cluster
    clearly fits is left out, and the clusters that remain are Occasional. With k > 5 each
    remaining cluster joins the nearest named one whose rule it meets. So there are never more than
    five segments, and a segment can have several clusters.
    """
    segment_of: dict[int, int] = {}
    for segment in _RULE_ORDER:
        free = [cluster for cluster in range(len(centres)) if cluster not in segment_of]
        if not free:
            break
        best = _chosen(segment, centres, free)
        few = len(centres) < len(_RULE_ORDER)
        if segment == CHAMPIONS or not few or meets_rule(segment, centres[best], _STANDS_OUT):
            segment_of[best] = segment
    return _with_the_rest(segment_of, centres)


def _with_the_rest(segment_of: dict[int, int], centres: Matrix) -> tuple[int, ...]:
    if len(centres) < len(_RULE_ORDER):
        return tuple(segment_of.get(cluster, OCCASIONAL) for cluster in range(len(centres)))
    return tuple(
        segment_of[cluster]
        if cluster in segment_of
        else _joined(centres[cluster], segment_of, centres)
        for cluster in range(len(centres))
    )


def _joined(centre: Matrix, segment_of: dict[int, int], centres: Matrix) -> int:
    """The segment of the nearest named cluster whose rule `centre` meets, else of the nearest."""
    named = sorted(segment_of)
    distances = squared_distances(centre[np.newaxis], centres[named])[0]
    nearest_first = [segment_of[named[index]] for index in np.argsort(distances, kind="stable")]
    return next((each for each in nearest_first if meets_rule(each, centre)), nearest_first[0])


def _chosen(segment: int, centres: Matrix, free: list[int]) -> int:
    """The free cluster that fits the segment's rule best, the first of equals."""
    if segment == CHAMPIONS:
        return max(free, key=lambda c: centres[c, _FREQUENCY] + centres[c, _MONETARY])
    if segment == AT_RISK:
        return max(free, key=lambda c: centres[c, _RECENCY])
    if segment == BIG_SPENDERS:
        few_orders = [c for c in free if centres[c, _FREQUENCY] < 0] or free
        return max(few_orders, key=lambda c: centres[c, _ORDER_VALUE])
    if segment == LOYAL:
        return max(free, key=lambda c: centres[c, _FREQUENCY])
    return min(free, key=lambda c: centres[c, _MONETARY])


def meets_rule(segment: int, centre: Matrix, margin: float = 0.0) -> bool:
    """Whether one centre fits the name, `margin` standard deviations from the average customer."""
    if segment == CHAMPIONS:
        return bool(centre[_FREQUENCY] > margin and centre[_MONETARY] > margin)
    if segment == AT_RISK:
        return bool(centre[_RECENCY] > margin)
    if segment == BIG_SPENDERS:
        return bool(centre[_ORDER_VALUE] > margin)
    if segment == LOYAL:
        return bool(centre[_FREQUENCY] > margin)
    return bool(centre[_MONETARY] < -margin)


def match_to_reference(
    centres: Matrix, reference: Matrix, reference_ids: Sequence[int]
) -> tuple[tuple[int, ...], Matrix]:
    """Segment id of each cluster and its distance to the stored centre that it is matched with.

    Both sets of centres have the same k and are in standard deviations of the *old* data.
    The matching makes the sum of distances smallest. Raises IntegrityError when a match is
    farther than `FARTHEST_MATCH`.
    """
    distances = np.sqrt(squared_distances(centres, reference))
    clusters, matched = linear_sum_assignment(distances)
    order: Labels = matched[np.argsort(clusters)]
    ids = tuple(int(reference_ids[index]) for index in order)
    matched_distances: Matrix = distances[np.arange(len(centres)), order]
    farthest = int(matched_distances.argmax())
    if matched_distances[farthest] > FARTHEST_MATCH:
        raise IntegrityError(
            f"the customers called {SEGMENT_NAMES[ids[farthest]]!r} have changed too much for the "
            f"name: the nearest new cluster is {matched_distances[farthest]:.1f} standard "
            f"deviations away, more than {FARTHEST_MATCH:.1f}"
        )
    return ids, matched_distances


def check_rules_still_hold(
    ids: Sequence[int],
    centres: Matrix,
    reference_ids: Sequence[int],
    reference: Matrix,
) -> None:
    """Raise IntegrityError when a name no longer fits its cluster although it did before.

    Each set of centres is in standard deviations of its own data.
    """
    held = {
        segment
        for segment in SEGMENT_NAMES
        if all(
            meets_rule(segment, c)
            for i, c in zip(reference_ids, reference, strict=True)
            if i == segment
        )
    }
    for segment, centre in zip(ids, centres, strict=True):
        if segment in held and not meets_rule(segment, centre):
            raise IntegrityError(
                f"the cluster matched to {SEGMENT_NAMES[segment]!r} breaks the rule of that name "
                f"({RULES[segment]})"
            )
