"""How many customers a rule would have, and what would change if it took another one's place.

Customers are counted by which leaves hold for them, in one scan; whether a rule holds for those of
a group is then a matter of its groups of conditions. So two rules that ask the same customers are
answered at once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import cast

from insight.database import Connection
from segmentation.queries.compile import SAMPLES, compile_rule
from segmentation.queries.plan import population_of, tree_of, truth
from segmentation.queries.query import Dedupe, Output
from segmentation.queries.run import ask
from segmentation.rules.canonical import distinct_leaves, leaf_sha
from segmentation.rules.catalogue import Catalogue
from segmentation.rules.sentences import condition_sentence
from segmentation.rules.spec import MAX_LEAVES, AnyOf, Condition, Rule

# Many groups in little memory go to disk, and both cores are worth it when a person waits.
_SETTINGS = """
select set_config(name, value, true) from (values
    ('work_mem', '256MB'), ('parallel_setup_cost', '0'), ('parallel_tuple_cost', '0')
) as settings (name, value)
"""


@dataclass(frozen=True)
class LeafCount:
    """For how many of the customers who are asked one leaf holds."""

    sentence: str
    customers: int


@dataclass(frozen=True)
class Movement:
    """How many customers a rule would let in and out, beside those of another one.

    `would_enter` and `would_leave` are any ten of them, in their order.
    """

    entering: int
    leaving: int
    would_enter: tuple[str, ...]
    would_leave: tuple[str, ...]


@dataclass(frozen=True)
class Preview:
    """Who would be in the segment at a moment; samples are any ten of them, in their order.

    `change` is against the active version, if one was given.
    """

    as_of: datetime
    matched: int
    leaves: tuple[LeafCount, ...]
    samples: tuple[str, ...]
    change: Movement | None = None


def preview_rule(
    connection: Connection,
    rule: Rule,
    catalogue: Catalogue,
    as_of: datetime,
    dedupe: Dedupe = Dedupe.searched,
    *,
    active: Rule | None = None,
) -> Preview:
    """Count, samples, the count of each leaf, and the change against the active version.

    Both rules are asked now, so that only they make the difference. Raises InputError for errors of
    meaning.
    """

    def counted(asked: Rule) -> _Counted:
        return _counted(connection, asked, catalogue, as_of, dedupe)

    if active is None:
        return counted(rule).preview(rule, as_of)
    both = _either(rule, active, catalogue)
    if both is not None:
        found = counted(both)
        return replace(found.preview(rule, as_of), change=found.movement(rule, active))
    members = [
        {str(name) for name, _ in ask(connection, query, as_of)}
        for query in (compile_rule(each, catalogue, dedupe=dedupe) for each in (active, rule))
    ]
    return replace(counted(rule).preview(rule, as_of), change=_difference(*members))


@dataclass(frozen=True)
class _Group:
    """Customers for whom the same leaves hold; `samples` are any ten, if the rule holds."""

    leaves: tuple[bool, ...]
    customers: int
    samples: tuple[str, ...]


class _Counted:
    """All customers who were asked, in groups; `asked` is what the leaves are of."""

    def __init__(self, asked: Condition, groups: Sequence[_Group]):
        shas = (leaf_sha(each) for each in distinct_leaves(asked))
        self._places = {sha: place for place, sha in enumerate(shas)}
        self._groups = groups

    def preview(self, rule: Rule, as_of: datetime) -> Preview:
        members = self._where(self._condition(rule.rule))
        leaves = distinct_leaves(rule.rule)
        counts = (_number(self._where(self._condition(each))) for each in leaves)
        return Preview(
            as_of,
            _number(members),
            tuple(map(LeafCount, map(condition_sentence, leaves), counts)),
            _samples(members),
        )

    def movement(self, rule: Rule, before: Rule) -> Movement:
        after, first = self._condition(rule.rule), self._condition(before.rule)
        entering = self._where(lambda leaves: after(leaves) and not first(leaves))
        leaving = self._where(lambda leaves: first(leaves) and not after(leaves))
        return Movement(_number(entering), _number(leaving), _samples(entering), _samples(leaving))

    def _condition(self, condition: Condition) -> Callable[[Sequence[bool]], bool]:
        tree = tree_of(condition, self._places)
        return lambda leaves: truth(tree, leaves)

    def _where(self, condition: Callable[[Sequence[bool]], bool]) -> list[_Group]:
        return [each for each in self._groups if condition(each.leaves)]


def _number(groups: Sequence[_Group]) -> int:
    return sum(each.customers for each in groups)


def _samples(groups: Sequence[_Group]) -> tuple[str, ...]:
    return tuple(sorted(name for each in groups for name in each.samples)[:SAMPLES])


def _counted(
    connection: Connection, rule: Rule, catalogue: Catalogue, as_of: datetime, dedupe: Dedupe
) -> _Counted:
    query = compile_rule(rule, catalogue, output=Output.combinations, dedupe=dedupe)
    with connection.transaction():
        connection.execute(_SETTINGS)
        rows = ask(connection, query, as_of)
    places = range(len(distinct_leaves(rule.rule)))
    groups = [
        _Group(
            tuple(bool(cast(int, mask) >> place & 1) for place in places),
            int(str(customers)),
            tuple(cast("list[str] | None", samples) or ()),
        )
        for mask, customers, samples in rows
    ]
    return _Counted(rule.rule, groups)


def _either(rule: Rule, other: Rule, catalogue: Catalogue) -> Rule | None:
    """A rule for those of whom one of the two holds; None when one scan cannot answer both.

    It may be deeper than what a person may write.
    """
    population = population_of(rule, catalogue)
    both = AnyOf.model_construct(kind="any", conditions=(rule.rule, other.rule))
    if population_of(other, catalogue) != population or len(distinct_leaves(both)) > MAX_LEAVES:
        return None
    return rule.model_copy(update={"rule": both, "population": population})


def _difference(before: set[str], after: set[str]) -> Movement:
    entering, leaving = sorted(after - before), sorted(before - after)
    return Movement(
        len(entering), len(leaving), tuple(entering[:SAMPLES]), tuple(leaving[:SAMPLES])
    )
