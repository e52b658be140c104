"""Keys that no two rows of a source may share, checked in the database."""

from pathlib import Path

from psycopg import sql

from batch.sources import Source
from batch.tables import table
from batch.validation import quoted
from insight.database import Connection
from insight.errors import InputError


def refuse_duplicates(connection: Connection, source: Source, path: Path) -> None:
    """Raise InputError, naming two lines, when rows of the loaded source share a key."""
    if not source.key:
        return
    query = sql.SQL(
        "select lines[1], lines[2], {values}, count(*) over () from ("
        " select array_agg(_row order by _row) as lines, {firsts} from {table}"
        " group by {keys} having count(*) > 1) as repeated order by 1 limit 1"
    ).format(
        values=sql.SQL(", ").join(map(sql.Identifier, source.key)),
        firsts=sql.SQL(", ").join(
            sql.SQL("min({0}) as {0}").format(sql.Identifier(name)) for name in source.key
        ),
        table=table(source),
        keys=sql.SQL(", ").join(_key_expressions(source)),
    )
    repeated = connection.execute(query).fetchone()
    if repeated is None:
        return
    first, second, *values, keys = repeated
    shown = ", ".join(
        f"{name} {quoted(str(value))}" for name, value in zip(source.key, values, strict=True)
    )
    raise InputError(
        f"{shown} stands on line {first} already ({keys} such in the file)",
        where=f"{path}:{second}",
        next_step="Keep one row for each",
    )


def _key_expressions(source: Source) -> list[sql.Composed]:
    expressions = {column.name: column.key_sql for column in source.columns}
    # The templates are constants of batch.sources, never input.
    return [sql.SQL(expressions[name]).format(sql.Identifier(name)) for name in source.key]
