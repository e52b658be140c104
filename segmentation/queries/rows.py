"""What queries read: the rows of streams that count, and the customers of domains."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from segmentation.queries.plan import Measure, Scan
from segmentation.queries.query import Dedupe, Parameters
from segmentation.queries.syntax import (
    Dialect,
    both,
    column,
    comparison,
    either,
    filtered,
    is_not_null,
    is_null,
    named,
    one_of,
    parameter,
    table,
)
from segmentation.rules.catalogue import (
    CUSTOMER_DIMENSION,
    TRAITS_DOMAIN,
    UNKNOWN_CUSTOMER,
    Catalogue,
    Field,
    Stream,
)
from segmentation.rules.checks import typed_value
from segmentation.rules.spec import Filter, Trait
from segmentation.rules.windows import Window

SCHEMA = "segmentation"
READS, REPEATED, KNOWN, MEMBERS = (
    "stream_reads", "repeated_rows", "known_customers", "current_members",
)  # fmt: skip
CUSTOMER = "customer_id"
# Spark's decimals have 38 digits, and it rounds what it compares where both sides together would
# need more. A sum has ten digits before the point more than its terms, a value of a rule has at
# most 15 digits and 6 of them behind the point: these never need more.
_SPARK_WHOLE_DIGITS = 20
_SPARK_VALUE = "decimal(21, 6)"


@dataclass(frozen=True)
class Rows:
    """Makes the parts of one query that read tables; its parameters are collected on the way."""

    catalogue: Catalogue
    dialect: Dialect
    dedupe: Dedupe
    parameters: Parameters

    # Events

    def events(self, stream: Stream, windows: Sequence[Window]) -> exp.Select:
        """FROM and WHERE of the rows of a stream that count, as `r`, without a select list."""
        select = exp.Select().from_(table(stream.schema, stream.table, "r"))
        conditions = [self.parameters.in_window(column(stream.event_time, "r"), windows)]
        if self.parameters.takes_customers:
            conditions.append(self._is_asked(column(stream.customer, "r")))
        if self.dedupe is Dedupe.noted:
            select = select.join(
                table(SCHEMA, READS, "n"),
                on=both(
                    [
                        comparison("eq", column("partition_id", "n"), column("_partition_id", "r")),
                        comparison("lte", column("_load_id", "r"), column("load_id", "n")),
                    ]
                ),
                copy=False,
            )
            conditions.append(_is_not_noted_as_repeated())
        else:
            conditions.append(_landed_first(stream))
        return select.where(both(conditions), copy=False)

    def scan(self, scan: Scan) -> exp.Query:
        """A row a customer with value_<n> of each measure; an average has sum_<n> and count_<n>.

        And events_<n>, how many events lie in each of the scan's spans.
        """
        stream = scan.stream
        select = self.events(stream, scan.windows).select(
            named(column(stream.customer, "r"), CUSTOMER), copy=False
        )
        for index, measure in enumerate(scan.measures):
            condition = self._measure_condition(measure, scan)
            for name, aggregate in self._aggregates(measure, stream):
                select = select.select(
                    named(filtered(aggregate, condition), f"{name}_{index}"), copy=False
                )
        for index, span in enumerate(scan.spans):
            within = self.parameters.in_window(column(stream.event_time, "r"), span)
            events = filtered(exp.Count(this=exp.Star()), within)
            select = select.select(named(events, f"events_{index}"), copy=False)
        return select.group_by(column(stream.customer, "r"), copy=False)

    def filter_on(self, each: Filter, stream: Stream) -> exp.Expr:
        """A filter on a row `r`."""
        return self.condition_on(each, stream.fields[each.field], self._field(stream, each.field))

    def condition_on(self, each: Filter | Trait, field: Field, value: exp.Expr) -> exp.Expr:
        """What a filter or a trait asks of a value."""
        typed = [typed_value(one, field) for one in each.values]
        constant = self.parameters.constant
        match each.op:
            case "is_set":
                return is_not_null(value)
            case "is_not_set":
                return is_null(value)
            case "in":
                return self._is_listed(value, typed, field)
            case "not_in":
                return exp.not_(self._is_listed(value, typed, field))
            case "between":
                low, high = (parameter(constant(one)) for one in typed)
                return both([comparison("gte", value, low), comparison("lte", value.copy(), high)])
            case "contains":
                part = parameter(constant(typed[0]), "text")
                return comparison(
                    "gt", exp.StrPosition(this=value, substr=part), exp.Literal.number(0)
                )
            case "starts_with":
                return exp.StartsWith(this=value, expression=parameter(constant(typed[0]), "text"))
        return comparison(each.op, value, parameter(constant(typed[0])))

    def _measure_condition(self, measure: Measure, scan: Scan) -> exp.Expr | None:
        conditions = [self.filter_on(each, scan.stream) for each in measure.where]
        if len(scan.windows) > 1:
            moment = column(scan.stream.event_time, "r")
            conditions.insert(0, self.parameters.in_window(moment, [measure.window]))
        return both(conditions) if conditions else None

    def _aggregates(self, measure: Measure, stream: Stream) -> list[tuple[str, exp.Expr]]:
        if measure.field is None:
            return [("value", exp.Count(this=exp.Star()))]
        value = self._field(stream, measure.field)
        match measure.function:
            case "sum":
                return [("value", exp.Sum(this=value))]
            case "avg":
                # Kept apart, because a quotient is rounded and could pass a limit that it only
                # comes near.
                return [("sum", exp.Sum(this=value)), ("count", exp.Count(this=value.copy()))]
            case "min":
                return [("value", exp.Min(this=value))]
            case "max":
                return [("value", exp.Max(this=value))]
        return [("value", exp.Count(this=exp.Distinct(expressions=[value])))]

    def _field(self, stream: Stream, name: str) -> exp.Expr:
        """A field of a row `r`, as the marts keep it."""
        field = stream.fields[name]
        value = column(field.name, "r")
        if field.decimals is None:
            return value
        digits = 38
        if self.dialect is Dialect.spark:
            digits = _SPARK_WHOLE_DIGITS + field.decimals
        return exp.cast(value, f"decimal({digits}, {field.decimals})")

    def _is_listed(self, value: exp.Expr, values: object, field: Field) -> exp.Expr:
        name = self.parameters.constant(values)
        if self.dialect is Dialect.spark and field.type == "number":
            return one_of(value, name, self.dialect, _SPARK_VALUE)
        return one_of(value, name, self.dialect)

    # Customers

    def customers(self, population: Sequence[str]) -> exp.Query:
        """The customers of all domains, each once."""
        return union([each for domain in population for each in self._customers(domain)])

    def _customers(self, domain: str) -> list[exp.Query]:
        found: list[exp.Query] = []
        if domain == TRAITS_DOMAIN:
            unknown = parameter(self.parameters.constant(UNKNOWN_CUSTOMER))
            found.append(
                self._restrict(
                    customers_of(table(*CUSTOMER_DIMENSION, "c")).where(
                        comparison("ne", column(CUSTOMER, "c"), unknown)
                    ),
                    column(CUSTOMER, "c"),
                )
            )
        streams = self.catalogue.streams_of(domain)
        if streams and self.dedupe is Dedupe.noted:
            name = parameter(self.parameters.constant(domain))
            is_domain = comparison("eq", column("domain", "c"), name)
            known_ones = customers_of(table(SCHEMA, KNOWN, "c")).where(is_domain)
            found.append(self._restrict(known_ones, column(CUSTOMER, "c")))
        elif streams:
            for stream in streams:
                rows = exp.Select(
                    expressions=[named(column(stream.customer, "c"), CUSTOMER)]
                ).from_(table(stream.schema, stream.table, "c"))
                restricted = self._restrict(rows, column(stream.customer, "c"))
                found.append(restricted.distinct())
        return found

    def _restrict(self, select: exp.Select, customer: exp.Expr) -> exp.Select:
        if not self.parameters.takes_customers:
            return select
        return select.where(self._is_asked(customer), copy=False)

    def _is_asked(self, customer: exp.Expr) -> exp.Expr:
        return one_of(customer, "customers", self.dialect)


def customers_of(source: exp.Expr) -> exp.Select:
    """The column of customers of a table or a part of the query."""
    return exp.Select(expressions=[column(CUSTOMER, source.alias_or_name)]).from_(source)


def union(parts: Sequence[exp.Query]) -> exp.Query:
    """All customers of the parts, each once; a single part has each once already."""
    first, *others = parts
    for each in others:
        first = exp.Union(this=first, expression=each, distinct=True)
    return first


def _is_not_noted_as_repeated() -> exp.Expr:
    repeated = (
        exp.Select(expressions=[exp.Literal.number(1)])
        .from_(table(SCHEMA, REPEATED, "d"))
        .where(
            both(
                [
                    comparison("eq", column("partition_id", "d"), column("_partition_id", "r")),
                    comparison("eq", column("row_offset", "d"), column("_offset", "r")),
                ]
            )
        )
    )
    return exp.Not(this=exp.Exists(this=repeated))


def _landed_first(stream: Stream) -> exp.Expr:
    """No row of the same event landed before; the order is that of the staging models."""
    is_before = comparison("lt", column("_offset", "earlier"), column("_offset", "r"))
    for name in ("_partition_id", "_load_id"):
        earlier, later = column(name, "earlier"), column(name, "r")
        is_same = comparison("eq", earlier.copy(), later.copy())
        is_before = either([comparison("lt", earlier, later), both([is_same, is_before])])
    same = comparison("eq", column(stream.key, "earlier"), column(stream.key, "r"))
    earlier_row = (
        exp.Select(expressions=[exp.Literal.number(1)])
        .from_(table(stream.schema, stream.table, "earlier"))
        .where(both([same, is_before]))
    )
    return exp.Not(this=exp.Exists(this=earlier_row))
