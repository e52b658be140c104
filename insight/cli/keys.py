"""`insight keys create | list | revoke`: API keys."""

from typing import Annotated

import typer

from insight import audit
from insight.cli.author import me
from insight.cli.report import TableFormat, print_rows
from insight.cli.state import err, out, settings_of
from insight.database import connect
from insight.services import open_services
from serving.access.keys import lifetime_of, list_keys, new_key, revoke_key, store_key
from serving.access.permissions import Role
from serving.access.server_secret import load_secret
from serving.access.tables import create_tables

app = typer.Typer(help="Make, list and revoke keys of the API.", no_args_is_help=True)

_COLUMNS = ("key_id", "name", "role", "state", "expires_at", "last_used_at", "created_by")


@app.command()
def create(
    context: typer.Context,
    role: Annotated[Role, typer.Option("--role", help="What it may do.")],
    name: Annotated[str, typer.Option("--name", help="What it is for.")] = "unnamed",
    expires: Annotated[
        str | None, typer.Option("--expires", help="90d, 12h or 30m; default: never.")
    ] = None,
    rate: Annotated[
        int | None,
        typer.Option("--rate", min=1, help="Requests a minute; default: the server's limit."),
    ] = None,
) -> None:
    """Make a key and print it, once; only a hash of it is kept."""
    settings = settings_of(context)
    key = new_key(
        load_secret(settings.home, settings.api_secret),
        role=role,
        name=name,
        created_by=me().actor,
        lifetime=None if expires is None else lifetime_of(expires),
        requests_per_minute=rate,
    )
    with open_services(settings) as services:
        create_tables(services.database)
        with connect(services.database) as connection:
            store_key(connection, key)
            detail = {"role": role.value, "name": name}
            audit.record(connection, me().did("key.create", f"key:{key.key_id}", detail))
    err.print(f"Key {key.key_id} of role {role.value}. It is shown this once:", markup=False)
    out.print(key.token, markup=False)


@app.command(name="list")
def list_(
    context: typer.Context,
    style: Annotated[
        TableFormat, typer.Option("--format", help="How to print.")
    ] = TableFormat.table,
) -> None:
    """All keys that were ever made, without their secret part."""
    settings = settings_of(context)
    secret_id = load_secret(settings.home, settings.api_secret).secret_id
    with open_services(settings) as services:
        create_tables(services.database)
        with connect(services.database) as connection:
            keys = list_keys(connection)
    rows = [
        tuple(
            key.state(secret_id) if column == "state" else getattr(key, column)
            for column in _COLUMNS
        )
        for key in keys
    ]
    print_rows(_COLUMNS, rows, style)


@app.command()
def revoke(
    context: typer.Context, key_id: Annotated[str, typer.Argument(help="From insight keys list.")]
) -> None:
    """End a key: running servers refuse it within five seconds."""
    with open_services(settings_of(context)) as services:
        create_tables(services.database)
        with connect(services.database) as connection:
            key = revoke_key(connection, key_id)
            audit.record(connection, me().did("key.revoke", f"key:{key.key_id}", {}))
    out.print(f"Key {key.key_id} ({key.name}) is revoked.", markup=False)
