"""What many rules ask of the same customers, reckoned once a round.

Rules share most of their measures: the total of the last 30 days, say. For the customers of a round
all measures of a stream are put into one temporary table, and each rule compares what stands there.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import psycopg

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
from segmentation.runtime.pipelines import Pipeline

_SCHEMA = "pg_temp"
# A table has at most 1,600 columns, and the average takes two.
_MOST_MEASURES = 700


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

    def covers(self, pipeline: Pipeline) -> bool:
        """Whether all that a rule measures is gathered; one that measures nothing gains nothing."""
        scans = pipeline.plan.scans
        return bool(scans) and all(
            measure in self._measures(scan.stream.name)
            for scan in scans
            for measure in scan.measures
        )

    def gather(self, connection: Connection, as_of: datetime, customers: Sequence[str]) -> None:
        """Reckon all measures of these customers, until the transaction ends."""
        # The parameters of a statement that makes a table have to stand in its text.
        with psycopg.ClientCursor(connection) as cursor:
            for name, query in self._scans.items():
                table = self._gathered[name].table
                cursor.execute(
                    f"create temporary table {table} on commit drop as {query.sql}".encode(),
                    query.parameters(as_of, customers),
                )

    def query(self, pipeline: Pipeline) -> Query:
        """The query of a rule over what is gathered, for the customers that it is gathered for."""
        if pipeline.segment not in self._queries:
            self._queries[pipeline.segment] = compile_rule(
                pipeline.rule,
                self._catalogue,
                output=Output.evaluated,
                dedupe=Dedupe.noted,
                restricted=True,
                gathered=self._gathered,
            )
        return self._queries[pipeline.segment]

    def _measures(self, stream: str) -> Mapping[Measure, int]:
        found = self._gathered.get(stream)
        return {} if found is None else found.measures
