"""`insight quarantine`: messages that could not be loaded."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from insight.cli.author import me
from insight.cli.report import print_rows
from insight.cli.state import out, settings_of
from insight.database import Connection, connect
from insight.errors import InputError
from insight.services import open_services
from streaming.contract import load_contracts
from streaming.operating.quarantine import (
    Quarantined,
    Resolution,
    Selection,
    quarantined,
    quarantined_message,
    selected_ids,
)
from streaming.operating.quarantine import ignore as ignore_messages
from streaming.operating.replay import ReplayReport
from streaming.operating.replay import replay as replay_messages
from streaming.registry import open_registry

app = typer.Typer(
    help="Look at messages in quarantine, replay them or put them aside.", no_args_is_help=True
)

Stream = Annotated[str | None, typer.Option("--stream", help="Of this stream only.")]
Code = Annotated[str | None, typer.Option("--code", help="Refused for this reason only.")]

_TEXT_WIDTH = 100


class Status(StrEnum):
    """What became of a message, or `all`."""

    open = "open"
    replayed = "replayed"
    ignored = "ignored"
    all = "all"


@app.command("list")
def list_messages(
    context: typer.Context,
    stream: Stream = None,
    code: Code = None,
    status: Annotated[Status, typer.Option(help="What became of them.")] = Status.open,
    limit: Annotated[int, typer.Option(min=1, help="So many at most.")] = 50,
) -> None:
    """The newest messages in quarantine."""
    selection = Selection(stream, code, None if status is Status.all else status.value)
    with open_services(settings_of(context)) as services, connect(services.database) as connection:
        found = quarantined(connection, selection, limit)
    if not found:
        is_filtered = selection != Selection()
        out.print(f"No {'such message is' if is_filtered else 'message waits'} in quarantine.")
        return
    columns = ["id", "stream", "place", "code", "field", "reason", "seen_utc", "status"]
    print_rows(columns, [_row(each) for each in found])


def _row(message: Quarantined) -> tuple[object, ...]:
    return (
        message.quarantine_id,
        message.stream,
        str(message),
        message.error_code,
        message.error_path,
        message.error_text[:_TEXT_WIDTH],
        f"{message.first_seen_at:%Y-%m-%d %H:%M:%S}",
        message.status,
    )


@app.command()
def show(
    context: typer.Context,
    number: Annotated[int, typer.Argument(metavar="ID", help="Its id in the list.")],
) -> None:
    """One message: place, reason, headers and bytes (as hexadecimal digits when not text)."""
    with open_services(settings_of(context)) as services, connect(services.database) as connection:
        message = quarantined_message(connection, number)
    for name, value in _lines(message):
        out.print(f"{name:<16} {value}", markup=False)


def _lines(message: Quarantined) -> list[tuple[str, object]]:
    lines: list[tuple[str, object]] = [
        ("id", message.quarantine_id),
        ("stream", message.stream),
        ("place", f"{message} of cluster {message.cluster_id}"),
        ("produced_at_utc", message.kafka_timestamp),
        ("seen_at_utc", message.first_seen_at),
        ("code", message.error_code),
        ("field", message.error_path),
        ("reason", message.error_text),
        ("contract_version", message.contract_version),
        ("status", message.status),
        ("resolved", _resolved(message)),
        *((f"header {name}", text) for name, text in message.headers),
        ("key", _readable(message.key)),
        ("value", _readable(message.value)),
        ("mended", _readable(message.mended)),
    ]
    return [(name, value) for name, value in lines if value is not None]


def _resolved(message: Quarantined) -> str | None:
    if message.resolved_at is None:
        return None
    return f"{message.resolved_at:%Y-%m-%d %H:%M:%S} by {message.resolved_by}: {message.resolution}"


def _readable(value: bytes | None) -> str | None:
    """Text as it is; anything that a terminal could not show as hexadecimal digits."""
    if value is None:
        return None
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return f"hex {value.hex()}"
    is_plain = all(each.isprintable() or each in "\n\t" for each in text)
    return text if is_plain else f"hex {value.hex()}"


@app.command()
def replay(
    context: typer.Context,
    numbers: Annotated[list[int] | None, typer.Argument(metavar="[ID]...")] = None,
    stream: Stream = None,
    code: Code = None,
    where: Annotated[
        str | None, typer.Option("--where", help="Those of which this SQL condition is true.")
    ] = None,
    value: Annotated[
        Path | None, typer.Option("--value", help="A file with the mended message.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the record.")] = "replayed",
) -> None:
    """Check messages against the contract in use now, and load those that keep it.

    Exit code 1 when one of them is still bad.
    """
    chosen = Selection(stream, code, where=where)
    _refuse_unclear(numbers or [], chosen, value)
    mended = None if value is None else _bytes_of(value)
    with open_services(settings_of(context)) as services:
        contracts = open_registry(services.database, load_contracts())
        with connect(services.database, autocommit=True) as connection:
            ids = _known_ids(connection, numbers) if numbers else selected_ids(connection, chosen)
            report = replay_messages(
                connection, contracts, ids, Resolution(me().actor, reason), mended
            )
    _print_report(report, len(ids))


def _refuse_unclear(numbers: Sequence[int], chosen: Selection, value: Path | None) -> None:
    if bool(numbers) == (chosen != Selection()):
        raise InputError(
            "name the messages by their ids, or by --stream, --code and --where",
            where="insight quarantine replay",
        )
    if value is not None and len(numbers) != 1:
        raise InputError("a mended message belongs to one id", where="--value")


def _bytes_of(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=str(file)) from error


def _known_ids(connection: Connection, numbers: Sequence[int]) -> list[int]:
    return [quarantined_message(connection, each).quarantine_id for each in numbers]


def _print_report(report: ReplayReport, chosen: int) -> None:
    already = chosen - len(report.landed) - len(report.refused)
    replayed = f", {already:,} were replayed before" if already else ""
    out.print(f"{len(report.landed):,} loaded, {len(report.refused):,} still bad{replayed}")
    for number, verdict in list(report.refused.items())[:10]:
        out.print(f"{number}: {verdict.code}: {verdict.text[:_TEXT_WIDTH]}", markup=False)
    if report.refused:
        raise typer.Exit(1)


@app.command()
def ignore(
    context: typer.Context,
    numbers: Annotated[list[int], typer.Argument(metavar="ID...")],
    reason: Annotated[str, typer.Option("--reason", help="Why, for the record.")],
) -> None:
    """Put messages aside for good: they stay stored, and no longer count as open."""
    with open_services(settings_of(context)) as services, connect(services.database) as connection:
        ids = _known_ids(connection, numbers)
        ignored = ignore_messages(connection, ids, Resolution(me().actor, reason))
    out.print(f"{ignored:,} ignored, {len(ids) - ignored:,} were not open")
