"""`insight streams`: contracts and the state of the streams, while everything runs."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import psycopg
import typer
from psycopg import sql
from rich.markup import escape

from insight.cli.author import me
from insight.cli.report import fetch, print_rows
from insight.cli.state import out, settings_of
from insight.cli.stream_health import for_people
from insight.database import Connection, DatabaseEndpoint, connect
from insight.services import open_services
from streaming.contract import Contract, document_text, load_contracts, read_contract
from streaming.onboarding import onboarding_of
from streaming.operating import audited, halts
from streaming.registry import Registration, known_stream, open_registry
from streaming.registry import registered_streams as read_registry

app = typer.Typer(
    help="Register streams, look at them, pause them and let them go on.", no_args_is_help=True
)

Stream = Annotated[str, typer.Argument(help="A stream's name, for instance bitcoin-prices.")]

_LIST = """
select stream, state, producer_state as producer, contract_version as version, origin,
       rows_total as rows, lag, quarantined_open as quarantined,
       to_char(last_commit_at, 'YYYY-MM-DD HH24:MI:SS') as loaded_at_utc
from streaming.stream_status order by stream
"""
_STATE = """
select stream, state, concat_ws('; ', state_reason, producer_reason) as reason,
       contract_version as version, origin, topic, 'streaming.' || table_name as "table",
       to_char(registered_at, 'YYYY-MM-DD HH24:MI:SS') as registered_at_utc
from streaming.stream_status where stream = {stream}
"""
_PROGRESS = """
select partition_id as id, topic, partition, state, first_offset as first, next_offset as next,
       greatest(high_watermark - next_offset, 0) as lag, rows_total as rows,
       quarantined_total as quarantined, gap_total as gaps,
       to_char(last_commit_at, 'YYYY-MM-DD HH24:MI:SS') as loaded_at_utc
from streaming.stream_progress where stream = {stream} order by partition_id
"""
_QUARANTINE = """
select quarantine_id as id, topic, partition, "offset", error_code as code, error_path as field,
       left(error_text, 80) as reason, to_char(first_seen_at, 'YYYY-MM-DD HH24:MI:SS') as seen_utc
