"""`make bench`: all comparisons, or the named ones: `python -m benchmarks [name ...]`."""

import argparse
import signal
import sys
from collections.abc import Sequence

from benchmarks import (
    anomalies,
    associations,
    batch_load,
    live,
    machine,
    readme,
    rfm,
    rules,
    segmentation,
)
from benchmarks.api import plan as api_plan
from benchmarks.comparison import Comparison
from benchmarks.lifetime import plan as lifetime_plan
from benchmarks.lifetime.report import report as report_lifetime
from benchmarks.lifetime.run import run as run_lifetime
from benchmarks.membership import plan as membership_plan
from benchmarks.membership.report import report as report_membership
from benchmarks.membership.run import run as run_membership
from benchmarks.own_services import own_services
from benchmarks.streams import plan
from benchmarks.streams.report import report
from benchmarks.streams.run import run as run_streams
from benchmarks.target import verdicts
from benchmarks.warehouse import plan as warehouse_plan
from benchmarks.warehouse.report import report as report_warehouse
from benchmarks.warehouse.run import run as run_warehouse

_NAMES = (
    "batch", "segmentation", "rfm", "lifetime", "anomalies", "associations", "rules", "membership",
    "live", "warehouse", "streams", "api",
)  # fmt: skip
_OPTIONS_OF_MEMBERSHIP = ("events", "rules", "rate", "seconds", "faster", "backlog", "regular")
_OPTIONS_OF_THE_WAREHOUSE = ("scale", "times", "sales", "new_sales", "increments")


def main() -> None:
    """Measure on services of its own, so that no warehouse is touched."""
    arguments = _arguments()
    names = arguments.names or _NAMES
    # By default the end of the process would leave a broker behind.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))
    _parts([each for each in names if each in ("batch", "segmentation")])
    if "rfm" in names:
        _rfm(arguments.orders)
    if "lifetime" in names:
        _lifetime(arguments)
    if "anomalies" in names:
        result = f"{anomalies.run()}\n\n{machine.told()}"
        sys.stdout.write(f"\n{result}\n")
        readme.write("anomalies", result)
    if "associations" in names:
        _associations()
    if "rules" in names:
        _rules(arguments.events)
    if "membership" in names:
        _membership(arguments)
    if "live" in names:
        _live(arguments)
    if "warehouse" in names:
        _warehouse(arguments)
    if "streams" in names:
        _streams(arguments)
    if "api" in names:
        _api(arguments)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(_NAMES)}")
    streams = parser.add_argument_group(
        "streams", "With any of these the results are shown only, not written to the README."
    )
    default = plan.Options()
    streams.add_argument("--only", type=_listed, default=default.only, help=",".join(plan.PARTS))
    for name in ("messages", "peer_messages", "memory_messages", "rounds", "latency_seconds"):
        option = f"--{name.replace('_', '-')}"
        streams.add_argument(option, type=int, default=getattr(default, name))
    parser.add_argument_group("rfm", "As with streams.").add_argument(
        "--orders", type=int, default=rfm.ORDERS
    )
    parser.add_argument_group("rules", "As with streams.").add_argument(
        "--events", type=int, default=rules.EVENTS
    )
    membership = parser.add_argument_group("membership", "As with streams.")
    for name in _OPTIONS_OF_MEMBERSHIP:
        size = getattr(membership_plan.Options(), name)
        membership.add_argument(f"--membership-{name}", type=int, default=size)
    lifetime = parser.add_argument_group("lifetime", "As with streams.")
    sizes = lifetime_plan.Options()
    lifetime.add_argument("--customers", type=int, default=sizes.customers)
    lifetime.add_argument("--lifetime-rounds", type=int, default=sizes.rounds)
    of_live = parser.add_argument_group("live", "As with streams.")
    of_live.add_argument("--live-customers", type=int, default=live.CUSTOMERS)
    of_live.add_argument("--movements", type=int, default=live.EVENTS)
    warehouse = parser.add_argument_group("warehouse", "As with streams.")
    for name in _OPTIONS_OF_THE_WAREHOUSE:
        size = getattr(warehouse_plan.Options(), name)
        warehouse.add_argument(f"--{name.replace('_', '-')}", type=int, default=size)
    api = parser.add_argument_group("api", "As with streams.")
    for name in ("rate", "seconds", "rounds", "sockets"):
        size = getattr(api_plan.Options(), name)
        api.add_argument(f"--api-{name}", type=int, default=size)
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(_NAMES):
        parser.error(f"{', '.join(sorted(unknown))}: choose from {', '.join(_NAMES)}")
    return arguments


def _listed(text: str) -> Sequence[str]:
    return tuple(text.split(","))


