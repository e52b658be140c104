"""The score of each model and the edits that no test noticed, as plain text."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mutation.edits import Edit
from mutation.trial import Outcome, Verdict


@dataclass(frozen=True)
class Result:
    """One edit of one model and what came of it; `sql` is the text before."""

    model: str
    path: str
    sql: str
    edit: Edit
    outcome: Outcome

    def difference(self) -> str:
        """Two lines in the manner of diff, below the place."""
        before, after = self.edit.difference(self.sql)
        place = f"{self.path}:{self.edit.line_number(self.sql)}"
        return f"{place} ({self.edit.kind}, {self.outcome.noticed_by})\n  - {before}\n  + {after}"


def score(results: Sequence[Result]) -> float:
    """Share of the valid edits that a test noticed; 1 when there is none."""
    counts = Counter(result.outcome.verdict for result in results)
    valid = counts[Verdict.killed] + counts[Verdict.survived]
    return counts[Verdict.killed] / valid if valid else 1.0


def survivors(results: Sequence[Result]) -> list[Result]:
    return [result for result in results if result.outcome.verdict is Verdict.survived]


def table(results: Sequence[Result], equivalent: Counter[str]) -> Iterator[str]:
    """A line a model and one of all."""
    models = dict.fromkeys(result.model for result in results)
    width = max((len(model) for model in models), default=5)
    yield f"{'model':<{width}}  edits  noticed  unnoticed  invalid  equivalent   score"
    for model in models:
        of_model = [result for result in results if result.model == model]
        yield _line(model.ljust(width), of_model, equivalent[model])
    yield _line("all".ljust(width), results, equivalent.total())


def _line(name: str, results: Sequence[Result], equivalent: int) -> str:
    counts = Counter(result.outcome.verdict for result in results)
    return (
        f"{name}  {len(results) + equivalent:>5}  {counts[Verdict.killed]:>7}"
        f"  {counts[Verdict.survived]:>9}  {counts[Verdict.invalid]:>7}  {equivalent:>10}"
        f"  {score(results):>6.1%}"
    )
