"""From a rule to what has to be read: scans of streams, measures of events, leaves, parameters.

A plan knows no SQL. It is the same for Postgres, Spark and the Python evaluator.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from segmentation.rules import spec
from segmentation.rules.canonical import canonical_text, distinct_leaves, leaf_sha
from segmentation.rules.catalogue import TRAITS_DOMAIN, Catalogue, Stream
from segmentation.rules.checks import refuse_errors
from segmentation.rules.spec import Condition, Leaf, Rule
from segmentation.rules.windows import Lifetime, Window


@dataclass(frozen=True)
class Measure:
    """What is made of a customer's events of one stream, whatever it is compared with."""

    function: spec.AggregateFunction
    field: str | None
    where: tuple[spec.Filter, ...]
    window: Window


@dataclass(frozen=True)
class Scan:
    """One grouped pass over a stream, with all measures that leaves need of it.

    Of each of `spans`, the least that holds those windows, it also tells whether an event is in it.
    """

    stream: Stream
    measures: tuple[Measure, ...]
    spans: tuple[tuple[Window, ...], ...] = ()

    @property
    def windows(self) -> tuple[Window, ...]:
        return tuple(dict.fromkeys(each.window for each in self.measures))


@dataclass(frozen=True)
class Reads:
    """Leaves, each once, and what has to be read to know which of them hold."""

    leaves: tuple[Leaf, ...]
    scans: tuple[Scan, ...]

    @property
    def sequences(self) -> tuple[spec.Sequence, ...]:
        return tuple(each for each in self.leaves if isinstance(each, spec.Sequence))

    def scan_of(self, leaf: spec.Aggregate) -> tuple[int, int]:
        """Where the measure of a leaf is: the scan, and the place in it."""
        for index, scan in enumerate(self.scans):
            if scan.stream.name == leaf.stream:
                return index, scan.measures.index(measure_of(leaf))
        raise KeyError(leaf.stream)


@dataclass(frozen=True)
class Plan(Reads):
    """A rule, ready to be compiled.

    `leaves` stand in the order of their bits, `shas` are their hashes, `tree` is the rule over
    their places. `population` are the domains whose customers are asked. `only_with_events`: nobody
    without an event in a scan or a sequence can be in the segment; `leaves_need_events`: nor can
    any leaf hold for such a customer.
    """

    rule: Rule
    shas: tuple[str, ...]
    tree: "Tree"
    population: tuple[str, ...]
    only_with_events: bool
    leaves_need_events: bool


def make_plan(rule: Rule, catalogue: Catalogue) -> Plan:
    """What a rule reads. Raises InputError that names the first error of meaning."""
    refuse_errors(rule, catalogue)
    leaves = distinct_leaves(rule.rule)
    population = population_of(rule, catalogue)
    domains_read = {catalogue.streams[each].domain for each in spec.streams_of(rule.rule)}
    reads_within = bool(domains_read) and domains_read <= set(population)
    shas = tuple(leaf_sha(each) for each in leaves)
    return Plan(
        rule=rule,
        leaves=leaves,
        shas=shas,
        tree=tree_of(rule.rule, {sha: index for index, sha in enumerate(shas)}),
        scans=make_scans(leaves, catalogue),
        population=population,
        only_with_events=reads_within and _without_events(rule.rule) is False,
        leaves_need_events=reads_within and all(_without_events(e) is False for e in leaves),
    )


def population_of(rule: Rule, catalogue: Catalogue) -> tuple[str, ...]:
    """The domains whose customers are asked: those named, those read, or all."""
    if rule.population is not None:
        return tuple(sorted(set(rule.population)))
    found = {catalogue.streams[name].domain for name in spec.streams_of(rule.rule)}
    if any(isinstance(leaf, spec.Trait) for leaf in spec.walk_leaves(rule.rule)):
        found.add(TRAITS_DOMAIN)
    return tuple(sorted(found)) or catalogue.domains


