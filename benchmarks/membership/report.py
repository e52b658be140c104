"""The results as Markdown."""

from benchmarks import machine
from benchmarks.membership.plan import PROBES_A_SECOND, Options
from benchmarks.membership.run import CaughtUp, Results, Steady
from benchmarks.readme import table
from benchmarks.target import Target, verdicts

_DELAY_SECONDS, _PROFILES_A_MINUTE = 2.0, 500_000
# At the end of a steady run: with more left than comes in so long, it has not kept up.
_BEHIND_SECONDS = 5.0


def report(results: Results, options: Options) -> str:
    """Targets, then what they stand on."""
    steady, caught_up = results.steady, results.caught_up
    what = f"{options.rules} rules at {options.rate:,} sales/s"
    targets = (
        Target(f"{what}: sale to Redis, p95", _DELAY_SECONDS, steady.delay(0.95), True, " s"),
        Target(
            f"{what}: caught up after the last sale",
            _BEHIND_SECONDS, steady.behind_seconds, True, " s",
        ),
        Target(
            f"profiles a minute, {options.rules} rules, from a backlog",
            _PROFILES_A_MINUTE, caught_up.profiles_a_minute, unit="",
        ),
    )  # fmt: skip
    return "\n\n".join(
        (
            verdicts(targets),
            table(("sale to Redis", "s"), _delays(steady)),
            _circumstances(results, options),
            _backlog(caught_up),
            f"{machine.told()} One run.",
        )
    )


def _delays(steady: Steady) -> list[tuple[str, str]]:
    shares = (("median", 0.5), ("p95", 0.95), ("p99", 0.99), ("longest", 1.0))
    return [(name, f"{steady.delay(share):.2f}") for name, share in shares]


def _circumstances(results: Results, options: Options) -> str:
    steady = results.steady
    cores = ", ".join(f"{name} {share:.2f}" for name, share in sorted(steady.cores.items()))
    return (
        f"{options.customers:,} customers with {options.events:,} sales of a year;"
        f" {options.rules} active rules had {results.members:,} members, found, published and"
        f" written to Redis in {results.backfill:.0f} s. Then {steady.events:,} sales of"
        f" {steady.profiles:,} customers in {steady.seconds:.0f} s through Kafka and the loader,"
        f" and {PROBES_A_SECOND} customers a second whose last sale brings them into the standing"
        f" example: {len(steady.delays):,} were seen in Redis, {steady.lost} never. Cores in use:"
        f" {cores}."
    )


def _backlog(caught_up: CaughtUp) -> str:
    return (
        f"A backlog of {caught_up.rows:,} sales of {caught_up.profiles:,} customers, loaded while"
        f" the role was away, took it {caught_up.seconds:.1f} s from its start until members,"
        f" Kafka and Redis were up to date: {caught_up.changes:,} customers entered or left."
    )
