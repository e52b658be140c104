"""Series of (time, value) in CSV files: read, with complaints that name the line, and scored."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from insight.errors import InputError
from ml_pipeline.anomalies.reasons import flagged_rows
from ml_pipeline.anomalies.revenue import seconds_of
from ml_pipeline.anomalies.scoring import Options, Scores, score_series, usual_step, warm_up_rows
from ml_pipeline.anomalies.tails import Flags, Floats
from ml_pipeline.export import write_atomically

TIME_NAMES = ("time", "timestamp", "datetime", "date", "ds", "window_start", "event_timestamp")
VALUE_NAMES = ("value", "values", "y", "amount", "revenue", "total_revenue", "count")
_FIRST_LINE = 2
_TWO = 2
# Squares of larger numbers, summed up, would be infinite.
_LARGEST = 1e100
# Numbers instead of dates are seconds since 1970, larger ones milliseconds.
_MILLISECONDS = 1e11
_MISSING = frozenset({"", "nan", "na", "null", "none"})
_INFINITE = frozenset({"inf", "infinity"})


@dataclass(frozen=True)
class CsvSeries:
    """T rows: times as they stand in the file and in UTC, ascending; values, NaN where missing."""

    told_times: "pd.Series[str]"
    times: pd.DatetimeIndex
    values: Floats
    time_column: str
    value_column: str


@dataclass(frozen=True)
class ScoredSeries:
    """`rows` has a row a row of the file; `flagged` the columns of `reasons.flagged_rows`.

    `learned` of the rows were learned from only.
    """

    rows: pd.DataFrame
    flagged: pd.DataFrame
    learned: int


def read_series(
    path: Path, *, time: str | None = None, value: str | None = None, skip_missing: bool = False
) -> CsvSeries:
    """Read columns `time` and `value`, by default those with a usual name or the only two.

    Raises InputError with file, line and what to do: no file, no rows, one row, no such column, a
    time or value that is none, an infinite value, a missing one unless `skip_missing`, times that
    do not ascend.
    """
    table = _table_of(path)
    time_column, value_column = _columns(path, table.columns.tolist(), time, value)
    told, texts = table[time_column].str.strip(), table[value_column].str.strip()
    values = _values(path, value_column, texts, skip_missing=skip_missing)
    times = _times(path, time_column, told)
    _check_order(path, times, told)
    if len(table) == 1:
        raise InputError(
            "has one row, and nothing to compare it with",
            where=str(path),
            next_step="Give a file with a series of rows",
        )
    return CsvSeries(told, times, values, time_column, value_column)


def score_csv(series: CsvSeries, options: Options) -> ScoredSeries:
    """Score every row; columns time, value, expected, score, direction, reason."""
    seconds = seconds_of(series.times)
    step = usual_step(seconds)
    values = series.values[:, None]
    scores = score_series(seconds, values, options, step=step)
    flagged = flagged_rows([series.value_column], series.times, values, scores, step)
    return ScoredSeries(
        rows=_all_rows(series, scores, flagged),
        flagged=flagged,
        learned=min(warm_up_rows(options, step), len(values)),
    )


def write_scores(path: Path, rows: pd.DataFrame) -> None:
    """Write the rows as CSV. Raises InputError when the file cannot be written."""
    try:
        write_atomically(path, rows.to_csv(index=False, lineterminator="\n").encode())
    except OSError as error:
        raise InputError(
            f"cannot be written ({error.strerror})",
            where=str(path),
            next_step="Give --out another path",
        ) from error


def _all_rows(series: CsvSeries, scores: Scores, flagged: pd.DataFrame) -> pd.DataFrame:
    rows = pd.DataFrame(
        {
            "time": series.told_times,
            "value": series.values,
            "expected": scores.expected[:, 0].round(6),
            "score": scores.score[:, 0].round(3),
            "direction": "",
            "reason": "",
        }
    )
    places = np.flatnonzero(scores.direction[:, 0])
    for name in ("direction", "reason"):
        column = np.full(len(rows), "", dtype=object)
        column[places] = flagged[name].to_numpy(dtype=object)
        rows[name] = column
    return rows


def _table_of(path: Path) -> pd.DataFrame:
    """All cells as text; row i stands in line i + 2."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        reason = error.strerror or "it is no file"
        raise InputError(
            f"cannot be read ({reason})", where=str(path), next_step="Give the path of a CSV file"
        ) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise InputError(
            "is not UTF-8 text", where=f"{path}, line {line}", next_step="Save it as CSV in UTF-8"
        ) from error
    text = text.rstrip()
    if "\n" not in text:
        raise InputError(
            "has no rows",
            where=str(path),
            next_step="Give a CSV file with a header and a row for each time",
        )
    delimiter = max(",;\t", key=text.split("\n", 1)[0].count)
    _check_widths(path, text, delimiter)
    return pd.read_csv(
        io.StringIO(text),
        sep=delimiter,
        dtype=str,
        keep_default_na=False,
        skip_blank_lines=False,
        index_col=False,
    )


