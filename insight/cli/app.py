"""The root of the command line: global options, errors as one line, exit codes."""

import logging
import sys
import traceback
from typing import Annotated, NoReturn

import psycopg
import typer
from rich.markup import escape

from insight import log
from insight.cli import (
    anomalies,
    audit,
    job,
    keys,
    lab,
    live,
    quarantine,
    roles,
    segment_rules,
    segments,
    services,
    streams,
    warehouse,
)
from insight.cli.state import err
from insight.errors import InsightError
from insight.settings import load_settings

app = typer.Typer(
    name="insight",
    help="A customer-insight warehouse: batch files and live streams into Postgres, dbt marts,"
    " customer segments.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for part in (job, warehouse, roles, live, segment_rules):
    part.add_commands(app)
app.add_typer(services.app, name="services")
app.add_typer(streams.app, name="streams")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(lab.app, name="lab")
app.add_typer(anomalies.app, name="anomalies")
app.add_typer(segments.app, name="segments")
app.add_typer(keys.app, name="keys")
app.add_typer(audit.app, name="audit")


@app.callback()
def configure(
    context: typer.Context,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log more; show the traceback of an error.")
    ] = False,
) -> None:
    """Read the settings before any command runs."""
    settings = load_settings()
    log.configure("INFO" if verbose else settings.log_level)
    context.obj = settings


def main() -> None:
    """Entry point of the console script: exit code 1 and one line for an expected error."""
    try:
        app()
    except InsightError as error:
        _end(error, str(error))
    except psycopg.OperationalError as error:
        _end(error, f"the connection to Postgres broke ({_one_line(error)}). Run it again")


def _end(error: Exception, sentence: str) -> NoReturn:
    if logging.getLogger().isEnabledFor(logging.INFO):
        traceback.print_exception(error)
    err.print(f"[red]Error:[/] {escape(sentence)}")
    sys.exit(1)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