def _parts(names: Sequence[str]) -> None:
    """Batch load and segmentation, each against its baseline; written when all were measured."""
    if not names:
        return
    rows, targets = [], ""
    if "batch" in names:
        rows.append(_row(_batch()))
    if "segmentation" in names:
        measured = segmentation.run()
        rows.append(_row(measured.comparison))
        targets = f"\n\n{verdicts(measured.targets)}"
    head = ("part", "size", "ours, s", "baseline", "baseline, s", "ratio")
    content = readme.table(head, rows) + targets
    sys.stdout.write(f"{content}\n")
    if set(names) == {"batch", "segmentation"}:
        readme.write("parts", f"{content}\n\n{machine.told()} Medians of three runs in turn.")


def _row(result: Comparison) -> tuple[str, ...]:
    ours, baseline = f"{result.ours:.2f}", f"{result.baseline:.2f}"
    return result.name, result.size, ours, result.baseline_name, baseline, f"{result.ratio:.2f}"


def _batch() -> Comparison:
    with own_services() as (services, folder):
        return batch_load.run(services.database, folder)


def _rfm(orders: int) -> None:
    if orders < 1:
        sys.exit("python -m benchmarks: there must be an order")
    content = rfm.report(rfm.run(orders))
    sys.stdout.write(f"\n{content}\n")
    if orders == rfm.ORDERS:
        readme.write("rfm", content)


def _rules(events: int) -> None:
    if events < rules.FEWEST_EVENTS:
        sys.exit(f"python -m benchmarks: there must be {rules.FEWEST_EVENTS:,} events")
    content = rules.report(rules.run(events))
    sys.stdout.write(f"\n{content}\n")
    if events == rules.EVENTS:
        readme.write("rules", content)


def _membership(arguments: argparse.Namespace) -> None:
    sizes = {name: getattr(arguments, f"membership_{name}") for name in _OPTIONS_OF_MEMBERSHIP}
    try:
        options = membership_plan.Options(**sizes)
    except ValueError as error:
        sys.exit(f"python -m benchmarks: {error}")
    content = report_membership(run_membership(options), options)
    sys.stdout.write(f"\n{content}\n")
    if options.is_whole:
        readme.write("membership", content)


def _lifetime(arguments: argparse.Namespace) -> None:
    try:
        options = lifetime_plan.Options(arguments.customers, arguments.lifetime_rounds)
    except ValueError as error:
        sys.exit(f"python -m benchmarks: {error}")
    results = run_lifetime(options)
    sys.stdout.write(f"\n{report_lifetime(results)}\n")
    if options.is_whole:
        readme.write("lifetime", report_lifetime(results))


def _live(arguments: argparse.Namespace) -> None:
    customers, movements = arguments.live_customers, arguments.movements
    if customers < 300 or movements < 20:
        sys.exit("python -m benchmarks: there must be 300 customers and 20 movements")
    content = live.report(live.run(customers, movements))
    sys.stdout.write(f"\n{content}\n")
    if (customers, movements) == (live.CUSTOMERS, live.EVENTS):
        readme.write("live", content)


def _associations() -> None:
    content = associations.report(associations.run())
    sys.stdout.write(f"\n{content}\n")
    readme.write("associations", content)


def _warehouse(arguments: argparse.Namespace) -> None:
    sizes = {name: getattr(arguments, name) for name in _OPTIONS_OF_THE_WAREHOUSE}
    try:
        options = warehouse_plan.Options(**sizes)
    except ValueError as error:
        sys.exit(f"python -m benchmarks: {error}")
    results = run_warehouse(options)
    sys.stdout.write(f"\n{report_warehouse(results)}\n")
    if options.is_whole:
        readme.write("warehouse", report_warehouse(results))


def _streams(arguments: argparse.Namespace) -> None:
    names = ("messages", "peer_messages", "memory_messages", "rounds", "latency_seconds", "only")
    try:
        options = plan.Options(**{name: getattr(arguments, name) for name in names})
    except ValueError as error:
        sys.exit(f"python -m benchmarks: {error}")
    results = run_streams(options)
    if results is None:
        return
    sys.stdout.write(f"\n{report(results)}\n")
    if options.is_whole:
        readme.write("streams", report(results))


def _api(arguments: argparse.Namespace) -> None:
    # The web framework is needed by this part only.
    from benchmarks.api.run import report as report_api
    from benchmarks.api.run import run as run_api

    try:
        options = api_plan.Options(
            arguments.api_rate,
            arguments.api_seconds,
            arguments.api_rounds,
            arguments.api_sockets,
        )
    except ValueError as error:
        sys.exit(f"python -m benchmarks: {error}")
    content = report_api(run_api(options), options)
    sys.stdout.write(f"\n{content}\n")
    if options.is_whole:
        readme.write("api", content)


if __name__ == "__main__":
    main()
