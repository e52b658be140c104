"""`insight audit verify`: whether the audit log is whole."""

from typing import Annotated

import typer

from insight.audit import Head, verify
from insight.cli.state import out, settings_of
from insight.errors import IntegrityError
from insight.services import open_services

app = typer.Typer(help="The log of who changed what.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keeps `verify` a command of its own while it is the only one."""


@app.command(name="verify")
def verify_(
    context: typer.Context,
    expect: Annotated[
        str | None, typer.Option("--expect", help="The head that an earlier check printed.")
    ] = None,
) -> None:
    """Reckon the chain of hashes again; its head proves later that no row was cut off."""
    expected = None if expect is None else Head.parse(expect)
    with open_services(settings_of(context)) as services:
        report = verify(services.database, expected)
    if report.breaks:
        for sentence in report.breaks:
            out.print(sentence, markup=False)
        raise IntegrityError(
            f"is not as it was written ({len(report.breaks)} findings)", where="access.audit_log"
        )
    out.print(f"{report.rows:,} rows, unbroken. Head: {report.head}", markup=False)
