"""`insight anomalies score`, as it is typed: any CSV of (time, value), and complaints about it."""

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from insight.cli.app import app
from insight.errors import InputError

Score = Callable[..., Result]
HOURS = 24 * 14
ODD = 24 * 10 + 5


def _text(delimiter: str = ",", header: str = "time,value", **values: str) -> str:
    """Two weeks of hours; `values` replaces the line of an hour: h7='2019-..., 3'."""
    draw = np.random.default_rng(3)
    lines = [header.replace(",", delimiter)]
    for hour in range(HOURS):
        at = datetime(2019, 12, 2) + timedelta(hours=hour)  # noqa: DTZ001 (a file's own time)
        value = 100 + 40 * np.sin(hour / 24 * 2 * np.pi) + draw.normal() + 50 * (hour == ODD)
        lines.append(values.get(f"h{hour}", f"{at:%Y-%m-%d %H:%M}{delimiter}{value:.3f}"))
    return "\n".join(lines) + "\n"


@pytest.fixture
def score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Score:
    """Runs the command on a text; an expected error is raised, since `main` would only print it."""
    monkeypatch.setenv("INSIGHT_HOME", str(tmp_path / "home"))

    def run(text: str | bytes, *options: str) -> Result:
        file = tmp_path / "series.csv"
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        result = CliRunner().invoke(app, ["anomalies", "score", str(file), *options])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def test_the_odd_hour_is_printed_with_expectation_score_and_reason(score: Score) -> None:
    printed = score(_text()).stdout
    assert "2019-12-12 05:00" in printed
    assert "is usual" in printed
    assert f"1 of {HOURS} rows is an anomaly; the first 50 were learned from only." in printed


def test_all_scores_are_written_and_the_times_are_those_of_the_file(
    score: Score, tmp_path: Path
) -> None:
    written = tmp_path / "out" / "scores.csv"
    score(_text(), "--out", str(written))
    with written.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["time", "value", "expected", "score", "direction", "reason"]
    assert len(rows) == HOURS
    assert [row["time"] for row in rows if row["direction"]] == ["2019-12-12 05:00"]
    assert {row["score"] for row in rows[:50]} == {""}
    assert float(rows[ODD]["score"]) > 5.7


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters_a_byte_order_mark_and_line_ends_are_read(
    score: Score, delimiter: str
) -> None:
    text = "\ufeff" + _text(delimiter).replace("\n", "\r\n")
    assert "1 of 336 rows" in score(text).stdout


def test_columns_are_chosen_by_option_or_name(score: Score) -> None:
    assert "1 of 336 rows" in score(_text(header="when,visits")).stdout
    wide = "\n".join(f"x,{line}" for line in _text(header="when,visits").splitlines())
    with pytest.raises(InputError, match=r"line 1: does not tell which column is the time.*--time"):
        score(wide)
    with pytest.raises(InputError, match=r"no column 'then'\. It has x, when, visits: .* --time"):
        score(wide, "--time", "then")
    assert "1 of 336 rows" in score(wide, "--time", "when", "--value", "visits").stdout


def test_seconds_since_1970_are_times(score: Score) -> None:
    lines = _text().splitlines()[1:]
    for factor in (1, 1000):
        text = "time,value\n" + "".join(
            f"{(1_575_244_800 + 3600 * hour) * factor},{line.split(',')[1]}\n"
            for hour, line in enumerate(lines)
        )
        assert "1 of 336 rows" in score(text).stdout


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"series\.csv: has no rows\. Give a CSV"),
        ("time,value\n", r"series\.csv: has no rows\. Give a CSV"),
        ("time,value\n2019-01-01,3\n", r"has one row, and nothing to compare it with\. Give"),
        (_text(h7="2019-12-02 07:00,NaN"), r"line 9: .*value is missing.*--skip-missing"),
        (_text(h7="2019-12-02 07:00,"), r"line 9: .*value is missing.*--skip-missing"),
        (_text(h7="2019-12-02 07:00,-inf"), r"line 9: .*'-inf' is infinite\. Correct"),
        (_text(h7="2019-12-02 07:00,1e999"), r"line 9: .*'1e999' is infinite\. Correct"),
        (_text(h7="2019-12-02 07:00,1e200"), r"line 9: .*'1e200' is too large\. Numbers"),
        (_text(h7="2019-12-02 07:00,12 EUR"), r"line 9: .*'12 EUR' is not a number\. Write"),
        (_text(h7="yesterday,12"), r"line 9: column time: 'yesterday' is not a time\. Write"),
        (_text(h7="2019-12-01 07:00,12"), r"line 9: the time .* lies before .*\. Sort"),
        (_text(h7="2019-12-02 06:00,12"), r"line 9: the time .* stands in the line above.*\. Keep"),
        (_text(h7="2019-12-02 07:00"), r"line 9: has 1 cells, the header has 2\. Correct"),
        (_text(h7=""), r"line 9: has 0 cells, the header has 2\. Correct"),
        ("time,time\n1,2\n2,3\n", r"line 1: has two columns 'time'\. Rename"),
        ("time\n1\n2\n", r"does not tell which column is the value"),
        ("time,value\n2019-01-01,nan\n2019-01-02,nan\n", r"line 2: .*value is missing"),
        (b"time,value\n1,2\n\xff\xfe,3\n", r"line 3: is not UTF-8 text\. Save"),
    ],
)  # fmt: skip
def test_bad_input_gets_file_line_and_what_to_do(score: Score, text, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        score(text)


def test_missing_values_can_be_skipped(score: Score) -> None:
    text = _text(h7="2019-12-02 07:00,", h200="2019-12-10 08:00,NaN")
    assert "1 of 336 rows" in score(text, "--skip-missing").stdout
    with pytest.raises(InputError, match="has no value at all"):
        score("time,value\n1,\n2,\n", "--skip-missing")


def test_equal_values_and_too_few_rows_are_said(score: Score) -> None:
    equal = "time,value\n" + "".join(f"{each},4.5\n" for each in range(0, 300_000, 3600))
    assert "All 84 values are equal" in score(equal).stdout
    few = "\n".join(_text().splitlines()[:31])
    assert "Nothing is judged: the first 50 rows" in score(few).stdout.replace(
        "first 30", "first 50"
    )
    assert "30 rows" in score(few, "--warm-up", "10").stdout


def test_formats_and_the_longest_list(score: Score) -> None:
    text = _text()
    assert score(text, "-f", "csv").stdout.startswith("time,value,expected,score")
    (flagged,) = json.loads(score(text, "-f", "json").stdout)
    assert str(flagged["value"]) in text
    many = score(text, "--false-alarms", "10000", "--warm-up", "30", "--most", "1").stdout
    assert "1 are shown" in many or "1 of 336" in many


def test_a_file_that_cannot_be_read_or_written_is_one_line_and_exit_code_1(
    tmp_path: Path,
) -> None:
    (tmp_path / "series.csv").write_text(_text())
    insight = Path(sys.executable).with_name("insight")
    for arguments, sentence in (
        (["nowhere.csv"], "nowhere.csv: cannot be read (No such file or directory)"),
        ([str(tmp_path)], "cannot be read (Is a directory)"),
        ([str(tmp_path / "series.csv"), "--out", "/proc/nothing/here.csv"], "cannot be written"),
    ):
        outcome = subprocess.run(
            [str(insight), "anomalies", "score", *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert outcome.returncode == 1
        assert outcome.stderr.startswith("Error:")
        assert sentence in outcome.stderr
        assert "Traceback" not in outcome.stderr