def _check_widths(path: Path, text: str, delimiter: str) -> None:
    """Raises InputError at the first row with more or fewer cells than the header."""
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    header = next(reader)
    if len(set(header)) < len(header):
        doubled = next(name for name in header if header.count(name) > 1)
        raise InputError(
            f"has two columns {doubled!r}", where=f"{path}, line 1", next_step="Rename one of them"
        )
    for row in reader:
        if len(row) != len(header):
            raise InputError(
                f"has {len(row)} cells, the header has {len(header)}",
                where=f"{path}, line {reader.line_num}",
                next_step="Correct the line or take it out",
            )


def _columns(path: Path, names: list[str], time: str | None, value: str | None) -> tuple[str, str]:
    # Of two columns, the first is the time unless a name says otherwise.
    usual = (*TIME_NAMES, names[0].strip().lower()) if len(names) == _TWO else TIME_NAMES
    chosen_time = _column(path, names, time, "--time", usual, without=value)
    others = [name for name in names if name != chosen_time]
    return chosen_time, _column(path, others, value, "--value", VALUE_NAMES, without=None)


def _column(
    path: Path,
    names: list[str],
    asked: str | None,
    option: str,
    usual: Sequence[str],
    *,
    without: str | None,
) -> str:
    names = [name for name in names if name != without]
    has = f"It has {', '.join(names) or 'no other column'}"
    if asked is not None:
        if asked not in names:
            raise InputError(
                f"has no column {asked!r}",
                where=f"{path}, line 1",
                next_step=f"{has}: give one with {option}",
            )
        return asked
    by_name = [name for want in usual for name in names if name.strip().lower() == want]
    if by_name or len(names) == 1:
        return (by_name or names)[0]
    what = "time" if option == "--time" else "value"
    raise InputError(
        f"does not tell which column is the {what}",
        where=f"{path}, line 1",
        next_step=f"{has}: give one with {option}",
    )


def _values(path: Path, column: str, texts: "pd.Series[str]", *, skip_missing: bool) -> Floats:
    lower = texts.str.lower()
    is_missing = lower.isin(_MISSING).to_numpy()
    is_infinite = lower.str.lstrip("+-").isin(_INFINITE).to_numpy()
    numbers = pd.to_numeric(texts.where(~is_missing, "0"), errors="coerce").to_numpy(
        dtype=float, copy=True
    )
    where = f"column {column}"
    if not skip_missing:
        _refuse(
            path, is_missing, texts, f"{where}: the value is missing",
            "Fill it in, take the line out, or use --skip-missing",
        )  # fmt: skip
    _refuse(
        path, is_infinite | np.isinf(numbers), texts, f"{where}: {{!r}} is infinite",
        "Correct the number or take the line out",
    )  # fmt: skip
    _refuse(
        path, np.isnan(numbers), texts, f"{where}: {{!r}} is not a number",
        "Write it with digits and a decimal point, without unit and thousands separator",
    )  # fmt: skip
    _refuse(
        path, np.abs(numbers) > _LARGEST, texts, f"{where}: {{!r}} is too large",
        f"Numbers go up to {_LARGEST:g}: correct it or take the line out",
    )  # fmt: skip
    numbers[is_missing] = np.nan
    if is_missing.all():
        raise InputError("has no value at all", where=f"{path}, column {column}")
    return numbers


def _times(path: Path, column: str, told: "pd.Series[str]") -> pd.DatetimeIndex:
    numbers = pd.to_numeric(told, errors="coerce").to_numpy(dtype=float)
    # A compact date such as 20190101 is no number of seconds.
    if not np.isnan(numbers).any() and (told.str.len() != len("20190101")).all():
        unit = 1e3 if np.abs(numbers).max() > _MILLISECONDS else 1.0
        microseconds = np.round(numbers / unit * 1e6).astype("datetime64[us]")
        return pd.DatetimeIndex(microseconds, tz="UTC")
    times = pd.to_datetime(told, errors="coerce", format="ISO8601", utc=True)
    if times.isna().all():
        times = pd.to_datetime(told, errors="coerce", utc=True)
    _refuse(
        path, times.isna().to_numpy(), told, f"column {column}: {{!r}} is not a time",
        "Write it as 2019-12-31 23:59:00",
    )  # fmt: skip
    return pd.DatetimeIndex(times)


def _check_order(path: Path, times: pd.DatetimeIndex, told: "pd.Series[str]") -> None:
    steps = np.diff(times.asi8)
    after = np.concatenate([[False], steps < 0]), np.concatenate([[False], steps == 0])
    _refuse(
        path, after[0], told, "the time {!r} lies before that of the line above",
        "Sort the file by time",
    )  # fmt: skip
    _refuse(
        path, after[1], told, "the time {!r} stands in the line above, too",
        "Keep one row a time, or add them up; score each series of a file by itself",
    )  # fmt: skip


def _refuse(path: Path, rows: Flags, texts: "pd.Series[str]", what: str, next_step: str) -> None:
    """Raises InputError for the first of the rows, if there is one."""
    if not rows.any():
        return
    first = int(np.argmax(rows))
    more = f" (and {int(rows.sum()) - 1:,} more lines)" if rows.sum() > 1 else ""
    raise InputError(
        what.format(texts.iloc[first]) + more,
        where=f"{path}, line {first + _FIRST_LINE}",
        next_step=next_step,
    )
