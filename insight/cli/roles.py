"""The long-lived roles: one command and one process each, all of them in `insight up`."""

import gc
import threading
from contextlib import closing
from dataclasses import replace
from typing import Annotated

import typer

from insight.cli.job import Live
from insight.cli.metrics import MetricsPort, metrics_of
from insight.cli.state import err, out, progress, settings_of
from insight.cli.up import up
from insight.errors import ConfigurationError, ServiceError
from insight.services import open_services
from insight.settings import Settings
from insight.stages import Context
from insight.stages.schedule import refresh_when_loaded
from insight.supervision import stop_requested_by_signal
from streaming.contract import load_contracts
from streaming.loading.options import LoaderOptions
from streaming.metrics import LoaderMeter, ProducerMeter, SchedulerMeter
from streaming.run import SimulationOptions, StreamOptions, run_loader, run_producer


def add_commands(app: typer.Typer) -> None:
    for command in (produce, load_streams, schedule, api, up):
        app.command()(command)


def produce(
    context: typer.Context,
    stream: Annotated[str, typer.Argument(help="A stream's name, for instance bitcoin-prices.")],
    live: Live = False,
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="Mean events a real second of a simulator.")
    ] = None,
    speed: Annotated[
        float | None, typer.Option(min=0.001, help="Simulated seconds a real second.")
    ] = None,
    duplicates: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the events to send twice.")
    ] = 0.0,
    bad: Annotated[
        float, typer.Option(min=0, max=1, help="Share of broken messages to send besides.")
    ] = 0.0,
    seed: Annotated[int | None, typer.Option(help="Another seed, other events.")] = None,
    stay: Annotated[
        bool, typer.Option("--stay", help="When the source stops for good, wait for Ctrl-C.")
    ] = False,
    metrics_port: MetricsPort = None,
) -> None:
    """Produce one stream into its Kafka topic, until stopped: a polled API or a simulator."""
    simulation = SimulationOptions(rate, speed, seed, duplicates, bad)
    stop = stop_requested_by_signal().stop
    try:
        _produce(settings_of(context), stream, stop, simulation, metrics_port, live=live)
    except (ConfigurationError, ServiceError) as error:
        if not stay:
            raise
        err.print(str(error), markup=False)
        stop.wait()


def _produce(
    settings: Settings,
    stream: str,
    stop: threading.Event,
    simulation: SimulationOptions,
    metrics_port: int | None,
    *,
    live: bool,
) -> None:
    """Raises ServiceError when the source stopped by itself, ConfigurationError without a key."""
    meter = ProducerMeter(stream)
    with (
        metrics_of(meter, settings, metrics_port),
        open_services(settings) as services,
        progress(f"produce {stream}") as tell,
    ):
        report = run_producer(
            stream,
            services.database,
            services.kafka,
            load_contracts(),
            live=live,
            options=replace(StreamOptions.from_settings(settings), simulation=simulation),
            stop=stop,
            meter=meter,
            on_progress=tell,
        )
    if not stop.is_set():
        raise ServiceError(f"is {report.state}: {report.reason}", where=f"stream {stream}")


def load_streams(
    context: typer.Context,
    until_caught_up: Annotated[
        bool, typer.Option("--until-caught-up", help="End when there is nothing left to load.")
    ] = False,
    group: Annotated[
        str, typer.Option("--group", help="Consumer group; its members share the partitions.")
    ] = LoaderOptions.group,
    metrics_port: MetricsPort = None,
) -> None:
    """Load all streams from Kafka into schema streaming, until stopped."""
    settings = settings_of(context)
    meter = LoaderMeter()
    options = StreamOptions.from_settings(settings)
    options = replace(options, loader=replace(options.loader, group=group, meter=meter))
    with (
        metrics_of(meter, settings, metrics_port),
        open_services(settings) as services,
        progress("load-streams") as tell,
    ):
        report = run_loader(
            services.database,
            services.kafka,
            load_contracts(),
            until_caught_up=until_caught_up,
            stop=stop_requested_by_signal().stop,
            options=options,
            on_progress=tell,
        )
    out.print(f"{report.rows:,} rows loaded, {report.quarantined:,} in quarantine")


def schedule(
    context: typer.Context,
    every: Annotated[float, typer.Option(min=0.5, help="Seconds between two looks.")] = 2.0,
    test_every: Annotated[
        float, typer.Option(min=0, help="Least seconds between two runs of the models' tests.")
    ] = 60.0,
    metrics_port: MetricsPort = None,
) -> None:
    """Rebuild the streaming models whenever new rows have been loaded, until stopped."""
    settings = settings_of(context)
    meter = SchedulerMeter()
    with (
        metrics_of(meter, settings, metrics_port),
        open_services(settings) as services,
        progress("schedule") as tell,
    ):
        refresh_when_loaded(
            Context(settings, services, tell),
            stop_requested_by_signal().stop,
            every,
            test_every=test_every,
            meter=meter,
        )


def api(
    context: typer.Context,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="0: a free one. Default: INSIGHT_API_PORT."),
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on. Default: INSIGHT_API_HOST.")
    ] = None,
    metrics_port: MetricsPort = None,
) -> None:
    """Serve the HTTP API, until stopped; keys come from insight keys create."""
    # Web framework and cryptography take a second to import, which other commands need not wait.
    from serving.api.app import create_server_app
    from serving.api.meter import ApiMeter
    from serving.api.options import api_options
    from serving.api.run import listen, serve

    settings = settings_of(context)
    meter = ApiMeter()
    with (
        closing(
            listen(host or settings.api_host, settings.api_port if port is None else port)
        ) as listening,
        metrics_of(meter, settings, metrics_port),
        open_services(settings) as services,
    ):
        options = api_options(settings, services.database, services.redis)
        app = create_server_app(options, meter)
        # It lives as long as the server: a collector that visits it over and over stalls requests.
        gc.collect()
        gc.freeze()
        serve(
            app,
            listening,
            stop_requested_by_signal().stop,
            lambda address: out.print(f"API       {address}/v1", markup=False),
        )
