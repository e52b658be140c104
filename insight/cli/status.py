"""`insight status`: what is in the warehouse, as plain tables."""

from insight.cli.report import fetch, print_rows
from insight.cli.state import out
from insight.database import Connection, DatabaseEndpoint, connect

_SECTIONS = (
    (
        "Files",
        "raw.loaded_files",
        """
        select source, rows, rejected, case when generated then 'generated' else file end as file,
               to_char(loaded_at, 'YYYY-MM-DD HH24:MI') as loaded_at_utc
        from raw.loaded_files order by source
        """,
    ),
    (
        "Streams",
        "streaming.stream_status",
        """
        select stream, state as loader, producer_state as producer,
               concat_ws('; ', state_reason, producer_reason) as reason,
               lag, rows_total as rows, quarantined_total as quarantined,
               to_char(last_event_at, 'YYYY-MM-DD HH24:MI') as last_event_utc,
               to_char(last_commit_at, 'YYYY-MM-DD HH24:MI') as loaded_at_utc
        from streaming.stream_status order by stream
        """,
    ),
    (
        "Segments",
        "marts.fct_customer_segments",
        """
        select segment_name as segment, count(*) as customers,
               round(coalesce(sum(total_revenue), 0)) as revenue
        from marts.fct_customer_segments group by 1 order by 3 desc
        """,
    ),
)


def print_status(database: DatabaseEndpoint) -> None:
    """One table each for files, streams and segments; says what is not there yet."""
    with connect(database) as connection:
        for title, relation, query in _SECTIONS:
            out.print(f"[bold]{title}[/]")
            if _exists(connection, relation):
                print_rows(*fetch(connection, query))
            else:
                out.print("nothing yet; run: insight run")
            out.print()


def _exists(connection: Connection, relation: str) -> bool:
    return connection.execute("select to_regclass(%s)", [relation]).fetchone() != (None,)
