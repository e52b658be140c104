"""The role that keeps the live segments of bank customers."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from insight.cli.metrics import MetricsPort, metrics_of
from insight.cli.state import out, progress, settings_of
from insight.services import open_services
from insight.supervision import stop_requested_by_signal
from streaming.contract import load_contracts

# The customers that are generated when none are given.
SAMPLE = "customer_segments_full.csv"


def add_commands(app: typer.Typer) -> None:
    app.command()(segment_live)


def segment_live(
    context: typer.Context,
    start: Annotated[
        Path | None,
        typer.Option(help="CSV file of the customers to start from. Default: a generated one."),
    ] = None,
    as_of: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"],
            help="When its figures were true (UTC). Default: its column last_updated.",
        ),
    ] = None,
    start_over: Annotated[
        bool,
        typer.Option("--start-over", help="Forget the segments; read everything loaded again."),
    ] = False,
    until_caught_up: Annotated[
        bool, typer.Option("--until-caught-up", help="End when all that is loaded is counted.")
    ] = False,
    metrics_port: MetricsPort = None,
) -> None:
    """Keep live segments of bank customers from what the loader loads, until stopped."""
    from segmentation.live.meter import LiveMeter
    from segmentation.live.run import LiveOptions, Start, run_live_segments
    from streaming.polling import SEED

    settings = settings_of(context)
    meter = LiveMeter()
    moment = None if as_of is None else as_of.replace(tzinfo=UTC)
    with (
        metrics_of(meter, settings, metrics_port),
        open_services(settings) as services,
        progress("segment-live") as tell,
    ):
        report = run_live_segments(
            services.database,
            load_contracts(),
            Start(settings.data_dir / SAMPLE, start, moment, over=start_over, seed=SEED),
            stop=stop_requested_by_signal().stop,
            until_caught_up=until_caught_up,
            options=LiveOptions(meter=meter),
            on_progress=tell,
        )
    out.print(
        f"{report.movements:,} movements counted, {report.duplicates:,} came again,"
        f" {report.customers:,} rows of customers written"
    )
