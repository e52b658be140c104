"""One edited model in a warehouse of its own: does any test notice?"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from dbt.cli.main import dbtRunner, dbtRunnerResult
from dbt.contracts.graph.manifest import Manifest
from dbt.contracts.graph.nodes import ModelNode
from mutation.edits import Edit

from insight.database import DatabaseEndpoint, connect

_QUIET = (
    *("--log-level", "none", "--log-level-file", "none", "--no-write-json"),
    *("--cache-selected-only", "--no-send-anonymous-usage-stats"),
)
# What Postgres or dbt says of SQL that never could run: no test deserves the credit.
_NO_SQL = re.compile(
    r"syntax error|does not exist|must appear in the GROUP BY|operator is not unique"
    r"|enforced contract that failed|could not determine|not recognized|is not unique"
    r"|types? .* cannot be matched|must match those|invalid input syntax|not supported"
    r"|aggregate functions are not allowed|argument of .* must be|cannot cast type"
    r"|percentile value .* is not between|must match SELECT DISTINCT|is ambiguous"
)
Answer = list[tuple[str, str, str]]


class Verdict(StrEnum):
    killed = "killed"
    survived = "survived"
    invalid = "invalid"


@dataclass(frozen=True)
class Outcome:
    """`noticed_by` names the test or model that failed, or says why nothing did."""

    verdict: Verdict
    noticed_by: str = ""


class BrokenBaselineError(Exception):
    """The tests fail on the unchanged model: nothing can be learned from edits."""


class Trials:
    """Runs dbt in this process, in the current folder, on a warehouse that is built already."""

    def __init__(self, manifest: Manifest, database: DatabaseEndpoint):
        self._manifest = manifest
        self._database = database

    def model(self, name: str) -> ModelNode:
        [node] = [
            node
            for node in self._manifest.nodes.values()
            if isinstance(node, ModelNode) and Path(node.original_file_path).stem == name
        ]
        return node

    @contextmanager
    def on(self, name: str) -> Iterator["ModelTrials"]:
        """Trials of one model; it and what stands on it are as they were afterwards.

        Raises BrokenBaselineError when the tests fail without an edit.
        """
        node = self.model(name)
        text = node.raw_code
        trials = ModelTrials(self, node, text)
        trials.expect_sound_baseline()
        try:
            yield trials
        finally:
            node.raw_code = text
            self.invoke("run", "--select", f"{_selector(node)}+", "--full-refresh")

    def invoke(self, command: str, *arguments: str) -> Answer:
        """What failed, as (kind of node, name, message); empty when all is well."""
        outcome = dbtRunner(manifest=self._manifest).invoke([*_QUIET, command, *arguments])
        if outcome.exception is not None:
            return [("dbt", command, str(outcome.exception))]
        return list(_failures(outcome))

    def has_unit_test(self, node: ModelNode) -> bool:
        return any(test.model == node.name for test in self._manifest.unit_tests.values())

    def has_children(self, node: ModelNode) -> bool:
        return any(
            node.unique_id in each.depends_on.nodes
            for each in self._manifest.nodes.values()
            if isinstance(each, ModelNode)
        )

    def digest(self, relation: str) -> object:
        with connect(self._database) as connection:
            query = f"select count(*), sum(hashtextextended(t::text, 0)) from {relation} as t"
            return connection.execute(query).fetchone()


class ModelTrials:
    """Tries edits of one model, one after the other."""

    def __init__(self, trials: Trials, node: ModelNode, text: str):
        self._trials = trials
        self._node = node
        self._text = text
        self._rows: object = None

    def expect_sound_baseline(self) -> None:
        """Raises BrokenBaselineError; takes the rows of the unchanged model."""
        name = self._node.name
        failed = self._of_the_model() or self._of_what_stands_on_it()
        if failed:
            _, culprit, message = failed[0]
            raise BrokenBaselineError(f"{name}: {culprit} fails without any edit: {message}")
        self._rows = self._trials.digest(self._relation())

    def outcome(self, edit: Edit) -> Outcome:
        """Build the edited model and run every test that could see it, until one fails."""
        self._node.raw_code = edit.applied(self._text)
        failed = self._of_the_model()
        if failed:
            return _judged(failed)
        if self._trials.digest(self._relation()) == self._rows:
            return Outcome(Verdict.survived, "gives the same rows")
        failed = self._of_what_stands_on_it()
        return _judged(failed) if failed else Outcome(Verdict.survived, "gives other rows")

    def _of_the_model(self) -> Answer:
        """What fails of its unit tests and of building it."""
        name, failed = _selector(self._node), []
        if self._trials.has_unit_test(self._node):
            failed = self._trials.invoke("test", "--select", f"{name},test_type:unit")
        return failed or self._trials.invoke("run", "--select", name, "--full-refresh")

    def _of_what_stands_on_it(self) -> Answer:
        """What fails of building the models after it and of all data tests from it on."""
        name = _selector(self._node)
        selected, failed = ("--fail-fast", "--select", f"{name}+", "--exclude"), []
        if self._trials.has_children(self._node):
            failed = self._trials.invoke("run", *selected, name, "--full-refresh")
        return failed or self._trials.invoke("test", *selected, "test_type:unit")

    def _relation(self) -> str:
        return f'"{self._node.schema}"."{self._node.alias}"'


def _selector(node: ModelNode) -> str:
    return node.name if node.version is None else f"{node.name}.v{node.version}"


def _judged(failed: Answer) -> Outcome:
    kind, name, message = failed[0]
    if kind in ("model", "unit_test", "dbt") and _NO_SQL.search(message):
        return Outcome(Verdict.invalid, _first_line(message))
    return Outcome(Verdict.killed, name)


def _failures(outcome: dbtRunnerResult) -> Iterator[tuple[str, str, str]]:
    for each in getattr(outcome.result, "results", ()):
        if each.status in ("error", "fail", "runtime error"):
            yield str(each.node.resource_type), each.node.name, str(each.message)


def _first_line(message: str) -> str:
    return " ".join(message.split())[:120]
