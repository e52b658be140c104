"""Tables and lines that the commands print."""

import csv
import io
import json
import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from enum import StrEnum

from rich.table import Table
from rich.text import Text

from insight.cli.state import out, wide
from insight.database import Connection, DatabaseEndpoint, connect
from insight.stages import StageOutcome
from streaming.run import StreamReport


class TableFormat(StrEnum):
    """How rows are printed."""

    table = "table"
    csv = "csv"
    json = "json"


def print_outcome(outcome: StageOutcome) -> None:
    """A finished stage: name, what it made, a line each, and seconds at the end of the first."""
    first, *more = outcome.summary.split("\n")
    out.print(f"{outcome.stage.name:<10} {first:<76} {outcome.seconds:6.1f} s")
    for line in more:
        out.print(f"{'':<10} {line}")


def print_segments(database: DatabaseEndpoint) -> None:
    """The segments with their customers and revenue, from the mart."""
    with connect(database) as connection:
        columns, rows = fetch(
            connection,
            """
            select
                segment_name as segment,
                to_char(count(*), 'FM999,999,990') as customers,
                to_char(100.0 * count(*) / sum(count(*)) over (), 'FM990.0') || ' %' as share,
                to_char(sum(total_revenue), 'FM999,999,999,990') as revenue,
                to_char(avg(total_orders), 'FM999,990.0') as "orders each",
                to_char(avg(days_since_last_purchase), 'FM999,990') as "days since last"
            from marts.fct_customer_segments
            group by segment_id, segment_name
            order by sum(total_revenue) desc nulls last
            """,
        )
    out.print()
    print_rows(columns, rows)


def print_next_steps() -> None:
    """Where to go after the main job."""
    insight = _command()
    steps = (
        'query "select * from marts.fct_customer_segments limit 5"',
        "status",
        f'services start && eval "$({insight} env)"   (then plain dbt, psql and jupyter work)',
    )
    out.print()
    for label, step in zip(("Next:", "", ""), steps, strict=True):
        out.print(f"{label:<6} {insight} {step}", markup=False)


def print_streams(report: StreamReport) -> None:
    """One row a stream: what was polled, delivered, loaded and quarantined."""
    columns = ["stream", "polls", "delivered", "loaded", "quarantined", "state"]
    rows = [
        (each.stream, each.polled, each.delivered, each.loaded, each.quarantined, each.state)
        for each in report.streams
    ]
    print_rows(columns, rows)
    for each in report.streams:
        if each.reason:
            out.print(f"{each.stream}: {each.reason}", markup=False)


def fetch(connection: Connection, query: str) -> tuple[list[str], list[tuple[object, ...]]]:
    """Column names and rows of one statement; no rows for one that returns none."""
    # A prepared statement is a single one: what follows a semicolon is refused by the server.
    cursor = connection.execute(query.encode(), prepare=True)
    if cursor.description is None:
        return [], []
    return [column.name for column in cursor.description], cursor.fetchall()


def print_rows(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    style: TableFormat = TableFormat.table,
) -> None:
    """Rows as an aligned table, as CSV or as a JSON list of objects."""
    if style is TableFormat.csv:
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
        out.file.write(buffer.getvalue())
    elif style is TableFormat.json:
        document = [dict(zip(columns, row, strict=True)) for row in rows]
        out.file.write(json.dumps(document, default=str, ensure_ascii=False, indent=1) + "\n")
    else:
        wide.print(_table(columns, rows))


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for index, column in enumerate(columns):
        numeric = rows and all(_is_number(row[index]) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", no_wrap=True)
    for row in rows:
        table.add_row(*("" if value is None else Text(str(value)) for value in row))
    return table


def _is_number(value: object) -> bool:
    text = str(value).removesuffix("%").replace(",", "").strip()
    return value is None or text.removeprefix("-").replace(".", "", 1).isdigit()


def _command() -> str:
    """How to call `insight` from here: by name when it is on the PATH, else by its path."""
    if shutil.which("insight"):
        return "insight"
    return shlex.quote(os.path.relpath(sys.argv[0]))
