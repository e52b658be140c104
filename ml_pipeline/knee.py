"""The knee of a falling curve: from where one more cluster gains little."""

import warnings
from collections.abc import Sequence

from kneed import KneeLocator

_FEWEST_POINTS = 3


def find_knee(ks: Sequence[int], inertias: Sequence[float]) -> int | None:
    """Knee of the inertia over k (Satopaa et al. 2011), None when the curve has none.

    It depends on the first k: the sweeps here start at 2.
    """
    if len(ks) < _FEWEST_POINTS:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found = KneeLocator(list(ks), list(inertias), curve="convex", direction="decreasing").knee
    return None if found is None else int(found)
