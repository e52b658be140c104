"""`insight up`: services and all roles under one supervisor, in one terminal."""

import os
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from insight import attached
from insight.cli.job import Live
from insight.cli.metrics import NO_METRICS
from insight.cli.state import out, settings_of
from insight.errors import InputError
from insight.services import Services, open_services
from insight.services.ports import free_port
from insight.supervision import MergedLog, Role, Supervisor, stop_requested_by_signal
from streaming.contract import load_contracts

# Log handlers fold lines at the width of a terminal, which a pipe does not have.
_LOG_COLUMNS = "1000"

Only = Annotated[
    list[str] | None,
    typer.Option("--only", help="Run this role, or all whose names begin so; may be repeated."),
]
Loaders = Annotated[
    int, typer.Option("--loaders", min=1, max=64, help="How many loaders share the partitions.")
]
MetricsBase = Annotated[
    int | None,
    typer.Option(
        "--metrics-port",
        min=0,
        max=65_000,
        help="Port of the first role's metrics, the others follow; 0: none. Default: free ports.",
    ),
]


def up(
    context: typer.Context,
    live: Live = False,
    only: Only = None,
    loaders: Loaders = 1,
    metrics_port: MetricsBase = None,
) -> None:
    """Run all roles together, until Ctrl-C; what ends by itself is started again."""
    settings = settings_of(context)
    commands = chosen(role_commands(live=live, loaders=loaders), only or [])
    ports = _metrics_ports(list(commands), metrics_port)
    # Chosen here, so that it is known now and stays when the role is started again.
    api_port = settings.api_port or _free_port_beside(ports.values())
    with open_services(settings) as services, attached.lifeline(settings.home / "run") as lock:
        request = stop_requested_by_signal()
        api = f"http://{settings.api_host}:{api_port}/v1" if "api" in commands else None
        _print_addresses(services, api, ports)
        log = MergedLog(
            sys.stdout,
            list(commands),
            colour=out.is_terminal and not out.no_color,
            on_closed=request.stop.set,
        )
        code = Supervisor(_roles(lock, commands, ports, api_port), log).run(request)
    raise typer.Exit(code)


def role_commands(*, live: bool = False, loaders: int = 1) -> dict[str, list[str]]:
    """Every role by its name, as arguments of `insight`.

    The first loader is called load-streams, more of them load-streams-2 and so on.
    """
    producers = {
        f"produce-{contract.stream}": ["produce", contract.stream, "--stay", *["--live"] * live]
        for contract in load_contracts()
        if contract.source is not None
    }
    extra = {f"load-streams-{number}": ["load-streams"] for number in range(2, loaders + 1)}
    others = {name: [name] for name in ("schedule", "segment-live", "segment-rules", "api")}
    return {**producers, "load-streams": ["load-streams"], **extra, **others}


def chosen(commands: Mapping[str, list[str]], only: Sequence[str]) -> dict[str, list[str]]:
    """The roles whose names begin with one of `only`; all of them when it is empty.

    Raises InputError for a word that no role begins with.
    """
    for word in only:
        if not word or not any(name.startswith(word) for name in commands):
            raise InputError(
                f"there is no role {word!r}", next_step=f"Known are {', '.join(commands)}"
            )
    return {
        name: arguments
        for name, arguments in commands.items()
        if not only or name.startswith(tuple(only))
    }


def _metrics_ports(names: Sequence[str], base: int | None) -> dict[str, int]:
    if base == NO_METRICS:
        return dict.fromkeys(names, NO_METRICS)
    if base is None:
        return dict(zip(names, _free_ports(len(names)), strict=True))
    return {name: base + index for index, name in enumerate(names)}


def _free_ports(count: int) -> list[int]:
    ports: dict[int, None] = {}
    while len(ports) < count:
        ports[free_port()] = None
    return list(ports)


def _free_port_beside(taken: Collection[int]) -> int:
    while (port := free_port()) in taken:
        pass
    return port


def _roles(
    lock: Path, commands: Mapping[str, list[str]], ports: Mapping[str, int], api_port: int
) -> list[Role]:
    return [
        Role(
            name,
            attached.command(lock, "insight.cli:main", ["--verbose", *arguments]),
            {
                **os.environ,
                "COLUMNS": _LOG_COLUMNS,
                "INSIGHT_METRICS_PORT": str(ports[name]),
                "INSIGHT_API_PORT": str(api_port),
            },
        )
        for name, arguments in commands.items()
    ]


def _print_addresses(services: Services, api: str | None, ports: Mapping[str, int]) -> None:
    out.print(f"Postgres  {services.database}", markup=False)
    out.print(f"Kafka     {services.kafka.bootstrap_servers}", markup=False)
    if api:
        out.print(f"API       {api}", markup=False)
    for name, port in ports.items():
        if port:
            out.print(f"Metrics   http://127.0.0.1:{port}/metrics  {name}", markup=False)
    out.print("Status    insight status --watch", markup=False)
