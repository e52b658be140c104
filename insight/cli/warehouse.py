"""Commands that look at the warehouse or hand it to other tools."""

import shlex
import shutil
import sys
from pathlib import Path
from typing import Annotated

import psycopg
import typer
from rich.console import Console

from insight.cli.report import TableFormat, fetch, print_rows
from insight.cli.state import out, settings_of
from insight.cli.status import print_status
from insight.cli.watch import watch_status
from insight.database import DatabaseEndpoint, connect
from insight.errors import InputError, IntegrityError, ServiceError
from insight.services import open_services, running_endpoints, stop
from insight.services.account import fallback_folder
from insight.services.postgres import client_programs
from insight.services.state import StateDirectory
from insight.settings import EMBEDDED, Settings
from insight.stages import dbt as dbt_process
from insight.supervision import stop_requested_by_signal
from streaming.operating.verify import has_streamed
from streaming.operating.verify import verify as find_violations


def add_commands(app: typer.Typer) -> None:
    app.command()(status)
    app.command()(verify)
    app.command()(query)
    app.command(
        context_settings={
            "allow_extra_args": True,
            "ignore_unknown_options": True,
            "help_option_names": [],
        }
    )(dbt)
    app.command()(env)
    app.command()(reset)


def status(
    context: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again, until Ctrl-C.")] = False,
    every: Annotated[
        float, typer.Option(min=0.1, help="Seconds between two looks of --watch.")
    ] = 2.0,
) -> None:
    """What is in the warehouse: streams, models, segments, files."""
    with open_services(settings_of(context)) as services:
        if not watch:
            print_status(services.database)
            return
        request = stop_requested_by_signal()
        watch_status(services.database, every, request.stop, Console(highlight=False))


def verify(context: typer.Context) -> None:
    """Prove from SQL alone that the streams lost and doubled nothing."""
    with open_services(settings_of(context)) as services, connect(services.database) as connection:
        if not has_streamed(connection):
            out.print("Nothing has been streamed yet: there is nothing to prove.")
            return
        violations = find_violations(connection)
    for violation in violations:
        out.print(str(violation), markup=False)
    if violations:
        raise IntegrityError(f"{len(violations)} violations of the stream invariants")
    out.print("All stream invariants hold.")


def query(
    context: typer.Context,
    sql: Annotated[str, typer.Argument(help="One SELECT statement.")],
    style: Annotated[TableFormat, typer.Option("--format", "-f")] = TableFormat.table,
) -> None:
    """Run one read-only query."""
    with open_services(settings_of(context)) as services, connect(services.database) as connection:
        connection.execute("set transaction read only")
        try:
            columns, rows = fetch(connection, sql)
        except psycopg.errors.ReadOnlySqlTransaction:
            raise InputError("the query would change data; only reading is allowed") from None
        except psycopg.Error as error:
            raise InputError(" ".join(str(error).split()), where="query") from error
    print_rows(columns, rows, style)


def dbt(context: typer.Context) -> None:
    """Run any dbt command with the right connection: insight dbt build."""
    settings = settings_of(context)
    with open_services(settings) as services:
        code = dbt_process.pass_through(
            settings.dbt_project_dir, settings.home / "run", services.database, context.args
        )
    sys.exit(code)


def env(context: typer.Context) -> None:
    """Print exports for plain dbt, psql and notebooks: eval "$(insight env)"."""
    settings = settings_of(context)
    variables = _database(settings).environment()
    programs = f"{Path(sys.executable).parent}:{client_programs()}"
    for name, value in variables.items():
        out.print(f"export {name}={shlex.quote(value)}", markup=False)
    out.print(f"export PATH={shlex.quote(programs)}:$PATH", markup=False)


def reset(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Stop the embedded services and delete their data, generated files and models."""
    home = settings_of(context).home
    if not yes:
        typer.confirm(f"Delete the warehouse, data and models in {home}?", abort=True)
    if home.exists():
        if in_use := stop(home):
            raise ServiceError(f"in use by {in_use} commands", where=str(home))
        StateDirectory(home).remove()
    shutil.rmtree(fallback_folder(home), ignore_errors=True)
    out.print("Deleted.")


def _database(settings: Settings) -> DatabaseEndpoint:
    if settings.database_url.get_secret_value() != EMBEDDED:
        return DatabaseEndpoint.from_url(settings.database_url)
    endpoints = running_endpoints(settings.home)
    if endpoints is None:
        raise ServiceError(
            "the embedded services do not run", next_step="Run: insight services start"
        )
    return endpoints.database