def measure_of(leaf: spec.Aggregate) -> Measure:
    """The measure of a leaf; conditions on the events in one order."""
    by_text = {canonical_text(each.model_dump(mode="json")): each for each in leaf.where}
    where = tuple(by_text[text] for text in sorted(by_text))
    return Measure(leaf.function, leaf.field, where, leaf.window)


def window_bounds(windows: Sequence[Window], as_of: datetime) -> tuple[datetime | None, datetime]:
    """The least [start, end) that holds all windows; start None for the whole past."""
    bounds = [each.bounds(as_of) for each in windows]
    starts = [start for start, _ in bounds if start is not None]
    end = max(end for _, end in bounds)
    return (None if len(starts) < len(bounds) else min(starts)), end


def has_start(windows: Sequence[Window]) -> bool:
    """Whether a scan of these windows has a lower bound, at any time."""
    return not any(isinstance(each, Lifetime) for each in windows)


def make_scans(leaves: Sequence[Leaf], catalogue: Catalogue) -> tuple[Scan, ...]:
    """A scan a stream that leaves measure, in the order of their names."""
    measures: dict[str, dict[Measure, None]] = {}
    for leaf in leaves:
        if isinstance(leaf, spec.Aggregate):
            measures.setdefault(leaf.stream, {})[measure_of(leaf)] = None
    return tuple(
        Scan(catalogue.streams[name], tuple(found)) for name, found in sorted(measures.items())
    )


def compare(op: str, left: object, right: object) -> bool:
    """One of the six comparisons, of two values of one type."""
    match op:
        case "eq":
            return left == right
        case "ne":
            return left != right
        case "lt":
            return left < right  # type: ignore[operator, no-any-return]
        case "lte":
            return left <= right  # type: ignore[operator, no-any-return]
        case "gt":
            return left > right  # type: ignore[operator, no-any-return]
        case "gte":
            return left >= right  # type: ignore[operator, no-any-return]
    raise ValueError(op)


@dataclass(frozen=True)
class Branch:
    """A group over what it holds."""

    group: spec.Group
    below: tuple["Tree", ...]


Tree = Branch | int


def tree_of(condition: Condition, places: Mapping[str, int]) -> Tree:
    """A condition with each leaf replaced by its place; `places` are by `leaf_sha`."""
    if isinstance(condition, spec.Group):
        return Branch(condition, tuple(tree_of(each, places) for each in spec.children(condition)))
    return places[leaf_sha(condition)]


def truth(tree: Tree, leaf_truth: Sequence[bool]) -> bool:
    """Whether a condition holds, given which leaves do."""
    if isinstance(tree, int):
        return leaf_truth[tree]
    below = [truth(each, leaf_truth) for each in tree.below]
    match tree.group:
        case spec.All():
            return all(below)
        case spec.AnyOf():
            return any(below)
        case spec.Not():
            return not below[0]
    return count_fits(tree.group, sum(below))


def count_fits(group: spec.NOf, count: int) -> bool:
    """Whether so many conditions are neither too few nor too many."""
    at_most = len(group.conditions) if group.at_most is None else group.at_most
    return (group.at_least or 0) <= count <= at_most


def _without_events(condition: Condition) -> bool | None:
    """Whether a condition holds for a customer without any event; None when that depends."""
    below = [_without_events(each) for each in spec.children(condition)]
    match condition:
        case spec.All():
            return False if False in below else None if None in below else True
        case spec.AnyOf():
            return True if True in below else None if None in below else False
        case spec.Not():
            return None if below[0] is None else not below[0]
        case spec.NOf():
            unknown = below.count(None)
            fits = {count_fits(condition, below.count(True) + n) for n in range(unknown + 1)}
            return fits.pop() if len(fits) == 1 else None
        case spec.Aggregate():
            if condition.function in ("count", "sum", "distinct"):
                return compare(condition.op, 0, condition.value)
            return False
        case spec.Sequence():
            return False
    return None
