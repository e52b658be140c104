"""Stage `transform`: all dbt models that do not need the segments."""

from insight.stages.context import Context


def run(context: Context) -> str:
    """Build and test everything up to the sales marts."""
    return context.build("--selector", "before_ml").sentence()
