"""What many rules ask of the same customers, reckoned once a round.

Rules share most of their measures: the total of the last 30 days, say. For the customers of a round
all measures of a stream are put into one temporary table, and one statement finds whose membership
of which segment is another one by now. Few are, and those are asked by the rule itself.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import psycopg
from psycopg import sql

from insight.database import Connection
from segmentation.queries.compile import (
    Dedupe,
    Gathered,
    Output,
    Query,
    compile_measures,
    compile_rule,
)
from segmentation.queries.plan import Measure
from segmentation.rules.catalogue import Catalogue
from segmentation.runtime.clock import BEFORE_ALL
from segmentation.runtime.pipelines import Pipeline

_SCHEMA = "pg_temp"
# A table has at most 1,600 columns, and the average takes two.
_MOST_MEASURES = 700

_CHANGED = """
with matching as materialized (
{queries}
),
members as (
    select segment, customer_id from segmentation.current_members
    where customer_id = any(%(customers)s) and segment = any(%(segments)s)
)
select
    coalesce(matching.segment, members.segment) as segment,
    array_agg(coalesce(matching.customer_id, members.customer_id)) as customers
from matching
full join members
    on members.segment = matching.segment and members.customer_id = matching.customer_id
where matching.customer_id is null or members.customer_id is null
group by 1
"""
_MATCHING = """select %(segment_{number})s::text as segment, customer_id
from ({query}) as rule_{number}"""
_PARAMETER = re.compile(r"%\((\w+)\)s")


class SharedMeasures:
    """The measures of some pipelines by stream, and their rules compiled over them."""

    def __init__(self, pipelines: Sequence[Pipeline], catalogue: Catalogue):
        self._catalogue = catalogue
        numbers: dict[str, dict[Measure, int]] = {}
        plans = {}
        for each in pipelines:
            for scan in each.plan.scans:
                plans[scan.stream.name] = each.plan
                known = numbers.setdefault(scan.stream.name, {})
                for measure in scan.measures:
                    if measure in known or len(known) < _MOST_MEASURES:
                        known.setdefault(measure, len(known))
        self._gathered = {
            name: Gathered(_SCHEMA, f"gathered_{place}", numbers[name])
            for place, name in enumerate(sorted(numbers))
        }
        self._scans = {
            name: compile_measures(catalogue.streams[name], tuple(measures), plans[name], catalogue)
            for name, measures in numbers.items()
        }
        self._queries: dict[str, Query] = {}
        self._has_tables = False

    def covers(self, pipeline: Pipeline) -> bool:
        """Whether all that a rule measures is gathered.

        One that measures nothing gains nothing; one that reads segments has to be asked after them.
        """
        scans = pipeline.plan.scans
        return (
            bool(scans)
            and not pipeline.reads
            and all(
                measure in self._measures(scan.stream.name)
                for scan in scans
                for measure in scan.measures
            )
        )

    def create_tables(self, connection: Connection) -> None:
        """Make the tables for what is gathered; they stay, empty, until the session ends."""
        if self._has_tables:
            return
        # The parameters of a statement that makes a table have to stand in its text.
        with connection.transaction(), psycopg.ClientCursor(connection) as cursor:
            for name, query in self._scans.items():
                table = self._gathered[name].table
                cursor.execute(f"drop table if exists {_SCHEMA}.{table}".encode())
                cursor.execute(
                    f"create temporary table {table} on commit delete rows as {query.sql}"
                    " with no data".encode(),
                    query.parameters(BEFORE_ALL, []),
                )
        self._has_tables = True

    def changed(
        self,
        connection: Connection,
        pipelines: Iterable[Pipeline],
        as_of: datetime,
        customers: Sequence[str],
    ) -> dict[str, list[str]]:
        """Of these segments, which customers would enter or leave at a moment, in any order.

        `customers` are those who are asked. In a transaction of the caller, after `create_tables`.
        """
        for name, query in self._scans.items():
            insert = sql.SQL("insert into {} ").format(
                sql.Identifier(_SCHEMA, self._gathered[name].table)
            )
            connection.execute(
                insert.as_string(connection).encode() + query.sql.encode(),
                query.parameters(as_of, customers),
            )
        statement, values = self._statement(list(pipelines), as_of, customers)
        rows = connection.execute(statement.encode(), values)
        return {str(segment): [str(each) for each in found] for segment, found in rows}  # type: ignore[attr-defined]

    def _statement(
        self, pipelines: Sequence[Pipeline], as_of: datetime, customers: Sequence[str]
    ) -> tuple[str, dict[str, object]]:
        values: dict[str, object] = {
            "customers": list(customers),
            "segments": [each.segment for each in pipelines],
        }
        queries = []
        for number, each in enumerate(pipelines):
            query = self._query(each)
            values[f"segment_{number}"] = each.segment
            for name, value in query.parameters(as_of, customers).items():
                if name != "customers":
                    values[f"{name}_{number}"] = value
            queries.append(_MATCHING.format(number=number, query=_of_rule(query.sql, number)))
        return _CHANGED.format(queries="\nunion all\n".join(queries)), values

    def _query(self, pipeline: Pipeline) -> Query:
        """The query of a rule over what is gathered, for the customers that it is gathered for."""
        if pipeline.segment not in self._queries:
            self._queries[pipeline.segment] = compile_rule(
                pipeline.rule,
                self._catalogue,
                output=Output.members,
                dedupe=Dedupe.noted,
                restricted=True,
                gathered=self._gathered,
            )
        return self._queries[pipeline.segment]

    def _measures(self, stream: str) -> Mapping[Measure, int]:
        found = self._gathered.get(stream)
        return {} if found is None else found.measures


def _of_rule(query: str, number: int) -> str:
    """A query whose parameters bear its number; the customers are those of all."""
    return _PARAMETER.sub(
        lambda found: found[0] if found[1] == "customers" else f"%({found[1]}_{number})s", query
    )
