"""Live segments in memory: movements in, customers whose rows have changed out.

The rule that makes a replay equal to the last bit: everything below is a function of the start and
of the movements in their order. Where a call of `take` ends makes no difference.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from insight.errors import InputError
from segmentation.live.accounts import (
    Accounts,
    CustomerNumbers,
    Floats,
    Integers,
    Movements,
    add_movements,
    empty_accounts,
    with_more,
)
from segmentation.live.features import DAYS, FREQUENCY, Scaler, fit_scaler, measures
from segmentation.live.kmeans import decayed_update, fit, mean_squared_distance, nearest
from segmentation.live.naming import FARTHEST_MATCH, NAMES, matched, names_by_rule

_CLUSTERS = len(NAMES)
_MOST_FOR_A_FIT = 20_000
# A cluster with less of all weight has lost its customers; centroids whose distance from the
# customers has grown so many times no longer describe them.
_STARVED_SHARE = 0.01
_WORN_OUT = 2.0


@dataclass(frozen=True)
class Choices:
    """What a run of live segments is made with; it cannot change before it is started over.

    Every `mini_batch` movements the centroids learn from as many customers, taken in turn. When all
    customers have had `half_life_rounds` turns, what was learned before counts half.
    """

    mini_batch: int = 250
    half_life_rounds: float = 1.0
    seed: int = 2019


@dataclass(frozen=True)
class Model:
    """Scaler, centroids (3, 3) in its standard deviations, their weights, and everything counted.

    `clock` is the time that the movements have come to, microseconds since 1970: the median of
    each mini-batch moves it, so that one wrong date does not; never backwards. `pending` are the
    times of the movements since the last mini-batch. `turn` is the customer whose turn is next.
    """

    choices: Choices
    scaler: Scaler
    centroids: Floats
    weights: Floats
    names: tuple[str, ...]
    clock: int
    fitted_distance: float
    distance: float
    events: int = 0
    mini_batches: int = 0
    turn: int = 0
    refits: int = 0
    refused_refits: int = 0
    pending: tuple[int, ...] = ()

    def figures(self) -> dict[str, Floats]:
        """What each segment's centroid stands for, in the figures of `FEATURES`."""
        return dict(zip(self.names, self.scaler.figures(self.centroids), strict=True))


@dataclass
class Judged:
    """What was last found of each customer: cluster, whole days and pace, and when it was written.

    `updated` is when the movement landed that changed the row last, microseconds since 1970.
    """

    cluster: Integers
    days: Integers
    frequency: Floats
    updated: Integers

    def extend(self, rows: int) -> None:
        """Room for so many more customers."""
        for name in ("cluster", "days", "updated"):
            setattr(self, name, np.append(getattr(self, name), np.zeros(rows, np.int64)))
        self.frequency = np.append(self.frequency, np.zeros(rows))