from streaming.quarantine where stream = {stream} and status = 'open'
order by quarantine_id desc limit 5
"""


@app.command("register")
def register_contract(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A contract: <stream>.odcs.yaml.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would happen, change nothing.")
    ] = False,
) -> None:
    """Put a new or changed contract into use; running loaders take it up within seconds."""
    contract = read_contract(file)
    document = document_text(file)
    with open_services(settings_of(context)) as services:
        open_registry(services.database, load_contracts())
        with connect(services.database) as connection, connection.transaction():
            made = audited.register(connection, contract, document, me())
            if dry_run:
                raise psycopg.Rollback
    _print_registration(made, contract, dry_run=dry_run)


def _print_registration(made: Registration, contract: Contract, *, dry_run: bool) -> None:
    done = "would be registered" if dry_run else "is registered"
    if made.is_unchanged:
        out.print(f"{made.stream} {made.version} is in use already.")
        return
    before = "" if made.is_new else f", after {made.previous}"
    out.print(f"{made.stream} {made.version} {done}{before}.")
    for change in made.changes:
        out.print(f"  {change}", markup=False)
    out.print(f"Topic {contract.topic}, table streaming.{contract.table}.")


@app.command("list")
def list_streams(context: typer.Context) -> None:
    """All streams: state, version, rows, lag, open messages in quarantine."""
    with open_services(settings_of(context)) as services, connect(services.database) as connection:
        if read_registry(connection):
            print_rows(*fetch(connection, _LIST))
        else:
            out.print("No stream is registered yet; run: insight load-streams")


@app.command()
def show(context: typer.Context, stream: Stream) -> None:
    """One stream: its contract, its partitions, and what was quarantined last."""
    with open_services(settings_of(context)) as services, connect(services.database) as connection:
        found = known_stream(connection, stream)
        _print_record(connection, _STATE, stream)
        if found.contract is not None:
            _print_contract(found.contract)
        _print_section(connection, "Partitions", _PROGRESS, stream)
        _print_section(connection, "Last in quarantine", _QUARANTINE, stream)


def _print_record(connection: Connection, query: str, stream: str) -> None:
    columns, rows = fetch(connection, _of(query, stream))
    for name, value in zip(columns, rows[0], strict=True):
        if value not in (None, ""):
            out.print(f"{name:<18} {value}", markup=False)


def _print_contract(contract: Contract) -> None:
    out.print(f"{'freshness':<18} {for_people(contract.freshness_seconds)}")
    out.print(f"{'retention':<18} {for_people(contract.retention_seconds)}")
    out.print("\n[bold]Fields[/]")
    rows = [
        (
            column.name,
            column.physical_type,
            "required" if column.required else "optional",
            _roles_of(column.name, contract),
            column.description,
        )
        for column in contract.columns
    ]
    print_rows(["field", "type", "presence", "role", "description"], rows)


def _roles_of(name: str, contract: Contract) -> str:
    roles = {contract.key: "key", contract.event_time: "event time"}
    return roles.get(name, "")


def _print_section(connection: Connection, title: str, query: str, stream: str) -> None:
    columns, rows = fetch(connection, _of(query, stream))
    out.print(f"\n[bold]{title}[/]")
    if rows:
        print_rows(columns, rows)
    else:
        out.print("none")


def _of(query: str, stream: str) -> str:
    return query.format(stream=sql.Literal(stream).as_string())


@app.command("progress")
def show_progress(context: typer.Context, stream: Stream) -> None:
    """How far a stream has come: registered, topic, first message, rows, models, flowing."""
    with open_services(settings_of(context)) as services:
        open_registry(services.database, load_contracts())
        with connect(services.database) as connection:
            known_stream(connection, stream)
            row = onboarding_of(connection, stream)
    assert row is not None
    print_rows(["step", "reached", "detail"], _steps(row))
    out.print(f"\nNow: {row['now']}", markup=False)


def _steps(row: dict[str, object]) -> list[tuple[object, ...]]:
    def yes(name: str) -> str:
        return "yes" if row[name] else "no"

    def at(name: str) -> str:
        moment = row[name]
        return f"{moment:%Y-%m-%d %H:%M:%S}" if isinstance(moment, datetime) else ""

    models = row["models"]
    assert isinstance(models, list)
    return [
        ("registered", "yes", f"{row['contract_version']}, {at('registered_at')}"),
        ("topic made", yes("is_topic_made"), row["topic"]),
        ("first message", yes("first_message_at"), at("first_message_at")),
        ("loaded", yes("rows_total"), f"{row['rows_total']:,} rows, last {at('last_commit_at')}"),
        ("quarantined", yes("quarantined_total"),
         f"{row['quarantined_total']:,} messages, {row['quarantined_open']:,} open"),
        ("modelled in dbt", yes("is_modelled"), ", ".join(models)),
        ("flowing", yes("is_flowing"), row["state"]),
    ]  # fmt: skip


@app.command()
def pause(context: typer.Context, stream: Stream) -> None:
    """Stop loading a stream until it is resumed; its messages wait in Kafka."""
    with open_services(settings_of(context)) as services, connect(services.database) as connection:
        changed = audited.pause(connection, stream, me())
    out.print(f"{escape(stream)} {'is paused' if changed else 'was paused already'}.")


@app.command()
def resume(context: typer.Context, stream: Stream) -> None:
    """Let a paused stream go on, or one that was halted by bad messages."""
    with open_services(settings_of(context)) as services, connect(services.database) as connection:
        changed = audited.resume(connection, stream, me())
    out.print(f"{escape(stream)} {'goes on' if changed else 'was neither paused nor halted'}.")


@app.command("accept-gap")
def accept_gap(
    context: typer.Context,
    stream: Stream,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Go on without the messages that Kafka has dropped, and record them as lost."""
    with open_services(settings_of(context)) as services:
        with connect(services.database) as connection:
            losses = halts.lost_messages(connection, services.kafka, stream)
        if not losses:
            out.print(f"{escape(stream)} is not halted by a loss.")
            return
        _print_losses(losses)
        if not yes:
            typer.confirm("Go on without them?", abort=True)
        lost = _accept(services.database, stream, losses)
    out.print(f"{escape(stream)} goes on; {lost:,} messages are recorded as lost.")


def _accept(database: DatabaseEndpoint, stream: str, losses: list[halts.Loss]) -> int:
    with connect(database) as connection:
        return audited.accept_losses(connection, stream, losses, me())


def _print_losses(losses: list[halts.Loss]) -> None:
    if any(each.is_recreated for each in losses):
        out.print(
            "The topic was made anew. What was loaded of the old one stays; what the old one had "
            "beyond that is lost; the new one is loaded from its first message."
        )
    columns = ["topic", "partition", "lost from", "to", "messages", "goes on at"]
    rows = [
        (
            each.key.topic,
            each.key.partition,
            each.first if each.messages else None,
            each.end - 1 if each.messages else None,
            each.messages,
            each.low,
        )
        for each in losses
    ]
    print_rows(columns, rows)
