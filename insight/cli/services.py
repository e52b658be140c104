"""`insight services start | stop`."""

from typing import Annotated

import typer

from insight.cli.state import out, progress, settings_of
from insight.services import keep_running, stop

app = typer.Typer(help="Keep the embedded services running between commands.", no_args_is_help=True)


@app.command()
def start(context: typer.Context) -> None:
    """Start Postgres, Kafka and Redis, and leave them running."""
    with progress("services"):
        endpoints = keep_running(settings_of(context).home)
    out.print(f"Postgres {endpoints.database}")
    out.print(f"Kafka    {endpoints.kafka.bootstrap_servers}")
    out.print("Redis    running")
    out.print('Next: eval "$(insight env)"')


@app.command(name="stop")
def stop_services(
    context: typer.Context,
    now: Annotated[bool, typer.Option("--now", help="Even when commands use them.")] = False,
) -> None:
    """Stop them, once the last command that uses them has ended."""
    in_use = stop(settings_of(context).home, now=now)
    if in_use:
        out.print(f"In use by {in_use} commands: the services stop when the last of them ends.")
    else:
        out.print("Stopped.")
