"""`insight run` and one command for each of its stages."""

import math
from pathlib import Path
from typing import Annotated

import typer

from insight.cli.report import print_next_steps, print_outcome, print_segments
from insight.cli.state import progress, settings_of
from insight.services import open_services
from insight.stages import STAGES, Context, run_stage, run_stages
from insight.stages.stream import stream_for

Data = Annotated[
    Path | None,
    typer.Option(
        "--data", help="Folder with your own five files, .csv or .xlsx; else data is generated."
    ),
]
Scale = Annotated[int, typer.Option("--scale", min=1, help="How many times the default data.")]
Generated = Annotated[
    bool, typer.Option("--generated", help="Replace your own files with generated data.")
]
Live = Annotated[
    bool, typer.Option("--live", help="Poll the real APIs; news needs INSIGHT_NEWSAPI_KEY.")
]


def add_commands(app: typer.Typer) -> None:
    for command in (run, load, stream, transform, segment, publish):
        app.command()(command)


def run(
    context: typer.Context,
    data: Data = None,
    scale: Scale = 1,
    generated: Generated = False,
    live: Live = False,
) -> None:
    """The main job: load, stream, transform, segment, publish."""
    settings = settings_of(context)
    with open_services(settings) as services, progress("insight run") as tell:
        job = Context(settings, services, tell, data, scale, generated, live)
        for outcome in run_stages(job):
            print_outcome(outcome)
        print_segments(services.database)
    print_next_steps()


def load(
    context: typer.Context, data: Data = None, scale: Scale = 1, generated: Generated = False
) -> None:
    """Load the five batch files into schema raw."""
    _run_one("load", context, data=data, scale=scale, generated=generated)


def stream(
    context: typer.Context,
    duration: Annotated[
        str | None, typer.Option("--for", help="How long, for instance 20s, 5m or 1h.")
    ] = None,
    live: Live = False,
) -> None:
    """Run the producers and the loader together, until there is nothing new or for a time."""
    from insight.cli.report import print_streams

    settings = settings_of(context)
    seconds = None if duration is None else _seconds(duration)
    with open_services(settings) as services, progress("stream") as tell:
        job = Context(settings, services, tell, live=live)
        report = stream_for(job, duration_seconds=seconds)
    print_streams(report)


def transform(context: typer.Context) -> None:
    """Build and test the dbt models that do not need the segments."""
    _run_one("transform", context)


def segment(context: typer.Context) -> None:
    """Segment the customers and write the dbt seed."""
    _run_one("segment", context)


def publish(context: typer.Context) -> None:
    """Join the segments into the marts and into Redis."""
    _run_one("publish", context)


def _run_one(
    name: str,
    context: typer.Context,
    *,
    data: Path | None = None,
    scale: int = 1,
    generated: bool = False,
) -> None:
    settings = settings_of(context)
    stage = next(stage for stage in STAGES if stage.name == name)
    with open_services(settings) as services, progress(name) as tell:
        outcome = run_stage(stage, Context(settings, services, tell, data, scale, generated))
    print_outcome(outcome)


def _seconds(duration: str) -> float:
    """Seconds in `20s`, `5m`, `1h` or a plain number of seconds."""
    units = {"s": 1, "m": 60, "h": 3600}
    unit = units.get(duration[-1:], 1)
    number = duration[:-1] if duration[-1:] in units else duration
    try:
        seconds = float(number) * unit
    except ValueError:
        raise typer.BadParameter(f"{duration} is not a duration such as 20s or 5m") from None
    if not 0 < seconds < math.inf:
        raise typer.BadParameter("a duration is longer than zero")
    return seconds
