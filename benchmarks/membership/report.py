"""The results as Markdown."""

from benchmarks import machine
from benchmarks.membership.plan import PROBES_A_SECOND, Options
from benchmarks.membership.run import BEHIND_SECONDS, CaughtUp, Results, Steady
from benchmarks.readme import table
from benchmarks.target import Target, verdicts

_DELAY_SECONDS, _PICK_UP_SECONDS, _PROFILES_A_MINUTE = 2.0, 2.0, 500_000

_HEAD = (
    "sales/s", "sale to Redis: median, s", "p95", "p99", "longest", "done after the last sale, s",
    "profiles a minute", "entered or left", "cores: segment-rules", "Postgres", "loader", "all",
)  # fmt: skip


def report(results: Results, options: Options) -> str:
    """Targets, then what they stand on."""
    steady = results.steady
    what = f"{options.rules} rules at {options.rate:,} sales/s"
    targets = (
        Target(f"{what}: sale to Redis, p95", _DELAY_SECONDS, steady.delay(0.95), True, " s"),
        Target(f"{what}: all done after the last sale", BEHIND_SECONDS, steady.behind_seconds,
               True, " s"),
        Target(f"{what}: one more rule is run", _PICK_UP_SECONDS, results.pick_up, True, " s"),
        Target("profiles a minute that it keeps up with", _PROFILES_A_MINUTE, _most(results),
               unit=""),
    )  # fmt: skip
    return "\n\n".join(
        (
            verdicts(targets),
            table(
                _HEAD,
                [
                    _row("first run", results.first),
                    _row(f"{steady.rate:,}", steady),
                    _row("a rule is added", results.added),
                    *(_row(f"{each.rate:,}", each) for each in results.faster),
                ],
            ),
            _circumstances(results, options),
            _backlog(results.caught_up),
            f"{machine.told()} One run.",
        )
    )


def _most(results: Results) -> float:
    runs = (results.steady, *results.faster)
    return max((each.profiles_a_minute for each in runs if each.kept_up), default=0.0)


def _row(name: str, run: Steady) -> tuple[str, ...]:
    delays = (f"{run.delay(share):.2f}" for share in (0.5, 0.95, 0.99, 1.0))
    cores = (
        f"{run.cores[name]:.2f}" for name in ("segment-rules", "Postgres", "loader", "machine")
    )
    return (
        name, *delays, f"{run.behind_seconds:.1f}", f"{run.profiles_a_minute:,.0f}",
        f"{run.changes:,}",
        *cores,
    )  # fmt: skip


def _circumstances(results: Results, options: Options) -> str:
    first, steady = results.first, results.steady
    lost = sum(each.lost for each in (first, steady, results.added, *results.faster))
    return (
        f"{options.customers:,} customers with {options.events:,} sales of a year;"
        f" {options.rules} active rules about those with more than {options.regular} sales in 90"
        f" days had {results.members:,} members, found, published and written to Redis in"
        f" {results.backfill:.0f} s. The first run, {first.rate:,} sales/s too,"
        " reads pages of indexes from the disk that nobody has asked for since they were made. In"
        f" the second {steady.events:,} sales for {steady.profiles:,} profiles came in"
        f" {steady.seconds:.0f} s. In each run {PROBES_A_SECOND} customers a second got the sale"
        f" that brings them into the standing example; {lost} of them were never seen in Redis. A"
        " rule that is added is asked about everybody first, and the others wait for it. A"
        " profile is a customer with new sales, counted once a second at most."
    )


def _backlog(caught_up: CaughtUp) -> str:
    return (
        f"A backlog of {caught_up.rows:,} sales for {caught_up.profiles:,} profiles, loaded while"
        f" the role was away, took it {caught_up.seconds:.1f} s from its start until members,"
        f" Kafka and Redis were up to date: {caught_up.changes:,} customers entered or left."
    )
