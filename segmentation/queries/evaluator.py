"""The meaning of a rule in plain Python, for one customer: the result, and why.

It shares no code with the SQL but the plan, and tests hold the two to the same answer.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from segmentation.queries.buckets import in_bucket
from segmentation.queries.plan import Plan, compare, truth
from segmentation.rules import spec
from segmentation.rules.catalogue import Catalogue, Field, Stream
from segmentation.rules.checks import result_field, typed_value

Row = Mapping[str, object]

_LANDING_ORDER = ("_load_id", "_partition_id", "_offset")


@dataclass(frozen=True)
class Customer:
    """What is known of one customer: traits, segments, and the events of each stream.

    Events are rows of the raw tables, each event once (see `first_landed`).
    """

    customer_id: str
    events: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    traits: Row = field(default_factory=dict)
    segments: frozenset[str] = frozenset()


@dataclass(frozen=True)
class LeafResult:
    """Whether one leaf holds, and what was found: the number of an aggregate, a trait's value.

    `events` counts the events that the leaf looked at.
    """

    leaf: spec.Leaf
    sha: str
    holds: bool
    found: object = None
    events: int = 0


@dataclass(frozen=True)
class Result:
    """Whether a customer is in the segment at a moment, with every leaf of the rule."""

    matches: bool
    leaves: tuple[LeafResult, ...]

    @property
    def mask(self) -> int:
        """The leaves that hold, as the bits of an unsigned number."""
        return sum(1 << index for index, each in enumerate(self.leaves) if each.holds)


def first_landed(stream: Stream, rows: Iterable[Row]) -> list[Row]:
    """Each event once: of the rows with one id, of whichever customer, the one that landed first.

    It is the order of the staging models, so that a rule and a mart agree.
    """
    first: dict[object, Row] = {}
    for row in rows:
        standing = first.setdefault(row[stream.key], row)
        if _landing(row) < _landing(standing):
            first[row[stream.key]] = row
    return list(first.values())


def evaluate(plan: Plan, catalogue: Catalogue, customer: Customer, as_of: datetime) -> Result:
    """Whether the rule of a plan holds for a customer at a moment, and each of its leaves."""
    judge = _Judge(catalogue, customer, as_of)
    leaves = tuple(judge.leaf(leaf, sha) for leaf, sha in zip(plan.leaves, plan.shas, strict=True))
    return Result(truth(plan.tree, [each.holds for each in leaves]), leaves)


def matching_events(
    catalogue: Catalogue, customer: Customer, step: spec.Step
) -> list[tuple[datetime, Row]]:
    """The events of a step with their times, in no particular order, whenever they happened."""
    stream = catalogue.streams[step.stream]
    return [
        (_moment(row[stream.event_time]), row)
        for row in customer.events.get(step.stream, ())
        if all(_fits(each, stream.fields[each.field], row) for each in step.where)
    ]


def field_value(known: Field, row: Row) -> object:
    """A field of an event as the marts keep it, None when it is not there."""
    value = row.get(known.name)
    if value is None or known.type != "number":
        return value
    number = Decimal(str(value))
    if known.decimals is None:
        return number
    return number.quantize(Decimal(1).scaleb(-known.decimals), ROUND_HALF_UP)


class _Judge:
    def __init__(self, catalogue: Catalogue, customer: Customer, as_of: datetime):
        self._catalogue = catalogue
        self._customer = customer
        self._as_of = as_of

    def leaf(self, leaf: spec.Leaf, sha: str) -> LeafResult:
        match leaf:
            case spec.Trait():
                known = self._catalogue.traits[leaf.field]
                holds = _fits(leaf, known, self._customer.traits)
                return LeafResult(leaf, sha, holds, self._customer.traits.get(leaf.field))
            case spec.Aggregate():
                return self._aggregate(leaf, sha)
            case spec.Sequence():
                return self._sequence(leaf, sha)
            case spec.Member():
                return LeafResult(leaf, sha, leaf.segment in self._customer.segments)
            case spec.CustomerList():
                return LeafResult(leaf, sha, self._customer.customer_id in leaf.customers)
        return LeafResult(leaf, sha, in_bucket(leaf, self._customer.customer_id))

    def _in_window(
        self, leaf: spec.Aggregate | spec.Sequence, step: spec.Step
    ) -> list[tuple[datetime, Row]]:
        found = matching_events(self._catalogue, self._customer, step)
        return [each for each in found if leaf.window.holds(each[0], self._as_of)]

    def _aggregate(self, leaf: spec.Aggregate, sha: str) -> LeafResult:
        stream = self._catalogue.streams[leaf.stream]
        events = self._in_window(leaf, spec.steps_of(leaf)[0][1])
        limit = typed_value(leaf.value, result_field(leaf, stream))
        if leaf.field is None:
            count = len(events)
            return LeafResult(leaf, sha, compare(leaf.op, count, limit), count, count)
        known = stream.fields[leaf.field]
        values = [v for _, row in events if (v := field_value(known, row)) is not None]
        found = _aggregate(leaf.function, values)
        if found is None:
            return LeafResult(leaf, sha, False, None, len(events))
        if leaf.function == "avg":
            assert isinstance(limit, Decimal)
            holds = compare(leaf.op, _total(values), limit * len(values))
        else:
            holds = compare(leaf.op, found, limit)
        return LeafResult(leaf, sha, holds, found, len(events))

    def _sequence(self, leaf: spec.Sequence, sha: str) -> LeafResult:
        steps = [sorted(at for at, _ in self._in_window(leaf, each)) for each in leaf.steps]
        forbidden = []
        if leaf.without:
            forbidden = [at for at, _ in self._in_window(leaf, leaf.without)]
        ends = [
            end
            for start in steps[0]
            for end in _ends(start, steps[1:])
            if (leaf.within is None or end - start <= leaf.within)
            and not any(start < at < end for at in forbidden)
        ]
        return LeafResult(leaf, sha, bool(ends), min(ends, default=None), sum(map(len, steps)))


def _ends(start: datetime, steps: Sequence[Sequence[datetime]]) -> list[datetime]:
    """All moments at which a chain that begins at `start` can end."""
    reached = [start]
    for moments in steps:
        reached = [at for at in moments if at > min(reached, default=at)]
    return reached


def _total(values: Sequence[object]) -> Decimal:
    return sum((Decimal(str(each)) for each in values), Decimal(0))


def _aggregate(function: str, values: Sequence[object]) -> object:
    match function:
        case "sum":
            return _total(values)
        case "distinct":
            return len(set(values))
    if not values:
        return None
    match function:
        case "min":
            return min(values)  # type: ignore[type-var]
        case "max":
            return max(values)  # type: ignore[type-var]
    return _total(values) / len(values)


def _fits(each: spec.Trait | spec.Filter, known: Field, row: Row) -> bool:
    value = field_value(known, row)
    if each.op in ("is_set", "is_not_set"):
        return (value is not None) is (each.op == "is_set")
    if value is None:
        return False
    wanted = [typed_value(one, known) for one in each.values]
    match each.op:
        case "in":
            return value in wanted
        case "not_in":
            return value not in wanted
        case "between":
            return compare("gte", value, wanted[0]) and compare("lte", value, wanted[1])
        case "contains":
            return str(wanted[0]) in str(value)
        case "starts_with":
            return str(value).startswith(str(wanted[0]))
    return compare(each.op, value, wanted[0])


def _moment(value: object) -> datetime:
    assert isinstance(value, datetime)
    return value


def _landing(row: Row) -> tuple[object, ...]:
    return tuple(row[name] for name in _LANDING_ORDER)
