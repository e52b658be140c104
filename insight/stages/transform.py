"""Stage `transform`: all dbt models that do not need the segments."""

from insight.stages.context import Context

# The seed that the segment stage writes, and everything that reads it.
SEGMENT_NODES = "customer_segments+"


def run(context: Context) -> str:
    """Build and test everything up to the sales marts."""
    return context.build("--exclude", SEGMENT_NODES).sentence()
