"""The results of lifetime value as Markdown: nothing in it is written by hand."""

from benchmarks import machine
from benchmarks.lifetime.run import PEER_VERSION, Models, Results
from benchmarks.readme import table
from benchmarks.target import Target, verdicts

_RUN_SECONDS = 60.0


def report(results: Results) -> str:
    """All that was measured."""
    return "\n\n".join([verdicts(targets(results)), _models(results), machine.told()])


def targets(results: Results) -> list[Target]:
    """The numbers that were asked for."""
    what = (
        f"lifetime value of {results.options.customers:,} customers, from {results.orders:,} orders"
        " in Postgres to the rows and the report"
    )
    return [Target(what, _RUN_SECONDS, results.first_run, True, " s")]


def _models(results: Results) -> str:
    head = (
        "models alone", "fit MBG/NBD, s", "fit gamma-gamma, s", "forecast, s", "in sum, s",
        "peak MiB", "expected value",
    )  # fmt: skip
    rows = [_row("ours", results.ours), _row(f"lifetimes {PEER_VERSION}", results.theirs)]
    ratio = results.ours.total / results.theirs.total
    return (
        f"{table(head, rows)}\n\n"
        f"Both on the same {results.options.customers:,} simulated customers, each turn in a"
        f" process of its own, medians of {results.options.rounds} in turn; ours takes {ratio:.2f}"
        f" times as long. The run again on unchanged orders takes {results.unchanged_run:.1f} s."
    )


def _row(name: str, each: Models) -> tuple[str, ...]:
    seconds = (each.purchases, each.values, each.forecast, each.total)
    return (
        name,
        *(f"{value:.2f}" for value in seconds),
        f"{each.peak_mib:,.0f}",
        f"{each.expected_value:,.0f}",
    )
