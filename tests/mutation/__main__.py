"""`make mutate`: makes one edit after the other and tells which ones no test notices."""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from mutation.edits import edits_of
from mutation.equivalents import Equivalent, reviewed, unreviewed
from mutation.report import Result, score, survivors, table
from mutation.scratch import scratch_trials
from mutation.trial import Trials

_PROJECT = Path(__file__).resolve().parents[2] / "dbt_pipeline"


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the score is at least that of --fail-under, else 1."""
    options = _options(arguments)
    known, equivalent = reviewed(), Counter[str]()
    results: list[Result] = []
    with scratch_trials(_PROJECT) as trials:
        for name in options.models or _marts():
            results += _tried(trials, name, known, equivalent, options.limit)
    lines = [*(each.difference() for each in survivors(results)), "", *table(results, equivalent)]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if score(results) >= options.fail_under / 100 else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make mutate", description=__doc__)
    parser.add_argument("--models", nargs="+", metavar="NAME", help="these only, not all marts")
    parser.add_argument("--limit", type=int, metavar="N", help="the first N edits of each model")
    parser.add_argument(
        "--fail-under", type=float, default=0.0, metavar="PERCENT", help="exit 1 below this score"
    )
    return parser.parse_args(arguments)


def _marts() -> list[str]:
    """The marts, and the models between them and staging, where much of their logic stands."""
    models = _PROJECT / "models"
    files = [*(models / "intermediate").rglob("*.sql"), *(models / "marts").rglob("*.sql")]
    return sorted(path.stem for path in files)


def _tried(
    trials: Trials,
    name: str,
    known: Sequence[Equivalent],
    equivalent: Counter[str],
    limit: int | None,
) -> Iterator[Result]:
    node = trials.model(name)
    sql = node.raw_code
    edits = edits_of(sql)
    wanted = list(unreviewed(known, name, edits, sql))
    equivalent[name] = len(edits) - len(wanted)
    with trials.on(name) as of_model:
        for number, edit in enumerate(wanted[:limit], 1):
            result = Result(name, node.original_file_path, sql, edit, of_model.outcome(edit))
            _tell(f"{number}/{len(wanted[:limit])} {result.outcome.verdict}: {result.difference()}")
            yield result


def _tell(progress: str) -> None:
    sys.stderr.write(f"{progress}\n")


if __name__ == "__main__":
    sys.exit(main())
