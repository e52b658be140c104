"""The results of the warehouse as Markdown: nothing in it is written by hand."""

from benchmarks import machine
from benchmarks.readme import table
from benchmarks.target import Target, verdicts
from benchmarks.warehouse.commands import DbtRun
from benchmarks.warehouse.run import Increment, Results

_BUILD_SECONDS = 30.0
_SCALED_BUILD_SECONDS = 300.0
_GROWTH = 1.5
_SHOWN = 8


def report(results: Results) -> str:
    """All that was measured."""
    return "\n\n".join(
        [verdicts(targets(results)), _builds(results), _increments(results), machine.told()]
    )


def targets(results: Results) -> list[Target]:
    """The numbers that were asked for."""
    seconds = sum(each.wall for each in results.scaled)
    short, long = results.short, results.long
    sales, models = long.sales_models / short.sales_models, long.all_models / short.all_models
    return [
        Target("`dbt build` of the default data", _BUILD_SECONDS, results.default.wall, True, " s"),
        Target(
            f"`dbt build` of {results.lines:,} sale lines", _SCALED_BUILD_SECONDS, seconds, True,
            " s",
        ),
        Target(f"{_new(results)}, long history against short", _GROWTH, sales, True),
        Target("the same with all models on streams", _GROWTH, models, True),
    ]  # fmt: skip


def _new(results: Results) -> str:
    return f"models of {results.options.new_sales:,} new sales"


def _builds(results: Results) -> str:
    before, after = results.scaled
    rows = [
        ("default data", "`dbt build`", *_seconds(results.default)),
        (f"{results.lines:,} sale lines", "`dbt build --selector before_ml`",
         *_seconds(before)),
        ("", "`dbt build --selector after_ml`", *_seconds(after)),
    ]  # fmt: skip
    slowest = ", ".join(f"`{name}` {seconds:.1f} s" for name, seconds in before.slowest(_SHOWN))
    return (
        f"{table(('data', 'command', 'wall, s', 'models, s', 'other nodes, s'), rows)}\n\n"
        f"Outside these times: the load of the files took {results.load_seconds:.0f} s, the"
        f" segmentation {results.segment_seconds:.0f} s. The slowest of the large build: {slowest}."
    )


def _seconds(run: DbtRun) -> tuple[str, str, str]:
    others = sum(run.nodes.values()) - run.models()
    return f"{run.wall:.1f}", f"{run.models():.1f}", f"{others:.1f}"


def _increments(results: Results) -> str:
    options = results.options
    rows = [
        (f"{options.sales:,} sales", *_increment(results.short)),
        (f"{options.sales * options.times:,} sales", *_increment(results.long)),
    ]
    head = ("history", "models of sales, s", "all models on streams, s", "the whole command, s")
    return (
        f"{options.new_sales:,} new sales and the events that belong to them, then"
        f" `dbt run --selector streaming`: seconds of models added up, medians of"
        f" {options.increments} rounds in turn. The long history was filled and built in"
        f" {results.long_history_seconds:.0f} s.\n\n{table(head, rows)}"
    )


def _increment(found: Increment) -> tuple[str, str, str]:
    return f"{found.sales_models:.2f}", f"{found.all_models:.2f}", f"{found.wall:.1f}"
