"""`insight anomalies score`: anomalies in any CSV file of (time, value)."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from insight.cli.report import TableFormat, print_rows
from insight.cli.state import out

if TYPE_CHECKING:
    from ml_pipeline.anomalies.csv_file import ScoredSeries

app = typer.Typer(help="Find anomalies in series of (time, value).", no_args_is_help=True)

_COLUMNS = ("time", "value", "expected", "score", "direction", "reason")


@app.command()
def score(
    file: Annotated[Path, typer.Argument(help="CSV file with a header, a row a time, ascending.")],
    time: Annotated[str | None, typer.Option("--time", help="Column of the times.")] = None,
    value: Annotated[str | None, typer.Option("--value", help="Column of the values.")] = None,
    out_file: Annotated[
        Path | None, typer.Option("--out", help="Write all rows with their scores to this CSV.")
    ] = None,
    false_alarms: Annotated[
        float,
        typer.Option(
            min=0.001, max=10_000, help="So many in a million rows may be false, at each scale."
        ),
    ] = 2.0,
    warm_up: Annotated[
        int | None,
        typer.Option(min=2, help="Rows to learn from only; default: a day, at least 50."),
    ] = None,
    skip_missing: Annotated[
        bool, typer.Option("--skip-missing", help="Take empty and NaN values as not measured.")
    ] = False,
    most: Annotated[int, typer.Option(min=1, help="Print at most so many rows.")] = 50,
    style: Annotated[TableFormat, typer.Option("--format", "-f")] = TableFormat.table,
) -> None:
    """Score every row by the rows before it; print what is far from usual, and why."""
    # Here, because importing pandas and scipy takes a second that other commands need not wait.
    from ml_pipeline.anomalies.csv_file import read_series, score_csv, write_scores
    from ml_pipeline.anomalies.scoring import Options

    series = read_series(file, time=time, value=value, skip_missing=skip_missing)
    scored = score_csv(series, Options(false_alarms=false_alarms, warm_up_rows=warm_up))
    if out_file is not None:
        write_scores(out_file, scored.rows)
    _print(scored, most, style)


def _print(scored: "ScoredSeries", most: int, style: TableFormat) -> None:
    flagged = scored.rows[scored.rows["direction"] != ""]
    rows = [
        _for_people(row) if style is TableFormat.table else row
        for row in flagged.head(most)[list(_COLUMNS)].itertuples(index=False, name=None)
    ]
    if rows or style is not TableFormat.table:
        print_rows(_COLUMNS, rows, style)
    if style is TableFormat.table:
        out.print(_summary(scored, len(flagged), len(rows)), markup=False)


def _for_people(row: tuple[object, ...]) -> tuple[object, ...]:
    from ml_pipeline.anomalies.reasons import shown

    time, value, expected, score, *words = row
    return (time, shown(float(str(value))), shown(float(str(expected))), f"{score:.1f}", *words)


def _summary(scored: "ScoredSeries", flagged: int, shown: int) -> str:
    rows, learned = len(scored.rows), scored.learned
    if scored.rows["value"].nunique() <= 1:
        return f"All {rows:,} values are equal: there is nothing to find in them."
    if learned >= rows:
        return (
            f"Nothing is judged: the first {learned:,} rows are learned from only, and there are no"
            " more. Give more rows, or a smaller number with --warm-up."
        )
    more = f", {shown:,} are shown (--most, or all with --out)" if shown < flagged else ""
    found = "is an anomaly" if flagged == 1 else "are anomalies"
    return (
        f"{flagged:,} of {rows:,} rows {found}{more}; the first {learned:,} were learned from only."
    )