@dataclass
class LiveSegments:
    """All customers with their segments, and the model; `changed` rows are not written yet."""

    numbers: CustomerNumbers
    accounts: Accounts
    judged: Judged
    model: Model
    changed: set[int] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self.numbers)

    def segments(self) -> list[str]:
        """The name of each customer's segment."""
        return [self.model.names[cluster] for cluster in self.judged.cluster.tolist()]

    def take(self, movements: Movements) -> None:
        """Add movements, in their order; a full mini-batch moves centroids and clock."""
        start = 0
        while start < len(movements):
            room = self.model.choices.mini_batch - len(self.model.pending)
            part = movements.part(start, start + room)
            self._add(part)
            if len(self.model.pending) == self.model.choices.mini_batch:
                self._learn(int(part.landed[-1]))
            start += len(part)

    def take_changed(self) -> list[int]:
        """The rows that changed since the last call, ascending."""
        rows, self.changed = sorted(self.changed), set()
        return rows

    def _add(self, part: Movements) -> None:
        row = self.numbers.rows(part.customer)
        if new := len(self.numbers) - len(self.accounts):
            self.accounts = with_more(self.accounts, empty_accounts(new))
            self.judged.extend(new)
        rows = add_movements(self.accounts, row, part.cents, part.at)
        np.maximum.at(self.judged.updated, row, part.landed)
        self._judge(rows, measures(self.accounts, rows, self.model.clock))
        self.changed.update(rows.tolist())
        self.model = replace(
            self.model,
            events=self.model.events + len(part),
            pending=(*self.model.pending, *part.at.tolist()),
        )

    def _judge(self, rows: Integers, figures: Floats) -> None:
        points = self.model.scaler.points(figures)
        self.judged.cluster[rows] = nearest(points, self.model.centroids)
        self.judged.days[rows] = figures[:, DAYS].astype(np.int64)
        self.judged.frequency[rows] = figures[:, FREQUENCY]

    def _learn(self, landed: int) -> None:
        """End a mini-batch: move the clock, look at the customers in turn, learn from them."""
        model = self.model
        clock = max(model.clock, sorted(model.pending)[len(model.pending) // 2])
        customers = len(self)
        size = min(model.choices.mini_batch, customers)
        rows = (model.turn + np.arange(size)) % customers
        figures = measures(self.accounts, rows, clock)
        learned = learn(model, model.scaler.points(figures), customers)
        is_round_over = model.turn + size >= customers
        self.model = replace(
            learned,
            clock=clock,
            pending=(),
            turn=(model.turn + size) % customers,
            mini_batches=model.mini_batches + 1,
        )
        if is_round_over and is_worn_out(self.model):
            self.model = refitted(self.model, self._sample(clock))
        self._judge_again(rows, figures, landed)

    def _judge_again(self, rows: Integers, figures: Floats, landed: int) -> None:
        """Customers without a movement change too: by the days that pass, and with the centroids.

        Only a row with another segment or number of days is written.
        """
        clusters = nearest(self.model.scaler.points(figures), self.model.centroids)
        days = figures[:, DAYS].astype(np.int64)
        is_other = (clusters != self.judged.cluster[rows]) | (days != self.judged.days[rows])
        rows, figures = rows[is_other], figures[is_other]
        self._judge(rows, figures)
        self.judged.updated[rows] = np.maximum(self.judged.updated[rows], landed)
        self.changed.update(rows.tolist())

    def _sample(self, clock: int) -> Floats:
        return self.model.scaler.points(_sampled(self.accounts, clock))


def learn(model: Model, points: Floats, customers: int) -> Model:
    """The model after a mini-batch of points, shape (rows, 3), of so many customers in all."""
    decay = 0.5 ** (len(points) / (model.choices.half_life_rounds * customers))
    clusters = nearest(points, model.centroids)
    centroids, weights = decayed_update(model.centroids, model.weights, points, clusters, decay)
    distance = mean_squared_distance(points, centroids)
    distance = decay * model.distance + (1 - decay) * distance
    return replace(model, centroids=centroids, weights=weights, distance=distance)


def is_worn_out(model: Model) -> bool:
    """Whether a cluster has starved, or the centroids describe the customers no longer."""
    is_starved = bool((model.weights < _STARVED_SHARE * model.weights.sum()).any())
    return is_starved or model.distance > _WORN_OUT * model.fitted_distance


def refitted(model: Model, points: Floats) -> Model:
    """The model with centroids found anew in all customers, if the names can be kept.

    Each name goes to the centroid that is matched with its old one. When a pair is too far apart,
    or the rule would name them otherwise, the old centroids stay: names are never swapped.
    """
    seed = model.choices.seed + model.refits + model.refused_refits + 1
    if len(np.unique(points, axis=0)) < _CLUSTERS:
        return replace(model, refused_refits=model.refused_refits + 1)
    centroids, distance = matched(fit(points, _CLUSTERS, seed), model.centroids)
    is_same = names_by_rule(model.scaler.figures(centroids)) == model.names
    if distance > FARTHEST_MATCH or not is_same:
        return replace(model, refused_refits=model.refused_refits + 1)
    fitted_distance = mean_squared_distance(points, centroids)
    counts = np.bincount(nearest(points, centroids), minlength=_CLUSTERS)
    return replace(
        model,
        centroids=centroids,
        weights=counts / counts.sum() * model.weights.sum(),
        fitted_distance=fitted_distance,
        distance=fitted_distance,
        refits=model.refits + 1,
    )


def started(
    customers: Sequence[str], accounts: Accounts, clock: int, choices: Choices, where: str
) -> LiveSegments:
    """The live segments of the customers of a start file, as of `clock`: nothing is changed yet.

    Raises InputError, that names the file `where`, when there are not three customers that differ.
    """
    figures = _sampled(accounts, clock)
    if len(np.unique(figures, axis=0)) < _CLUSTERS:
        raise InputError(
            "has fewer than three customers that differ in amounts, frequency or silence",
            where=where,
            next_step="Three segments need at least three: add customers",
        )
    scaler = fit_scaler(figures)
    points = scaler.points(figures)
    centroids = fit(points, _CLUSTERS, choices.seed)
    distance = mean_squared_distance(points, centroids)
    counts = np.bincount(nearest(points, centroids), minlength=_CLUSTERS)
    weights: Floats = np.multiply(counts, len(accounts) / len(figures), dtype=np.float64)
    model = Model(
        choices=choices,
        scaler=scaler,
        centroids=centroids,
        weights=weights,
        names=names_by_rule(scaler.figures(centroids)),
        clock=clock,
        fitted_distance=distance,
        distance=distance,
    )
    numbers = CustomerNumbers(list(customers))
    judged = Judged(*(np.zeros(0, kind) for kind in (np.int64, np.int64, float, np.int64)))
    judged.extend(len(numbers))
    live = LiveSegments(numbers, accounts, judged, model)
    rows = np.arange(len(live))
    live._judge(rows, measures(accounts, rows, clock))
    judged.updated[:] = clock
    live.changed.update(rows.tolist())
    return live


def _sampled(accounts: Accounts, clock: int) -> Floats:
    step = -(-len(accounts) // _MOST_FOR_A_FIT) or 1
    return measures(accounts, np.arange(0, len(accounts), step), clock)
