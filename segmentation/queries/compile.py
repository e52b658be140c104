"""From a rule to SQL, as a syntax tree: no text of a rule is ever parsed.

Every value is a parameter; every identifier comes from the catalogue or from here. Postgres gets
parameters as psycopg names them, %(name)s, Spark as :name. Windows are parameters too, so the text
of the SQL does not depend on the time, and no date function is in it.
"""

from sqlglot import exp

from segmentation.queries.leaves import Cte, Leaves, formula, mask
from segmentation.queries.plan import Plan, make_plan
from segmentation.queries.query import Dedupe, Output, Parameters, Query
from segmentation.queries.rows import CUSTOMER, Rows, customers_of, union
from segmentation.queries.syntax import Dialect, column, filtered, named
from segmentation.rules import spec
from segmentation.rules.catalogue import Catalogue
from segmentation.rules.spec import Rule

SAMPLES = 10


def compile_rule(
    rule: Rule,
    catalogue: Catalogue,
    *,
    dialect: Dialect = Dialect.postgres,
    output: Output = Output.members,
    dedupe: Dedupe = Dedupe.searched,
    restricted: bool = False,
) -> Query:
    """The query of a rule; `restricted` to customers that are given as a parameter.

    Raises InputError that names the first error of meaning.
    """
    plan = make_plan(rule, catalogue)
    # Postgres alone keeps notes.
    dedupe = dedupe if dialect is Dialect.postgres else Dedupe.searched
    parameters = Parameters(dialect, restricted)
    ctes = _ctes(plan, Rows(catalogue, dialect, dedupe, parameters), output)
    return parameters.query(with_ctes(_result(output, dialect), ctes))


def with_ctes(select: exp.Select, ctes: list[Cte]) -> exp.Select:
    """A query that begins with these parts."""
    for name, cte in ctes:
        select = select.with_(name, as_=cte, copy=False)
    return select


def _ctes(plan: Plan, rows: Rows, output: Output) -> list[Cte]:
    needs_all = output is Output.combinations and not plan.leaves_need_events
    asks_all = needs_all or not plan.only_with_events
    from_scan = not asks_all and len(plan.scans) == 1 and not plan.sequences
    leaves = Leaves(plan, rows, from_scan)
    found = leaves.sources()
    universe = rows.customers(plan.population) if asks_all else _with_events(plan)
    select = leaves.select(universe, values=output is Output.evaluated)
    if output is Output.combinations and rows.dialect is Dialect.postgres:
        # Keeps Postgres from reckoning each leaf once for the mask and once for the formula.
        select = select.offset(0, copy=False)
    return [*found, ("leaves", select), ("evaluated", _evaluated(plan, output))]


def _with_events(plan: Plan) -> exp.Query:
    names = [f"scan_{index}" for index in range(len(plan.scans))]
    names += [f"sequence_{index}" for index in range(len(plan.sequences))]
    return union([customers_of(exp.to_table(name)) for name in names])


def _evaluated(plan: Plan, output: Output) -> exp.Query:
    select = exp.Select().from_(exp.alias_(exp.to_table("leaves"), "l", table=True))
    select = select.select(
        column(CUSTOMER, "l"), named(formula(plan.tree), "matches"), copy=False
    ).select(named(mask(len(plan.leaves)), "leaves"), copy=False)
    if output is Output.evaluated:
        values = [
            column(f"value_{index}", "l")
            for index, leaf in enumerate(plan.leaves)
            if isinstance(leaf, spec.Aggregate)
        ]
        select = select.select(*values, copy=False)
    return select


def _result(output: Output, dialect: Dialect) -> exp.Select:
    evaluated = exp.alias_(exp.to_table("evaluated"), "e", table=True)
    match output:
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
        .select(named(_samples(dialect), "samples"), copy=False)
        .from_(evaluated, copy=False)
        .group_by(leaves.copy(), copy=False)
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
