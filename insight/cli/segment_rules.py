"""The role that keeps the members of segments by rule."""

from typing import Annotated

import typer

from insight.cli.metrics import MetricsPort, metrics_of
from insight.cli.state import out, progress, settings_of
from insight.services import open_services
from insight.supervision import stop_requested_by_signal
from streaming.contract import load_contracts


def add_commands(app: typer.Typer) -> None:
    app.command()(segment_rules)


def segment_rules(
    context: typer.Context,
    wall_clock: Annotated[
        bool | None,
        typer.Option(
            "--wall-clock/--event-clock",
            help="Rules are asked as of now, or as of the newest event of their streams."
            " Default: INSIGHT_SEGMENT_CLOCK.",
            show_default=False,
        ),
    ] = None,
    until_caught_up: Annotated[
        bool, typer.Option("--until-caught-up", help="End when all that is loaded is asked.")
    ] = False,
    metrics_port: MetricsPort = None,
) -> None:
    """Keep the members of all active segments by rule, publish who enters and leaves."""
    from segmentation.runtime.clock import Clock
    from segmentation.runtime.meter import RulesMeter
    from segmentation.runtime.run import RuntimeOptions, run_segment_rules

    settings = settings_of(context)
    meter = RulesMeter()
    clock = Clock(settings.segment_clock)
    if wall_clock is not None:
        clock = Clock.wall if wall_clock else Clock.events
    with (
        metrics_of(meter, settings, metrics_port),
        open_services(settings) as services,
        progress("segment-rules") as tell,
    ):
        report = run_segment_rules(
            services.database,
            services.kafka,
            services.redis,
            load_contracts(),
            stop=stop_requested_by_signal().stop,
            until_caught_up=until_caught_up,
            options=RuntimeOptions(clock=clock, meter=meter),
            on_progress=tell,
        )
    for segment, reason in report.refused.items():
        out.print(f"{segment}: {reason}", markup=False)
    out.print(
        f"{report.rows:,} new rows, {report.asked:,} customers asked again,"
        f" {report.changes:,} entered or left, {report.published.changes:,} told in Kafka"
    )
