"""The mf commands of docs/metrics.md, as typed, print what stands below them there."""

import logging
import re
import shlex
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from dbt_metricflow.cli.main import cli

from insight.database import DatabaseEndpoint

Mf = Callable[[str], tuple[int, str]]

_BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
_PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def _typed() -> dict[str, str]:
    """Each mf command of the page and what the page shows that it prints."""
    blocks = _BLOCK.findall(_PAGE.read_text())
    parts = [part.partition("\n") for block in blocks for part in block.split("$ ")[1:]]
    return {command: printed for command, _, printed in parts if command.startswith("mf ")}


@pytest.fixture
def mf(
    built: DatabaseEndpoint, built_project: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Mf]:
    """Runs a typed mf command in this process; returns exit code and output."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    signals = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.chdir(built_project)
    # A proxy that nobody is: mf must work without the network, which it asks for a newer version.
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    for name, value in built.environment().items():
        monkeypatch.setenv(name, value)

    def run(typed: str) -> tuple[int, str]:
        program, *arguments = shlex.split(typed)
        assert program == "mf"
        outcome = CliRunner().invoke(cli, arguments)
        return outcome.exit_code, outcome.output

    yield run
    root.handlers[:], root.level = handlers, level
    for number, handler in signals.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("typed", "printed"), _typed().items(), ids=list(_typed()))
def test_it_prints_what_the_page_shows(
    mf: Mf, built: DatabaseEndpoint, typed: str, printed: str
) -> None:
    code, output = mf(typed)
    assert code == 0, output
    lines = output.replace(f'"{built.dbname}"', '"insight"').splitlines()
    assert printed.strip() in "\n".join(line.rstrip() for line in lines)


def test_the_page_shows_queries_and_their_output() -> None:
    typed = _typed()
    assert "mf validate-configs" in typed
    assert sum(bool(printed.strip()) for printed in typed.values()) >= 3


@pytest.mark.parametrize(
    ("typed", "suggestion"),
    [
        ("mf query --metrics refund", "refunds"),
        ("mf query --metrics orders --group-by customer__segment", "customer__segment_name"),
        ("mf query --metrics return_on_spend --group-by marketing__channel", "metric_time__day"),
    ],
)
def test_what_does_not_exist_is_refused_with_a_suggestion(
    mf: Mf, typed: str, suggestion: str
) -> None:
    # A failure never stops the progress line, which is a thread of this process.
    code, output = mf(f"{typed} --quiet")
    assert code == 1
    assert suggestion in output.partition("Suggestions:")[2].partition("Query Input:")[0]


def test_a_period_without_rows_is_an_empty_result(mf: Mf) -> None:
    code, output = mf(
        "mf query --metrics gross_revenue,customers --group-by metric_time__month"
        " --start-time 2001-01-01 --end-time 2001-12-31"
    )
    assert code == 0, output
    assert "empty result set" in output
