"""`insight lab`: exercises on data of one's own, apart from the warehouse."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from insight.cli.report import print_rows
from insight.cli.state import out, progress, settings_of
from ml_pipeline.credit_cards.options import (
    DEFAULT_FEATURES,
    LARGEST_K,
    SMALLEST_K,
    Missing,
    Scaling,
)

if TYPE_CHECKING:
    from ml_pipeline.credit_cards.run import LabRun

app = typer.Typer(
    help="Exercises on files of your own, apart from the warehouse.", no_args_is_help=True
)

_MOST_TEST_ROWS = 20


@app.callback()
def lab() -> None:
    """A callback, because Typer makes an app of one command that command."""


@app.command("credit-cards")
def credit_cards(
    context: typer.Context,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="CSV with one row a customer; else customers are generated."),
    ] = None,
    test: Annotated[
        Path | None,
        typer.Option("--test", help="CSV with customers to put into the clusters of --data."),
    ] = None,
    features: Annotated[
        str, typer.Option(help="Columns that the clusters are made of, parted by commas.")
    ] = ",".join(DEFAULT_FEATURES),
    missing: Annotated[
        Missing, typer.Option(help="Leave customers with a gap out, or fill in the median.")
    ] = Missing.drop,
    scaling: Annotated[
        Scaling, typer.Option(help="Standardise logarithms, or the amounts as they are.")
    ] = Scaling.log,
    clusters: Annotated[
        int | None,
        typer.Option(help=f"Clusters to keep, {SMALLEST_K} to {LARGEST_K}; else the elbow says."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder for the results; else one in INSIGHT_HOME.")
    ] = None,
) -> None:
    """Cluster card customers with K-means and say which cluster each belongs to."""
    # Here, because importing scikit-learn takes seconds that other commands need not wait.
    from ml_pipeline.credit_cards.run import run_lab

    folder = output or settings_of(context).lab_dir / "credit_cards" / "latest"
    with progress(f"K-means for k = {SMALLEST_K} to {LARGEST_K}"):
        made = run_lab(
            folder,
            data=data,
            test=test,
            features=features.split(","),
            missing=missing,
            scaling=scaling,
            clusters=clusters,
        )
    _print(made)


def _print(made: "LabRun") -> None:
    evaluation = made.evaluation
    print_rows(
        ["k", "sse", "silhouette"],
        [(each.k, f"{each.sse:,.1f}", each.silhouette) for each in made.model.sweep],
    )
    elbow = "no elbow" if evaluation.elbow is None else f"elbow at {evaluation.elbow}"
    out.print(f"\n{elbow}; k = {evaluation.k} is kept: {evaluation.reason}\n", markup=False)
    names = list(made.model.preparation.features)
    print_rows(
        ["cluster", "customers", "share", *(f"average {name}" for name in names)],
        [
            (
                each.cluster,
                f"{each.customers:,}",
                f"{each.share:.1%}",
                *(f"{each.averages[name]:,.2f}" for name in names),
            )
            for each in evaluation.clusters
        ],
    )
    if made.tested is not None:
        out.print()
        rows = made.tested.head(_MOST_TEST_ROWS).itertuples(index=False)
        print_rows(["test customer", "cluster"], [tuple(row) for row in rows])
    extracted = made.extracted
    origin = "generated customers" if extracted.generated else extracted.data
    out.print(
        f"\n{origin}: {extracted.rows:,} rows, {extracted.duplicates:,} replaced by a later one, "
        f"{extracted.customers - made.model.customers:,} left out for a gap",
        markup=False,
    )
    out.print(f"Report and assignments: {made.folder}", markup=False)
