"""The long-lived roles: one command and one process each, all of them in `insight up`."""

import os
import shlex
import signal
import sys
import threading
from types import FrameType
from typing import Annotated

import typer
from honcho.manager import Manager

from insight import attached
from insight.cli.job import Live
from insight.cli.state import err, out, progress, settings_of
from insight.errors import ConfigurationError, ServiceError
from insight.services import open_services
from insight.settings import Settings
from insight.stages import Context
from insight.stages.schedule import refresh_when_loaded
from streaming.contract import load_contracts
from streaming.run import StreamOptions, run_loader, run_producer


def add_commands(app: typer.Typer) -> None:
    for command in (produce, load_streams, schedule, up):
        app.command()(command)


def produce(
    context: typer.Context,
    stream: Annotated[str, typer.Argument(help="A stream's name, for instance bitcoin-prices.")],
    live: Live = False,
    stay: Annotated[
        bool, typer.Option("--stay", help="When the source stops for good, wait for Ctrl-C.")
    ] = False,
) -> None:
    """Poll one stream's source into its Kafka topic, until stopped."""
    stop = stop_on_signal()
    try:
        _produce(settings_of(context), stream, stop, live=live)
    except (ConfigurationError, ServiceError) as error:
        if not stay:
            raise
        err.print(str(error), markup=False)
        stop.wait()


def _produce(settings: Settings, stream: str, stop: threading.Event, *, live: bool) -> None:
    """Raises ServiceError when the source stopped by itself, ConfigurationError without a key."""
    with open_services(settings) as services, progress(f"produce {stream}") as tell:
        report = run_producer(
            stream,
            services.database,
            services.kafka,
            load_contracts(),
            live=live,
            options=StreamOptions.from_settings(settings),
            stop=stop,
            on_progress=tell,
        )
    if not stop.is_set():
        raise ServiceError(f"is {report.state}: {report.reason}", where=f"stream {stream}")


def load_streams(
    context: typer.Context,
    until_caught_up: Annotated[
        bool, typer.Option("--until-caught-up", help="End when there is nothing left to load.")
    ] = False,
) -> None:
    """Load all streams from Kafka into schema streaming, until stopped."""
    settings = settings_of(context)
    with open_services(settings) as services, progress("load-streams") as tell:
        report = run_loader(
            services.database,
            services.kafka,
            load_contracts(),
            until_caught_up=until_caught_up,
            stop=stop_on_signal(),
            options=StreamOptions.from_settings(settings),
            on_progress=tell,
        )
    out.print(f"{report.rows:,} rows loaded, {report.quarantined:,} in quarantine")


def schedule(
    context: typer.Context,
    every: Annotated[float, typer.Option(min=0.5, help="Seconds between two looks.")] = 2.0,
) -> None:
    """Rebuild the streaming models whenever new rows have been loaded, until stopped."""
    settings = settings_of(context)
    with open_services(settings) as services, progress("schedule") as tell:
        refresh_when_loaded(Context(settings, services, tell), stop_on_signal(), every)


def up(context: typer.Context, live: Live = False) -> None:
    """Run all roles together, until Ctrl-C."""
    settings = settings_of(context)
    roles = {
        f"produce-{contract.stream}": ["produce", contract.stream, "--stay", *["--live"] * live]
        for contract in load_contracts()
        if contract.source is not None
    }
    roles |= {"load-streams": ["load-streams"], "schedule": ["schedule"]}
    with open_services(settings) as services, attached.lifeline(settings.home / "run") as lock:
        out.print(f"Postgres {services.database}, Kafka {services.kafka.bootstrap_servers}")
        manager = Manager()
        for name, arguments in roles.items():
            command = attached.command(lock, "insight.cli:main", ["--verbose", *arguments])
            manager.add_process(name, shlex.join(command), env=dict(os.environ))
        manager.loop()
    sys.exit(0 if manager.returncode in (0, 130, 143) else 1)


def stop_on_signal() -> threading.Event:
    """An event that SIGTERM or Ctrl-C sets, so that a role can drain before it ends."""
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    return stop
