"""A database with the incremental models, and what it must hold."""

from dataclasses import dataclass
from decimal import Decimal

from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest
from increments.arrivals import Arrivals
from increments.expected import EXPECTED
from increments.models import incremental_models, names
from psycopg import sql

from insight.database import Connection, DatabaseEndpoint, connect

Rows = list[tuple[object, ...]]


@dataclass(frozen=True)
class StreamingWarehouse:
    """One database. dbt runs in this process, which spares a start and a parse each time."""

    endpoint: DatabaseEndpoint
    manifest: Manifest

    def dbt(self, *arguments: str) -> None:
        """Any dbt command; it must succeed."""
        outcome = dbtRunner(manifest=self.manifest).invoke(
            ["--quiet", "--no-write-json", *arguments]
        )
        assert outcome.success, outcome.result

    def run(self, *options: str) -> None:
        """Every incremental model, in the order of their dependences."""
        self.dbt("run", "--select", *names(incremental_models(self.manifest)), *options)

    def land(self, arrivals: Arrivals, rows: int) -> None:
        """Rows of every stream, in one transaction."""
        with connect(self.endpoint) as connection:
            arrivals.load(connection, rows)

    def execute(self, *statements: str) -> None:
        with connect(self.endpoint) as connection:
            for statement in statements:
                connection.execute(statement)

    def tables(self, columns: str = "*") -> dict[str, Rows]:
        """The rows of every incremental model, in one order."""
        with connect(self.endpoint) as connection:
            return {
                node.name: _rows(
                    connection,
                    f"select {columns} from {node.schema}.{node.name}",
                )[1]
                for node in incremental_models(self.manifest)
            }

    def assert_as_computed_anew(self) -> None:
        """Each model holds what another query finds in the raw rows."""
        with connect(self.endpoint) as connection:
            for node in incremental_models(self.manifest):
                columns, expected = _rows(connection, EXPECTED[node.name])
                query = sql.SQL("select {} from {}").format(
                    sql.SQL(", ").join(map(sql.Identifier, columns)),
                    sql.Identifier(node.schema, node.name),
                )
                assert _rows(connection, query)[1] == expected, node.name

    def assert_as_full_refresh(self) -> None:
        """A full refresh changes nothing; it is done, and every table made anew."""
        incremental = self.tables()
        self.run("--full-refresh")
        for name, rows in self.tables().items():
            assert incremental[name] == rows, name


def copied(template: DatabaseEndpoint) -> DatabaseEndpoint:
    """The database on which one test works."""
    return template.named(f"{template.dbname}_copy")


def _rows(connection: Connection, query: str | sql.Composed) -> tuple[list[str], Rows]:
    cursor = connection.execute(query)
    assert cursor.description is not None
    return [column.name for column in cursor.description], sorted(cursor.fetchall(), key=_order)


def _order(row: tuple[object, ...]) -> list[tuple[bool, str]]:
    return [(value is None, "" if value is None else _plain(value)) for value in row]


def _plain(value: object) -> str:
    """Equal values look the same: 1.50 is 1.5."""
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)
