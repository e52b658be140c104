"""Stage `stream`: all streams through Kafka into schema streaming."""

from insight.stages.context import Context
from streaming.contract import load_contracts
from streaming.run import StreamOptions, StreamReport, stream


def run(context: Context) -> str:
    """Stream until the sources have nothing new and all of it is in the warehouse."""
    report = stream_for(context, duration_seconds=None)
    rows = sum(item.loaded for item in report.streams)
    quarantined = sum(item.quarantined for item in report.streams)
    source = "live APIs and simulators" if context.live else "simulators"
    parts = [f"{rows:,} events from {source}" if rows else f"nothing new from {source}"]
    if quarantined:
        parts.append(f"{quarantined:,} in quarantine")
    parts += [f"{item.stream}: {item.reason}" for item in report.streams if item.reason]
    return ", ".join(parts)


def stream_for(context: Context, *, duration_seconds: float | None) -> StreamReport:
    """Producers and loader together, for a time or until there is nothing new."""
    settings = context.settings
    return stream(
        context.services.database,
        context.services.kafka,
        load_contracts(),
        duration_seconds=duration_seconds,
        live=context.live,
        options=StreamOptions.from_settings(settings),
        on_progress=context.tell,
    )
