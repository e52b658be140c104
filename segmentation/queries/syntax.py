"""Short ways to make the nodes of a syntax tree. Nothing here parses text of a rule."""

from collections.abc import Sequence
from enum import StrEnum

from sqlglot import exp


class Dialect(StrEnum):
    """Which database a query is for."""

    postgres = "postgres"
    spark = "spark"


def column(name: str, table: str) -> exp.Column:
    return exp.column(name, table=table, quoted=True)


def table(schema: str, name: str, alias: str) -> exp.Expr:
    return exp.alias_(exp.table_(name, db=schema, quoted=True), alias, table=True)


def named(expression: exp.Expr, name: str) -> exp.Expr:
    return exp.alias_(expression, name, quoted=True)


def parameter(name: str, kind: str | None = None) -> exp.Expr:
    """A placeholder, cast where the database could not tell its type from what is beside it."""
    placeholder = exp.Placeholder(this=name)
    return exp.cast(placeholder, kind) if kind else placeholder


def comparison(op: str, left: exp.Expr, right: exp.Expr) -> exp.Expr:
    return _COMPARISONS[op](this=left, expression=right)


def both(conditions: Sequence[exp.Expr]) -> exp.Expr:
    """All of them; true when there are none."""
    return exp.and_(*conditions) if conditions else exp.true()


def either(conditions: Sequence[exp.Expr]) -> exp.Expr:
    """One of them; false when there are none."""
    return exp.or_(*conditions) if conditions else exp.false()


def known(condition: exp.Expr) -> exp.Expr:
    """The condition, false where it is unknown."""
    return exp.Coalesce(this=condition, expressions=[exp.false()])


def is_null(expression: exp.Expr) -> exp.Expr:
    return exp.Is(this=expression, expression=exp.Null())


def is_not_null(expression: exp.Expr) -> exp.Expr:
    return exp.Not(this=is_null(expression))


def one_of(
    expression: exp.Expr, name: str, dialect: Dialect, spark_type: str | None = None
) -> exp.Expr:
    """Whether it is in the array that is the parameter of that name.

    `spark_type` is what Spark makes of the elements, if they are given as something else.
    """
    values: exp.Expr = exp.Placeholder(this=name)
    if dialect is Dialect.spark:
        if spark_type is not None:
            values = exp.cast(values, f"array<{spark_type}>")
        return exp.ArrayContains(this=values, expression=expression)
    return exp.EQ(this=expression, expression=exp.Any(this=exp.Paren(this=values)))


def filtered(aggregate: exp.Expr, condition: exp.Expr | None) -> exp.Expr:
    """An aggregate of those rows for which the condition holds."""
    if condition is None:
        return aggregate
    return exp.Filter(this=aggregate, expression=exp.Where(this=condition))


def when(condition: exp.Expr, value: exp.Expr) -> exp.Case:
    return exp.Case(ifs=[exp.If(this=condition, true=value)])


def running_max(value: exp.Expr, partition: exp.Expr, order: exp.Expr) -> exp.Expr:
    """The highest value of the rows before this one; null when there is none."""
    return exp.Window(
        this=exp.Max(this=value),
        partition_by=[partition],
        order=exp.Order(expressions=[exp.Ordered(this=order, nulls_first=False)]),
        spec=exp.WindowSpec(
            kind="ROWS",
            start="UNBOUNDED",
            start_side="PRECEDING",
            end=exp.Literal.number(1),
            end_side="PRECEDING",
        ),
    )


_COMPARISONS: dict[str, type[exp.Binary]] = {
    "eq": exp.EQ,
    "ne": exp.NEQ,
    "lt": exp.LT,
    "lte": exp.LTE,
    "gt": exp.GT,
    "gte": exp.GTE,
}
