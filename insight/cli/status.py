"""`insight status`: what is in the warehouse and how the streams do, as plain tables."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from insight.cli.report import fetch
from insight.cli.state import out, wide
from insight.cli.stream_health import Health, StreamHealth, colour_of, for_people, short_number
from insight.database import Connection, DatabaseEndpoint, connect

Rows = list[dict[str, object]]

_QUERIES = {
    "streaming.stream_status": "select * from streaming.stream_status order by stream",
    "streaming.loader_status": """
        select owner as loader, partitions,
               to_char(messages_per_second, 'FM999,999,990') as "messages/s",
               to_char(mean_batch_messages, 'FM999,999,990') as batch,
               to_char(mean_batch_seconds * 1000, 'FM999,990') as "ms a batch",
               concat_ws(' ',
                   round(consume_share * 100), round(decode_share * 100), round(copy_share * 100),
                   round(commit_share * 100), round(idle_share * 100)
               ) as "consume decode copy commit idle %",
               bottleneck
        from streaming.loader_status where seen_at > now() - interval '10 seconds' order by owner
        """,
    "streaming.refresh_status": """
        select *, extract(epoch from now() - refreshed_at) as refreshed_ago,
               extract(epoch from now() - tested_at) as tested_ago
        from streaming.refresh_status
        """,
    "marts.fct_customer_segments": """
        select segment_name as segment, count(*) as customers,
               to_char(round(coalesce(sum(total_revenue), 0)), 'FM999,999,999,990') as revenue
        from marts.fct_customer_segments group by 1 order by sum(total_revenue) desc
        """,
    # Members are counted by `insight segments list`: of large segments that takes a while.
    "segmentation.pipelines": """
        select segment, version,
               to_char(as_of at time zone 'UTC', 'YYYY-MM-DD HH24:MI') as as_of_utc
        from segmentation.pipelines order by segment
        """,
    "segmentation.rule_workers": """
        select worker from segmentation.rule_workers
        where state = 'at work' and seen_at > now() - interval '10 seconds'
        """,
    "segmentation.live_customers": """
        select segment, count(*) as customers,
               to_char(max(last_updated) at time zone 'UTC', 'YYYY-MM-DD HH24:MI')
                   as last_updated_utc
        from segmentation.live_customers group by 1 order by 2 desc
        """,
    "raw.loaded_files": """
        select source, rows, rejected, case when generated then 'generated' else file end as file,
               to_char(loaded_at, 'YYYY-MM-DD HH24:MI') as loaded_at_utc
        from raw.loaded_files order by source
        """,
}
_NOTHING = Text("nothing yet; run: insight run")


@dataclass(frozen=True)
class Snapshot:
    """What the database said at one moment; `at` is its clock in seconds.

    `rows` has the rows of each relation of the status, None for one that is not there.
    """

    at: float
    rows: dict[str, Rows | None] = field(default_factory=dict)

    def streams(self) -> list[StreamHealth]:
        return [StreamHealth.of(row) for row in self.rows["streaming.stream_status"] or []]


def print_status(database: DatabaseEndpoint) -> None:
    """One table each for streams, loaders, models, segments of each kind and files."""
    with connect(database) as connection:
        snapshot = take_snapshot(connection)
    for part in sections(snapshot, None):
        wide.print(part)
        out.print()


def take_snapshot(connection: Connection) -> Snapshot:
    """Read everything the status shows, in one transaction of the database."""
    _, rows = fetch(connection, "select extract(epoch from clock_timestamp())")
    return Snapshot(
        float(str(rows[0][0])),
        {relation: _rows_of(connection, relation) for relation in _QUERIES},
    )


def sections(now: Snapshot, before: Snapshot | None) -> list[RenderableType]:
    """The tables of the status; rates are those since `before`."""
    return [
        Group(Text("Streams", style="bold"), *_streams(now, before)),
        Group(Text("Loaders", style="bold"), _loaders(now)),
        Group(Text("Streaming models", style="bold"), *_models(now)),
        Group(Text("Segments", style="bold"), _plain(now.rows["marts.fct_customer_segments"])),
        Group(Text("Segments by rule", style="bold"), *_rules(now)),
        Group(Text("Live segments", style="bold"), _live(now)),
        Group(Text("Files", style="bold"), _plain(now.rows["raw.loaded_files"])),
    ]


def _streams(now: Snapshot, before: Snapshot | None) -> Iterator[RenderableType]:
    streams = now.streams()
    if not streams:
        yield _NOTHING
        return
    rates = {} if before is None else rows_per_second(now, before)
    table = _table(["stream", "state"], ["lag", "rows", "rows/s", "bad", "age/limit"])
    for each in streams:
        rate = rates.get(each.stream)
        table.add_row(
            each.stream,
            Text(each.state, style=colour_of(each.health)),
            short_number(each.lag),
            short_number(each.rows),
            "" if rate is None else short_number(round(rate)),
            Text(short_number(each.quarantined), style="yellow" if each.quarantined else ""),
            Text(each.freshness, style="" if each.is_fresh else colour_of(Health.warning)),
        )
    yield table
    for each in streams:
        for reason in each.reasons:
            yield Text(f"{each.stream}: {reason}", style=colour_of(each.health))


def rows_per_second(now: Snapshot, before: Snapshot) -> dict[str, float]:
    """Rows loaded a second between two snapshots, by stream; a reset stream counts as 0."""
    seconds = max(now.at - before.at, 1e-6)
    known = {each.stream: each.rows for each in before.streams()}
    return {
        each.stream: max(each.rows - known.get(each.stream, 0), 0) / seconds
        for each in now.streams()
    }


def _loaders(now: Snapshot) -> RenderableType:
    rows = now.rows["streaming.loader_status"]
    return _plain(rows) if rows else Text("none at work; run: insight up")


def _models(now: Snapshot) -> Iterator[RenderableType]:
    rows = now.rows["streaming.refresh_status"]
    if not rows:
        yield Text("not refreshed by a scheduler yet; run: insight up")
        return
    row = rows[0]
    is_well = row["state"] in ("fresh", "waiting")
    line = Text(str(row["state"]), style=colour_of(Health.good if is_well else Health.bad))
    line.append(f", refreshed {_ago(row['refreshed_ago'])}", style="default")
    if row["refresh_seconds"] is not None:
        line.append(f" in {float(str(row['refresh_seconds'])):.1f} s", style="default")
    line.append(f", tested {_ago(row['tested_ago'])}", style="default")
    yield line
    if row["reason"]:
        yield Text(str(row["reason"]), style=colour_of(Health.warning if is_well else Health.bad))


def _rules(now: Snapshot) -> Iterator[RenderableType]:
    rows = now.rows["segmentation.pipelines"]
    if not rows:
        yield Text("none in use; run: insight segments create FILE --activate")
        return
    yield _plain(rows)
    if not now.rows["segmentation.rule_workers"]:
        yield Text("not kept up to date; run: insight up", style=colour_of(Health.warning))


def _live(now: Snapshot) -> RenderableType:
    rows = now.rows["segmentation.live_customers"]
    return _plain(rows) if rows else Text("nothing yet; run: insight up")


def _ago(seconds: object) -> str:
    return "never" if seconds is None else f"{for_people(float(str(seconds)))} ago"


def _plain(rows: Rows | None) -> RenderableType:
    if not rows:
        return _NOTHING
    numbers = [name for name in rows[0] if all(_is_number(row[name]) for row in rows)]
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in rows[0]:
        table.add_column(name, justify="right" if name in numbers else "left", no_wrap=True)
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    return table


def _table(texts: list[str], numbers: list[str]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    for name in texts:
        # Folded first when the terminal is narrow: a number cut short would be a wrong one.
        table.add_column(name, overflow="fold")
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _is_number(value: object) -> bool:
    return str(value).replace(",", "").removeprefix("-").isdigit()


def _rows_of(connection: Connection, relation: str) -> Rows | None:
    if connection.execute("select to_regclass(%s)", [relation]).fetchone() == (None,):
        return None
    columns, rows = fetch(connection, _QUERIES[relation])
    return [dict(zip(columns, row, strict=True)) for row in rows]
