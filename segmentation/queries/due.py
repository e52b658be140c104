"""When a customer has to be looked at again although nothing new arrives.

An event enters a window when time has passed it, and leaves it when the window has moved on. Only
at those moments can the result change by itself.
"""

from collections.abc import Iterator
from datetime import datetime

from segmentation.queries.evaluator import Customer, evaluate, matching_events
from segmentation.queries.plan import Plan
from segmentation.rules import spec
from segmentation.rules.catalogue import Catalogue

# Looking further ahead costs more than waking up once in vain.
MOST_LOOKS = 50


def next_due(
    plan: Plan,
    catalogue: Catalogue,
    customer: Customer,
    as_of: datetime,
    *,
    most_looks: int = MOST_LOOKS,
) -> datetime | None:
    """The first moment after `as_of` at which the result is another one without a new event.

    None when there is none. After `most_looks` moments that change nothing it is the next one at
    which something could change: never too late, but perhaps in vain.
    """
    now = evaluate(plan, catalogue, customer, as_of).matches
    moments = sorted(each for each in _changes(plan, catalogue, customer) if each > as_of)
    for looks, moment in enumerate(moments):
        if looks >= most_looks:
            return moment
        if evaluate(plan, catalogue, customer, moment).matches is not now:
            return moment
    return None


def _changes(plan: Plan, catalogue: Catalogue, customer: Customer) -> set[datetime]:
    return {
        moment
        for leaf in plan.leaves
        if isinstance(leaf, spec.Aggregate | spec.Sequence)
        for moment in _changes_of(leaf, catalogue, customer)
    }


def _changes_of(
    leaf: spec.Aggregate | spec.Sequence, catalogue: Catalogue, customer: Customer
) -> Iterator[datetime]:
    for _, step in spec.steps_of(leaf):
        for at, _ in matching_events(catalogue, customer, step):
            yield from leaf.window.changes(at)
