"""From a rule to SQL, as a syntax tree: no text of a rule is ever parsed.

Every value is a parameter; every identifier comes from the catalogue or from here. Postgres gets
parameters as psycopg names them, %(name)s, Spark as :name. Windows are parameters too, so the text
of the SQL does not depend on the time, and no date function is in it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from sqlglot import exp

from segmentation.queries.buckets import bucket_limit, salted
from segmentation.queries.plan import Measure, Plan, Scan, Tree, has_start, make_plan, window_bounds
from segmentation.queries.sequences import sequence_ctes
from segmentation.queries.syntax import (
    Dialect,
    both,
    column,
    comparison,
    either,
    filtered,
    is_not_null,
    is_null,
    known,
    named,
    one_of,
    parameter,
    table,
    when,
)
from segmentation.rules import spec
from segmentation.rules.catalogue import (
    CUSTOMER_DIMENSION,
    TRAITS_DOMAIN,
    UNKNOWN_CUSTOMER,
    Catalogue,
    Field,
    Stream,
)
from segmentation.rules.checks import result_field, typed_value
from segmentation.rules.spec import Filter, Rule, Trait
from segmentation.rules.windows import Window

SCHEMA = "segmentation"
READS, REPEATED, KNOWN, MEMBERS = (
    "stream_reads", "repeated_rows", "known_customers", "current_members",
)  # fmt: skip
SAMPLES = 10
CUSTOMER = "customer_id"
# Spark's decimals have 38 digits, and it rounds what it compares where both sides together would
# need more. A sum has ten digits before the point more than its terms, a value of a rule has at
# most 15 digits and 6 of them behind the point: these never need more.
_SPARK_WHOLE_DIGITS = 20
_SPARK_VALUE = "decimal(21, 6)"
_SPARK_COUNT = "decimal(10, 0)"


class Dedupe(StrEnum):
    """How an event that arrived twice is counted once: the row that landed first counts.

    `searched` looks for an earlier row of each id, and needs no state. `noted` reads the rows that
    `segmentation.runtime.arrivals` has read, but for those that it noted as repeated.
    """

    searched = "searched"
    noted = "noted"


class Output(StrEnum):
    """What a query returns.

    `members`: customer_id and leaves, a bit mask, of each customer in the segment. `evaluated`: of
    each customer that is asked, also matches and value_<leaf>; customers without events are left
    out when they cannot match. `combinations`: leaves, customers and samples of each combination of
    leaves that occurs; samples are any ten of those customers, if they are in the segment.
    """

    members = "members"
    evaluated = "evaluated"
    combinations = "combinations"


@dataclass(frozen=True)
class Gathered:
    """Measures of a stream that were reckoned before: a table with a row a customer.

    `measures` are by their numbers, which are those of `compile_measures`.
    """

    schema: str
    table: str
    measures: Mapping[Measure, int]


@dataclass(frozen=True)
class Query:
    """SQL and what its parameters are at a moment."""

    sql: str
    dialect: Dialect
    constants: Mapping[str, object]
    windows: Mapping[str, tuple[Window, ...]]
    takes_customers: bool

    def parameters(
        self, as_of: datetime, customers: Sequence[str] | None = None
    ) -> dict[str, object]:
        """All parameters by name. `customers` are wanted exactly if the query is restricted."""
        if (customers is not None) is not self.takes_customers:
            raise ValueError("customers are given to a restricted query only, and always to one")
        found = dict(self.constants)
        for name, windows in self.windows.items():
            start, end = window_bounds(windows, as_of)
            found[f"{name}_end"] = end
            if has_start(windows):
                found[f"{name}_start"] = start
        if customers is not None:
            found["customers"] = list(customers)
        if self.dialect is Dialect.spark:
            return {name: _spark_argument(value) for name, value in found.items()}
        return found


def _spark_argument(value: object) -> object:
    """As Spark takes it: to it each decimal has a type of its own, and a list must be of one."""
    if isinstance(value, list):
        return [f"{each:f}" if isinstance(each, Decimal) else each for each in value]
    return value


def compile_rule(
    rule: Rule,
    catalogue: Catalogue,
    *,
    dialect: Dialect = Dialect.postgres,
    output: Output = Output.members,
    dedupe: Dedupe = Dedupe.searched,
    restricted: bool = False,
    gathered: Mapping[str, Gathered] | None = None,
) -> Query:
    """The query of a rule; `restricted` to customers that are given as a parameter.

    Measures of the streams in `gathered` are read from there, and hold for the customers and the
    moment that they were gathered for. Raises InputError that names the first error of meaning.
    """
    plan = make_plan(rule, catalogue)
    return Compiler(plan, catalogue, dialect, output, dedupe, restricted, gathered).query()


def compile_measures(
    stream: Stream, measures: Sequence[Measure], plan: Plan, catalogue: Catalogue
) -> Query:
    """Measures of one stream for customers that are given: their numbers are their places.

    `plan` is that of any rule. Repeated rows are found by notes.
    """
    compiler = Compiler(
        plan, catalogue, Dialect.postgres, Output.evaluated, Dedupe.noted, restricted=True
    )
    return compiler.measures(Scan(stream, tuple(measures)))


class Compiler:
    """Builds one query; collects its parameters on the way."""

    def __init__(
        self,
        plan: Plan,
        catalogue: Catalogue,
        dialect: Dialect,
        output: Output,
        dedupe: Dedupe,
        restricted: bool,
        gathered: Mapping[str, Gathered] | None = None,
    ):
        self._gathered = gathered or {}
        self.plan = plan
        self.catalogue = catalogue
        self.dialect = dialect
        # Postgres alone keeps notes.
        self.dedupe = dedupe if dialect is Dialect.postgres else Dedupe.searched
        self.restricted = restricted
        self._output = output
        self._constants: dict[str, object] = {}
        self._windows: dict[str, tuple[Window, ...]] = {}
        self._ctes: list[tuple[str, exp.Query]] = []
        needs_all = output is Output.combinations and not plan.leaves_need_events
        self._asks_all = needs_all or not plan.only_with_events

    def query(self) -> Query:
        for index, scan in enumerate(self.plan.scans):
            self._ctes.append((f"scan_{index}", self._scan(scan)))
        for index, leaf in enumerate(self.plan.sequences):
            self._ctes += sequence_ctes(self, leaf, f"sequence_{index}")
        self._ctes.append(("leaves", self._leaves()))
        self._ctes.append(("evaluated", self._evaluated()))
        select = self._result()
        for name, cte in self._ctes:
            select = select.with_(name, as_=cte, copy=False)
        return self._query(select)

    def measures(self, scan: Scan) -> Query:
        """The query of one scan alone."""
        return self._query(self._scan(scan))

    def _query(self, select: exp.Query) -> Query:
        return Query(
            select.sql(self.dialect.value, pretty=True),
            self.dialect,
            self._constants,
            self._windows,
            self.restricted,
        )

    # Parameters

    def constant(self, value: object) -> str:
        """The name of a parameter with a value that stays."""
        for name, other in self._constants.items():
            # Not by equality: 1 is true, and a parameter has one type.
            if repr(other) == repr(value):
                return name
        name = f"p{len(self._constants)}"
        self._constants[name] = value
        return name

    def in_window(self, moment: exp.Expr, windows: Sequence[Window]) -> exp.Expr:
        """Whether a moment lies in the least span that holds all windows."""
        span = tuple(windows)
        name = next((key for key, each in self._windows.items() if each == span), None)
        if name is None:
            name = f"w{len(self._windows)}"
            self._windows[name] = span
        bounds = [comparison("lt", moment, parameter(f"{name}_end"))]
        if has_start(span):
            bounds.insert(0, comparison("gte", moment.copy(), parameter(f"{name}_start")))
        return both(bounds)

    # What is read

    def events(self, stream: Stream, windows: Sequence[Window]) -> exp.Select:
        """FROM and WHERE of the rows of a stream that count, as `r`, without a select list."""
        select = exp.Select().from_(table(stream.schema, stream.table, "r"))
        conditions = [self.in_window(column(stream.event_time, "r"), windows)]
        if self.restricted:
            conditions.append(self._only(column(stream.customer, "r")))
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
            conditions.append(self._is_not_noted_as_repeated())
        else:
            conditions.append(self._landed_first(stream))
        return select.where(both(conditions), copy=False)

    def _only(self, customer: exp.Expr) -> exp.Expr:
        return one_of(customer, "customers", self.dialect)

    def _is_not_noted_as_repeated(self) -> exp.Expr:
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

    def _landed_first(self, stream: Stream) -> exp.Expr:
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

    def _gathered_scan(self, scan: Scan, gathered: Gathered) -> exp.Query:
        select = exp.Select().from_(table(gathered.schema, gathered.table, "g"))
        select = select.select(column(CUSTOMER, "g"), copy=False)
        for index, measure in enumerate(scan.measures):
            number = gathered.measures[measure]
            for name in ("sum", "count") if measure.function == "avg" else ("value",):
                found = column(f"{name}_{number}", "g")
                select = select.select(named(found, f"{name}_{index}"), copy=False)
        return select

    def _scan(self, scan: Scan) -> exp.Query:
        stream = scan.stream
        if stream.name in self._gathered:
            return self._gathered_scan(scan, self._gathered[stream.name])
        select = self.events(stream, scan.windows).select(
            named(column(stream.customer, "r"), CUSTOMER), copy=False
        )
        for index, measure in enumerate(scan.measures):
            condition = self._measure_condition(measure, scan)
            for name, aggregate in self._aggregates(measure, stream):
                select = select.select(
                    named(filtered(aggregate, condition), f"{name}_{index}"), copy=False
                )
        return select.group_by(column(stream.customer, "r"), copy=False)

    def _measure_condition(self, measure: Measure, scan: Scan) -> exp.Expr | None:
        conditions = [self.filter_on(each, scan.stream) for each in measure.where]
        if len(scan.windows) > 1:
            moment = column(scan.stream.event_time, "r")
            conditions.insert(0, self.in_window(moment, [measure.window]))
        return both(conditions) if conditions else None

    def _aggregates(self, measure: Measure, stream: Stream) -> list[tuple[str, exp.Expr]]:
        if measure.field is None:
            return [("value", exp.Count(this=exp.Star()))]
        value = self.field_of(stream, measure.field)
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

    def field_of(self, stream: Stream, name: str) -> exp.Expr:
        """A field of a row `r`, as the marts keep it."""
        field = stream.fields[name]
        value = column(field.name, "r")
        if field.decimals is None:
            return value
        digits = 38
        if self.dialect is Dialect.spark:
            digits = _SPARK_WHOLE_DIGITS + field.decimals
        return exp.cast(value, f"decimal({digits}, {field.decimals})")

    def filter_on(self, each: Filter, stream: Stream) -> exp.Expr:
        """A filter on a row `r`."""
        return self._condition_on(
            each, stream.fields[each.field], self.field_of(stream, each.field)
        )

    def _condition_on(self, each: Filter | Trait, field: Field, value: exp.Expr) -> exp.Expr:
        typed = [typed_value(one, field) for one in each.values]
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
                low, high = (parameter(self.constant(one)) for one in typed)
                return both([comparison("gte", value, low), comparison("lte", value.copy(), high)])
            case "contains":
                part = parameter(self.constant(typed[0]), "text")
                return comparison(
                    "gt", exp.StrPosition(this=value, substr=part), exp.Literal.number(0)
                )
            case "starts_with":
                part = parameter(self.constant(typed[0]), "text")
                return exp.StartsWith(this=value, expression=part)
        return comparison(each.op, value, parameter(self.constant(typed[0])))

    def _is_listed(self, value: exp.Expr, values: object, field: Field) -> exp.Expr:
        if self.dialect is Dialect.spark and field.type == "number":
            return one_of(value, self.constant(values), self.dialect, _SPARK_VALUE)
        return one_of(value, self.constant(values), self.dialect)

    # Who is asked

    def _universe(self) -> exp.Query:
        if not self._asks_all:
            names = [f"scan_{index}" for index in range(len(self.plan.scans))]
            names += [f"sequence_{index}" for index in range(len(self.plan.sequences))]
            return _union([_customers_of(exp.to_table(name)) for name in names])
        return _union([each for name in self.plan.population for each in self._customers(name)])

    def _customers(self, domain: str) -> list[exp.Query]:
        found: list[exp.Query] = []
        if domain == TRAITS_DOMAIN:
            unknown = parameter(self.constant(UNKNOWN_CUSTOMER))
            found.append(
                self._restrict(
                    _customers_of(table(*CUSTOMER_DIMENSION, "c")).where(
                        comparison("ne", column(CUSTOMER, "c"), unknown)
                    ),
                    column(CUSTOMER, "c"),
                )
            )
        streams = self.catalogue.streams_of(domain)
        if streams and self.dedupe is Dedupe.noted:
            is_domain = comparison("eq", column("domain", "c"), parameter(self.constant(domain)))
            known_ones = _customers_of(table(SCHEMA, KNOWN, "c")).where(is_domain)
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
        return select.where(self._only(customer), copy=False) if self.restricted else select

    # What holds

    def _leaves(self) -> exp.Query:
        select = exp.Select(expressions=[column(CUSTOMER, "u")])
        source = exp.Subquery(
            this=self._universe(), alias=exp.TableAlias(this=exp.to_identifier("u"))
        )
        is_scan = not self._asks_all and len(self.plan.scans) == 1 and not self.plan.sequences
        if is_scan:
            select = select.from_(exp.alias_(exp.to_table("scan_0"), "u", table=True))
        else:
            select = select.from_(source)
            for index in range(len(self.plan.scans)):
                select = _left_join(select, exp.to_table(f"scan_{index}"), f"scan_{index}")
        for index in range(len(self.plan.sequences)):
            select = _left_join(select, exp.to_table(f"sequence_{index}"), f"sequence_{index}")
        if any(isinstance(leaf, Trait) for leaf in self.plan.leaves):
            select = _left_join(select, exp.table_(CUSTOMER_DIMENSION[1], db=CUSTOMER_DIMENSION[0],
                                                   quoted=True), "trait")  # fmt: skip
        for index, leaf in enumerate(self.plan.leaves):
            if isinstance(leaf, spec.Member):
                select = _left_join(select, self._members(leaf), f"member_{index}")
            select = select.select(
                named(self._leaf(index, leaf, "u" if is_scan else None), f"leaf_{index}"),
                copy=False,
            )
            if isinstance(leaf, spec.Aggregate) and self._output is Output.evaluated:
                value = self._measured(leaf, "u" if is_scan else None)
                select = select.select(named(value, f"value_{index}"), copy=False)
        if self._output is Output.combinations and self.dialect is Dialect.postgres:
            # Keeps Postgres from reckoning each leaf once for the mask and once for the formula.
            select = select.offset(0, copy=False)
        return select

    def _members(self, leaf: spec.Member) -> exp.Expr:
        name = parameter(self.constant(leaf.segment))
        return (
            _customers_of(table(SCHEMA, MEMBERS, "c"))
            .where(comparison("eq", column("segment", "c"), name))
            .subquery()
        )

    def _leaf(self, index: int, leaf: spec.Leaf, scan_alias: str | None) -> exp.Expr:
        match leaf:
            case spec.Trait():
                field = self.catalogue.traits[leaf.field]
                return known(self._condition_on(leaf, field, column(field.name, "trait")))
            case spec.Aggregate():
                return self._aggregate_leaf(leaf, scan_alias)
            case spec.Sequence():
                return is_not_null(column(CUSTOMER, f"sequence_{self.plan.sequences.index(leaf)}"))
            case spec.Member():
                return is_not_null(column(CUSTOMER, f"member_{index}"))
            case spec.CustomerList():
                customers = sorted(set(leaf.customers))
                return one_of(column(CUSTOMER, "u"), self.constant(customers), self.dialect)
        return self._bucket(leaf)

    def _bucket(self, leaf: spec.Bucket) -> exp.Expr:
        salt = parameter(self.constant(salted(leaf)), "text")
        digest = exp.MD5(this=exp.DPipe(this=salt, expression=column(CUSTOMER, "u")))
        value: exp.Expr = digest
        if self.dialect is Dialect.postgres:
            # Digits come before letters, whatever the language of the database.
            value = exp.Collate(this=digest, expression=exp.to_identifier("C", quoted=True))
        return comparison("lt", value, parameter(self.constant(bucket_limit(leaf)), "text"))

    def _aggregate_leaf(self, leaf: spec.Aggregate, scan_alias: str | None) -> exp.Expr:
        stream = self.catalogue.streams[leaf.stream]
        value: object = typed_value(leaf.value, result_field(leaf, stream))
        if leaf.function in ("count", "distinct") and isinstance(value, Decimal):
            # Else every count would be made a decimal first.
            value = int(value) if value == value.to_integral_value() else value
        limit = parameter(self.constant(value))
        if leaf.function != "avg":
            return known(comparison(leaf.op, self._measured(leaf, scan_alias), limit))
        place, index = self.plan.scan_of(leaf)
        alias = scan_alias or f"scan_{place}"
        count: exp.Expr = column(f"count_{index}", alias)
        # Without a value both sides are null or the count is 0.
        has_values = comparison("gt", count.copy(), exp.Literal.number(0))
        if self.dialect is Dialect.spark:
            count = exp.cast(count, _SPARK_COUNT)
        bound = exp.Mul(this=limit, expression=count)
        return known(both([has_values, comparison(leaf.op, column(f"sum_{index}", alias), bound)]))

    def _measured(self, leaf: spec.Aggregate, scan_alias: str | None) -> exp.Expr:
        place, index = self.plan.scan_of(leaf)
        alias = scan_alias or f"scan_{place}"
        if leaf.function == "avg":
            count = exp.Nullif(this=column(f"count_{index}", alias),
                               expression=exp.Literal.number(0))  # fmt: skip
            total: exp.Expr = column(f"sum_{index}", alias)
            if self.dialect is Dialect.spark:
                # Its quotient of decimals would keep six digits behind the point.
                total = exp.cast(total, "double")
            return exp.Div(this=total, expression=count, typed=True)
        value = column(f"value_{index}", alias)
        if leaf.function in ("count", "sum", "distinct"):
            return exp.Coalesce(this=value, expressions=[exp.Literal.number(0)])
        return value

    def _formula(self, tree: Tree) -> exp.Expr:
        if isinstance(tree, int):
            return column(f"leaf_{tree}", "l")
        below = [self._formula(each) for each in tree.below]
        match tree.group:
            case spec.All():
                return exp.paren(both(below))
            case spec.AnyOf():
                return exp.paren(either(below))
            case spec.Not():
                return exp.not_(exp.paren(below[0]))
        return self._n_of(tree.group, below)

    def _n_of(self, group: spec.NOf, below: Sequence[exp.Expr]) -> exp.Expr:
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

    def _evaluated(self) -> exp.Query:
        select = exp.Select().from_(exp.alias_(exp.to_table("leaves"), "l", table=True))
        select = select.select(
            column(CUSTOMER, "l"),
            named(self._formula(self.plan.tree), "matches"),
            copy=False,
        )
        select = select.select(named(self._mask(), "leaves"), copy=False)
        if self._output is Output.evaluated:
            values = [
                column(f"value_{index}", "l")
                for index, leaf in enumerate(self.plan.leaves)
                if isinstance(leaf, spec.Aggregate)
            ]
            select = select.select(*values, copy=False)
        return select

    def _mask(self) -> exp.Expr:
        mask: exp.Expr = exp.cast(exp.Literal.number(0), "bigint")
        for index in range(len(self.plan.leaves)):
            # The 64th bit is the sign.
            value = 2**index if index < 63 else -(2**63)
            bit = exp.cast(exp.Literal.number(value), "bigint")
            holds = when(column(f"leaf_{index}", "l"), bit).else_(
                exp.cast(exp.Literal.number(0), "bigint")
            )
            mask = exp.Add(this=mask, expression=holds)
        return mask

    # What is returned

    def _result(self) -> exp.Select:
        evaluated = exp.alias_(exp.to_table("evaluated"), "e", table=True)
        match self._output:
            case Output.members:
                return (
                    exp.Select(expressions=[column(CUSTOMER, "e"), column("leaves", "e")])
                    .from_(evaluated)
                    .where(column("matches", "e"))
                )
            case Output.evaluated:
                return exp.Select(expressions=[exp.Star()]).from_(evaluated)
        leaves, customers = column("leaves", "e"), exp.Count(this=exp.Star())
        return (
            exp.Select(expressions=[leaves, named(customers, "customers")])
            .select(named(_samples(self.dialect), "samples"), copy=False)
            .from_(evaluated, copy=False)
            .group_by(leaves.copy(), copy=False)
        )


def _customers_of(source: exp.Expr) -> exp.Select:
    name = source.alias_or_name
    return exp.Select(expressions=[column(CUSTOMER, name)]).from_(source)


def _union(parts: Sequence[exp.Query]) -> exp.Query:
    """All customers of the parts, each once; a single part has each once already."""
    first, *others = parts
    for each in others:
        first = exp.Union(this=first, expression=each, distinct=True)
    return first


def _left_join(select: exp.Select, source: exp.Expr, alias: str) -> exp.Select:
    return select.join(
        exp.alias_(source, alias, table=True),
        on=comparison("eq", column(CUSTOMER, alias), column(CUSTOMER, "u")),
        join_type="left",
        copy=False,
    )


def _samples(dialect: Dialect) -> exp.Expr:
    """Some of the members. The first in an order would need a second pass over all customers."""
    members = filtered(exp.ArrayAgg(this=column(CUSTOMER, "e")), column("matches", "e"))
    first, last = exp.Literal.number(1), exp.Literal.number(SAMPLES)
    if dialect is Dialect.spark:
        return exp.Anonymous(this="SLICE", expressions=[members, first, last])
    return exp.Bracket(
        this=exp.Paren(this=members),
        expressions=[exp.Slice(this=first, expression=last)],
        offset=1,
    )
