"""Many rules in one query: what they share is read once, and each leaf is reckoned once.

A query returns a row for each customer who is asked, with the numbers of the rules that match, and
what each rule's answer stands on.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sqlglot import exp

from segmentation.queries.compile import with_ctes
from segmentation.queries.leaves import Leaves, formula, left_join
from segmentation.queries.plan import Plan, Reads, Scan, make_scans, tree_of
from segmentation.queries.query import Dedupe, Parameters, Query
from segmentation.queries.rows import CUSTOMER, Rows
from segmentation.queries.syntax import (
    Dialect,
    column,
    comparison,
    either,
    is_not_null,
    known,
    named,
    parameter,
    when,
)
from segmentation.rules.catalogue import Catalogue
from segmentation.rules.spec import Leaf

MATCHING = "matching"
# A table has at most 1,600 columns; an average takes two, and a leaf shows what was found.
_MOST_LEAVES, _MOST_RULES = 400, 200


@dataclass(frozen=True)
class Answer:
    """Where a rule's answer stands in the rows of `Together`.

    `leaves` are its leaves' places, in its own order; leaf_<place> tells whether one holds and
    value_<place> what was found. Where the column `is_asked` is false, the rule's own query has no
    row of the customer.
    """

    is_asked: str
    leaves: tuple[int, ...]


@dataclass(frozen=True)
class Together:
    """One query of many rules, for customers that are given.

    Its column `matching` has the numbers, from 1, of the rules that match; `answers` are in their
    order.
    """

    query: Query
    leaves: tuple[Leaf, ...]
    answers: tuple[Answer, ...]


def parts(plans: Iterable[Plan]) -> Iterator[list[Plan]]:
    """Plans in their order, cut so that each part fits into one query."""
    part: list[Plan] = []
    shas: set[str] = set()
    for each in plans:
        if part and (len(part) >= _MOST_RULES or len(shas.union(each.shas)) > _MOST_LEAVES):
            yield part
            part, shas = [], set()
        part.append(each)
        shas.update(each.shas)
    if part:
        yield part


def compile_together(plans: Sequence[Plan], catalogue: Catalogue) -> Together:
    """The query of some rules of which none reads a segment. Repeated rows are found by notes."""
    parameters = Parameters(Dialect.postgres, takes_customers=True)
    rows = Rows(catalogue, Dialect.postgres, Dedupe.noted, parameters)
    leaves = {sha: leaf for each in plans for sha, leaf in zip(each.shas, each.leaves, strict=True)}
    places = {sha: place for place, sha in enumerate(leaves)}
    scans = make_scans(tuple(leaves.values()), catalogue)
    reads = Reads(tuple(leaves.values()), tuple(_with_spans(each, plans) for each in scans))
    made = Leaves(reads, rows)
    ctes = made.sources()
    select = made.select(_asked(), values=True)
    conditions: dict[object, str] = {}
    for each in plans:
        key = _what_is_asked(each)
        if key in conditions:
            continue
        conditions[key] = f"is_asked_{len(conditions)}"
        if each.only_with_events:
            condition = _has_events(each, reads)
        else:
            population = f"population_{len(conditions)}"
            ctes.append((population, rows.customers(each.population)))
            select = left_join(select, exp.to_table(population), population)
            condition = is_not_null(column(CUSTOMER, population))
        select = select.select(named(condition, conditions[key]), copy=False)
    answers = tuple(
        Answer(conditions[_what_is_asked(each)], tuple(places[sha] for sha in each.shas))
        for each in plans
    )
    matching = [
        when(
            exp.and_(
                column(answer.is_asked, "l"), formula(tree_of(each.rule.rule, places)), copy=False
            ),
            exp.Literal.number(number),
        )
        for number, (each, answer) in enumerate(zip(plans, answers, strict=True), start=1)
    ]
    numbers = exp.Anonymous(
        this="ARRAY_REMOVE", expressions=[exp.Array(expressions=matching), exp.Null()]
    )
    result = exp.Select(
        expressions=[
            exp.Column(this=exp.Star(), table=exp.to_identifier("l")),
            named(numbers, MATCHING),
        ]
    ).from_(exp.alias_(exp.to_table("leaves"), "l", table=True))
    query = parameters.query(with_ctes(result, [*ctes, ("leaves", select)]))
    return Together(query, reads.leaves, answers)


def _asked() -> exp.Query:
    customers = exp.Unnest(
        expressions=[exp.cast(parameter("customers"), "text[]")],
        alias=exp.TableAlias(
            this=exp.to_identifier("a"), columns=[exp.to_identifier(CUSTOMER, quoted=True)]
        ),
    )
    return exp.Select(expressions=[column(CUSTOMER, "a")]).from_(customers)


def _what_is_asked(plan: Plan) -> object:
    """The same for plans whose own queries have rows of the same customers."""
    if not plan.only_with_events:
        return plan.population
    return tuple((each.stream.name, each.windows) for each in plan.scans), plan.sequences


def _with_spans(scan: Scan, plans: Iterable[Plan]) -> Scan:
    spans = {
        each.windows: None
        for plan in plans
        if plan.only_with_events
        for each in plan.scans
        if each.stream.name == scan.stream.name
    }
    return replace(scan, spans=tuple(spans))


def _has_events(plan: Plan, reads: Reads) -> exp.Expr:
    """Whether a customer has an event in a scan or a sequence of the rule."""
    conditions: list[exp.Expr] = []
    for each in plan.scans:
        place = next(n for n, one in enumerate(reads.scans) if one.stream.name == each.stream.name)
        index = reads.scans[place].spans.index(each.windows)
        events = column(f"events_{index}", f"scan_{place}")
        conditions.append(known(comparison("gt", events, exp.Literal.number(0))))
    for leaf in plan.sequences:
        name = f"sequence_{reads.sequences.index(leaf)}"
        conditions.append(is_not_null(column(CUSTOMER, name)))
    return either(conditions)
