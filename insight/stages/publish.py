"""Stage `publish`: the segments joined into the marts, and looked up by key in Redis."""

from insight.stages.context import Context
from serving.segment_lookup import publish_segments


def run(context: Context) -> str:
    """Load the seed, build and test what reads it, then refresh the lookups."""
    built = context.build("--selector", "after_ml")
    context.tell("lookups")
    lookups = publish_segments(context.services.database, context.services.redis)
    return f"{built.sentence()}, {lookups:,} lookups in Redis"
