"""Which conditions hold for each customer: a column a leaf, and what groups make of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlglot import exp

from segmentation.queries.buckets import bucket_limit, salted
from segmentation.queries.plan import Reads, Tree
from segmentation.queries.rows import CUSTOMER, MEMBERS, SCHEMA, Rows, customers_of
from segmentation.queries.sequences import sequence_ctes
from segmentation.queries.syntax import (
    Dialect,
    both,
    column,
    comparison,
    either,
    is_not_null,
    known,
    named,
    one_of,
    parameter,
    table,
    when,
)
from segmentation.rules import spec
from segmentation.rules.catalogue import CUSTOMER_DIMENSION
from segmentation.rules.checks import result_field, typed_value
from segmentation.rules.spec import Trait

Cte = tuple[str, exp.Query]
_SPARK_COUNT = "decimal(10, 0)"


@dataclass(frozen=True)
class Leaves:
    """Makes the columns of some leaves from what was read, joined to `u`, whoever is asked.

    With `from_scan` those are the customers of the only scan.
    """

    reads: Reads
    rows: Rows
    from_scan: bool = False

    def sources(self) -> list[Cte]:
        """The parts of a WITH that read events: scan_<n> and sequence_<n>."""
        found = [(f"scan_{n}", self.rows.scan(each)) for n, each in enumerate(self.reads.scans)]
        for index, leaf in enumerate(self.reads.sequences):
            found += sequence_ctes(self.rows, leaf, f"sequence_{index}")
        return found

    def select(self, universe: exp.Query, *, values: bool) -> exp.Select:
        """customer_id and leaf_<n>; with `values` also value_<n>, the number that was found."""
        select = self._joined(universe)
        for index, leaf in enumerate(self.reads.leaves):
            select = select.select(named(self._leaf(index, leaf), f"leaf_{index}"), copy=False)
            if values and isinstance(leaf, spec.Aggregate):
                select = select.select(named(self._measured(leaf), f"value_{index}"), copy=False)
        return select

    def _joined(self, universe: exp.Query) -> exp.Select:
        select = exp.Select(expressions=[column(CUSTOMER, "u")])
        if self.from_scan:
            select = select.from_(exp.alias_(exp.to_table("scan_0"), "u", table=True))
        else:
            alias = exp.TableAlias(this=exp.to_identifier("u"))
            select = select.from_(exp.Subquery(this=universe, alias=alias))
            for index in range(len(self.reads.scans)):
                select = left_join(select, exp.to_table(f"scan_{index}"), f"scan_{index}")
        for index in range(len(self.reads.sequences)):
            select = left_join(select, exp.to_table(f"sequence_{index}"), f"sequence_{index}")
        if any(isinstance(leaf, Trait) for leaf in self.reads.leaves):
            schema, name = CUSTOMER_DIMENSION
            select = left_join(select, exp.table_(name, db=schema, quoted=True), "trait")
        for index, leaf in enumerate(self.reads.leaves):
            if isinstance(leaf, spec.Member):
                select = left_join(select, self._members(leaf), f"member_{index}")
        return select

    def _members(self, leaf: spec.Member) -> exp.Expr:
        name = parameter(self.rows.parameters.constant(leaf.segment))
        return (
            customers_of(table(SCHEMA, MEMBERS, "c"))
            .where(comparison("eq", column("segment", "c"), name))
            .subquery()
        )

    def _leaf(self, index: int, leaf: spec.Leaf) -> exp.Expr:
        match leaf:
            case spec.Trait():
                field = self.rows.catalogue.traits[leaf.field]
                return known(self.rows.condition_on(leaf, field, column(field.name, "trait")))
            case spec.Aggregate():
                return self._aggregate(leaf)
            case spec.Sequence():
                return is_not_null(column(CUSTOMER, f"sequence_{self.reads.sequences.index(leaf)}"))
            case spec.Member():
                return is_not_null(column(CUSTOMER, f"member_{index}"))
            case spec.CustomerList():
                customers = self.rows.parameters.constant(sorted(set(leaf.customers)))
                return one_of(column(CUSTOMER, "u"), customers, self.rows.dialect)
        return self._bucket(leaf)

    def _bucket(self, leaf: spec.Bucket) -> exp.Expr:
        constant = self.rows.parameters.constant
        salt = parameter(constant(salted(leaf)), "text")
        digest = exp.MD5(this=exp.DPipe(this=salt, expression=column(CUSTOMER, "u")))
        value: exp.Expr = digest
        if self.rows.dialect is Dialect.postgres:
            # Digits come before letters, whatever the language of the database.
            value = exp.Collate(this=digest, expression=exp.to_identifier("C", quoted=True))
        return comparison("lt", value, parameter(constant(bucket_limit(leaf)), "text"))

    def _aggregate(self, leaf: spec.Aggregate) -> exp.Expr:
        stream = self.rows.catalogue.streams[leaf.stream]
        value: object = typed_value(leaf.value, result_field(leaf, stream))
        if leaf.function in ("count", "distinct") and isinstance(value, Decimal):
            # Else every count would be made a decimal first.
            value = int(value) if value == value.to_integral_value() else value
        limit = parameter(self.rows.parameters.constant(value))
        if leaf.function != "avg":
            return known(comparison(leaf.op, self._measured(leaf), limit))
        place, index = self.reads.scan_of(leaf)
        count: exp.Expr = column(f"count_{index}", self._scan(place))
        # Without a value both sides are null or the count is 0.
        has_values = comparison("gt", count.copy(), exp.Literal.number(0))
        if self.rows.dialect is Dialect.spark:
            count = exp.cast(count, _SPARK_COUNT)
        bound = exp.Mul(this=limit, expression=count)
        total = column(f"sum_{index}", self._scan(place))
        return known(both([has_values, comparison(leaf.op, total, bound)]))

    def _measured(self, leaf: spec.Aggregate) -> exp.Expr:
        place, index = self.reads.scan_of(leaf)
        alias = self._scan(place)
        if leaf.function == "avg":
            count = exp.Nullif(this=column(f"count_{index}", alias),
                               expression=exp.Literal.number(0))  # fmt: skip
            total: exp.Expr = column(f"sum_{index}", alias)
            if self.rows.dialect is Dialect.spark:
                # Its quotient of decimals would keep six digits behind the point.
                total = exp.cast(total, "double")
            return exp.Div(this=total, expression=count, typed=True)
        value = column(f"value_{index}", alias)
        if leaf.function in ("count", "sum", "distinct"):
            return exp.Coalesce(this=value, expressions=[exp.Literal.number(0)])
        return value

    def _scan(self, place: int) -> str:
        return "u" if self.from_scan else f"scan_{place}"


def formula(tree: Tree) -> exp.Expr:
    """Whether a condition holds, over the columns leaf_<n> of `l`."""
    if isinstance(tree, int):
        return column(f"leaf_{tree}", "l")
    below = [formula(each) for each in tree.below]
    match tree.group:
        case spec.All():
            return exp.paren(both(below))
        case spec.AnyOf():
            return exp.paren(either(below))
        case spec.Not():
            return exp.not_(exp.paren(below[0]))
    return _n_of(tree.group, below)


def _n_of(group: spec.NOf, below: Sequence[exp.Expr]) -> exp.Expr:
    one, none = exp.Literal.number(1), exp.Literal.number(0)
    count: exp.Expr = none.copy()
    for each in below:
        holds = when(each, one.copy()).else_(none.copy())
        count = exp.Add(this=count, expression=holds)
    bounds = []
    for op, bound in (("gte", group.at_least), ("lte", group.at_most)):
        if bound is not None:
            bounds.append(comparison(op, exp.paren(count.copy()), exp.Literal.number(bound)))
    return exp.paren(both(bounds))


def mask(count: int) -> exp.Expr:
    """The first `count` columns leaf_<n> of `l` as bits of a bigint."""
    found: exp.Expr = exp.cast(exp.Literal.number(0), "bigint")
    for index in range(count):
        # The 64th bit is the sign.
        value = 2**index if index < 63 else -(2**63)
        bit = exp.cast(exp.Literal.number(value), "bigint")
        holds = when(column(f"leaf_{index}", "l"), bit).else_(
            exp.cast(exp.Literal.number(0), "bigint")
        )
        found = exp.Add(this=found, expression=holds)
    return found


def left_join(select: exp.Select, source: exp.Expr, alias: str) -> exp.Select:
    """Join a part with a row a customer, or none, to the customers of `u`."""
    return select.join(
        exp.alias_(source, alias, table=True),
        on=comparison("eq", column(CUSTOMER, alias), column(CUSTOMER, "u")),
        join_type="left",
        copy=False,
    )
