"""A database that holds a random world, and what the plain evaluator says of it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from psycopg import sql
from random_rules import CATALOGUE, MEMBERS, OTHER_SEGMENT, TRAITS, rule_of

from insight.database import Connection
from segmentation.queries.compile import compile_rule
from segmentation.queries.evaluator import Customer, Result, evaluate, first_landed
from segmentation.queries.plan import make_plan, population_of
from segmentation.queries.query import Dedupe, Output
from segmentation.rules.catalogue import Catalogue, Stream, build_catalogue
from segmentation.rules.spec import Rule
from segmentation.runtime import arrivals, tables
from streaming.contract import load_contracts
from streaming.tables import create_raw_table

World = Mapping[str, Sequence[Mapping[str, Any]]]

SURROUNDINGS = """
create schema if not exists marts;
create table if not exists marts.dim_customer (
    customer_id text primary key, gender text, location text, customer_tenure_months integer,
    customer_segment text, customer_tenure_years numeric(6, 1)
);
create schema if not exists streaming;
create table if not exists streaming.quarantine
    (stream text, partition_id integer, "offset" bigint, replay_load_id bigint);
"""

CATALOGUE_WITH_OTHERS: Catalogue = build_catalogue(
    load_contracts(),
    {OTHER_SEGMENT: rule_of({"kind": "bucket", "salt": "s", "percent": 50}, name="others")},
)


def lay_out(connection: Connection) -> None:
    """All tables that a rule can read, with traits and members."""
    connection.execute(SURROUNDINGS)
    arrivals.create_tables(connection)
    tables.create_tables(connection)
    for contract in load_contracts():
        create_raw_table(connection, contract)
    connection.execute("insert into marts.dim_customer values ('-1', 'Unknown', 'Unknown')")
    for customer, traits in TRAITS.items():
        connection.execute(
            """insert into marts.dim_customer (customer_id, location, customer_tenure_months)
               values (%s, %s, %s)""",
            (customer, traits["location"], traits["customer_tenure_months"]),
        )
    for customer in MEMBERS:
        connection.execute(
            "insert into segmentation.current_members values (%s, %s)", (OTHER_SEGMENT, customer)
        )


def fill(connection: Connection, world: World) -> None:
    """Replace all events by those of a world; notes on arrivals are gone."""
    for stream in CATALOGUE.streams.values():
        connection.execute(sql.SQL("delete from {}").format(_table(stream)))
    connection.execute(
        """delete from segmentation.stream_reads;
           delete from segmentation.repeated_rows;
           delete from segmentation.known_customers;
           delete from segmentation.changed_customers"""
    )
    add(connection, world)


def add(connection: Connection, world: World) -> None:
    """Land rows."""
    for name, rows in world.items():
        if rows:
            columns = list(rows[0])
            statement = sql.SQL("insert into {} ({}) values ({})").format(
                _table(CATALOGUE.streams[name]),
                sql.SQL(", ").join(map(sql.Identifier, columns)),
                sql.SQL(", ").join(map(sql.Placeholder, columns)),
            )
            with connection.cursor() as cursor:
                cursor.executemany(statement, rows)


def asked(
    connection: Connection,
    rule: Rule,
    as_of: datetime,
    output: Output = Output.evaluated,
    dedupe: Dedupe = Dedupe.searched,
    customers: Sequence[str] | None = None,
    catalogue: Catalogue = CATALOGUE_WITH_OTHERS,
) -> list[dict[str, Any]]:
    """The rows of a rule's query."""
    query = compile_rule(
        rule, catalogue, output=output, dedupe=dedupe, restricted=customers is not None
    )
    cursor = connection.execute(query.sql, query.parameters(as_of, customers))
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def customers_of(
    rule: Rule, world: World, catalogue: Catalogue = CATALOGUE_WITH_OTHERS
) -> dict[str, Customer]:
    """Everybody who is asked, with what is known of each."""
    events = {name: first_landed(catalogue.streams[name], rows) for name, rows in world.items()}
    found = set()
    for domain in population_of(rule, catalogue):
        found |= set(TRAITS) if domain == "ecommerce" else set()
        for stream in catalogue.streams_of(domain):
            found |= {str(row["customer_id"]) for row in world.get(stream.name, ())}
    return {
        customer: Customer(
            customer,
            {
                name: [row for row in rows if row["customer_id"] == customer]
                for name, rows in events.items()
            },
            TRAITS.get(customer, {}),
            frozenset({OTHER_SEGMENT} if customer in MEMBERS else ()),
        )
        for customer in found
    }


def results_of(
    rule: Rule, world: World, as_of: datetime, catalogue: Catalogue = CATALOGUE_WITH_OTHERS
) -> dict[str, Result]:
    """What the plain evaluator says of everybody who is asked."""
    plan = make_plan(rule, catalogue)
    return {
        name: evaluate(plan, catalogue, customer, as_of)
        for name, customer in customers_of(rule, world, catalogue).items()
    }


def members_in_python(rule: Rule, world: World, as_of: datetime) -> set[str]:
    """Who is in the segment, by the plain evaluator."""
    return {name for name, each in results_of(rule, world, as_of).items() if each.matches}


def members_in_sql(connection: Connection, rule: Rule, as_of: datetime) -> set[str]:
    """Who is in the segment, by the database."""
    return {row["customer_id"] for row in asked(connection, rule, as_of, Output.members)}


def _table(stream: Stream) -> sql.Identifier:
    return sql.Identifier(stream.schema, stream.table)
