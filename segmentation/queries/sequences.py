"""Sequences in SQL: one pass over the moments of each customer, however many steps there are.

The moment of a step carries the latest first event of a chain that ends there. That one has the
shortest way, so if any chain is short enough, and free of what must not come between, it is this.
"""

from collections.abc import Sequence

from sqlglot import exp

from segmentation.queries.rows import CUSTOMER, Rows
from segmentation.queries.syntax import (
    both,
    column,
    comparison,
    either,
    is_not_null,
    is_null,
    named,
    parameter,
    running_max,
    when,
)
from segmentation.rules import spec

AT = "at"


def sequence_ctes(rows: Rows, leaf: spec.Sequence, name: str) -> list[tuple[str, exp.Query]]:
    """The parts of a WITH; the last has the name and one row a customer who did it."""
    steps = [step for _, step in spec.steps_of(leaf)]
    parts = [(f"{name}_marks", _marks(rows, leaf, steps))]
    parts.append((f"{name}_moments", _moments(f"{name}_marks", len(steps))))
    previous = f"{name}_moments"
    for number in range(len(leaf.steps)):
        parts.append((f"{name}_chain_{number}", _chain(previous, number, leaf, len(steps))))
        previous = parts[-1][0]
    return [*parts, (name, _done(rows, leaf, previous))]


def _marks(rows: Rows, leaf: spec.Sequence, steps: Sequence[spec.Step]) -> exp.Query:
    """A row an event that is some step, with a flag for each step."""
    selects: list[exp.Query] = []
    for name in sorted({each.stream for each in steps}):
        stream = rows.catalogue.streams[name]
        select = rows.events(stream, [leaf.window]).select(
            named(column(stream.customer, "r"), CUSTOMER),
            named(column(stream.event_time, "r"), AT),
            copy=False,
        )
        flags = [
            both([rows.filter_on(one, stream) for one in each.where])
            if each.stream == name
            else exp.false()
            for each in steps
        ]
        for number, flag in enumerate(flags):
            select = select.select(named(flag, f"is_{number}"), copy=False)
        selects.append(select.where(either([exp.paren(each.copy()) for each in flags])))
    marks = selects[0]
    for each in selects[1:]:
        marks = exp.Union(this=marks, expression=each, distinct=False)
    return marks


def _moments(marks: str, count: int) -> exp.Query:
    """A row a customer and moment: events of one moment are not after each other."""
    customer, at = column(CUSTOMER, "k"), column(AT, "k")
    select = exp.Select(expressions=[customer, at]).from_(table_of(marks, "k"))
    for number in range(count):
        flag = exp.LogicalOr(this=column(f"is_{number}", "k"))
        select = select.select(named(flag, f"is_{number}"), copy=False)
    return select.group_by(customer.copy(), at.copy())


def _chain(previous: str, number: int, leaf: spec.Sequence, count: int) -> exp.Query:
    """The moments, with `since_<number>`: the latest start of a chain that ends here."""
    at = column(AT, "k")
    start: exp.Expr = at
    if number:
        start = running_max(column(f"since_{number - 1}", "k"), column(CUSTOMER, "k"), at.copy())
    since = named(when(column(f"is_{number}", "k"), start), f"since_{number}")
    select = exp.Select(expressions=[exp.Column(this=exp.Star(), table=exp.to_identifier("k"))])
    select = select.from_(table_of(previous, "k")).select(since, copy=False)
    if leaf.without and number == len(leaf.steps) - 1:
        forbidden = when(column(f"is_{count - 1}", "k"), at.copy())
        latest = running_max(forbidden, column(CUSTOMER, "k"), at.copy())
        select = select.select(named(latest, "last_forbidden"), copy=False)
    return select


def _done(rows: Rows, leaf: spec.Sequence, chain: str) -> exp.Query:
    since = column(f"since_{len(leaf.steps) - 1}", "k")
    conditions = [is_not_null(since)]
    if leaf.within:
        way = exp.Sub(this=column(AT, "k"), expression=since.copy())
        limit = parameter(rows.parameters.constant(leaf.within))
        conditions.append(comparison("lte", way, limit))
    if leaf.without:
        last = column("last_forbidden", "k")
        conditions.append(either([is_null(last), comparison("lte", last.copy(), since.copy())]))
    return (
        exp.Select(expressions=[column(CUSTOMER, "k")])
        .distinct()
        .from_(table_of(chain, "k"))
        .where(both(conditions))
    )


def table_of(name: str, alias: str) -> exp.Expr:
    return exp.alias_(exp.to_table(name), alias, table=True)
