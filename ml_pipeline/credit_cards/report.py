"""The lab report in markdown: the same documents give the same text."""

from collections.abc import Sequence

import pandas as pd

from ml_pipeline.credit_cards.model import CardModel, Evaluation, Extracted
from ml_pipeline.credit_cards.options import CUSTOMER, Missing
from ml_pipeline.credit_cards.train import (
    INIT,
    MAX_ITER,
    N_INIT,
    RANDOM_STATE,
    ROWS_TO_COMPARE,
    ROWS_TO_EVALUATE,
)

_MOST_TEST_ROWS = 20


def render_report(
    extracted: Extracted,
    model: CardModel,
    evaluation: Evaluation,
    tested: pd.DataFrame | None,
    figures: Sequence[tuple[str, str]],
) -> str:
    """All sections; `tested` has CUST_ID and cluster, `figures` file names and their captions."""
    sections = [
        _data(extracted, model),
        _sweep(model, evaluation),
        *(f"![{caption}]({name})" for name, caption in figures),
        _clusters(evaluation),
    ]
    if tested is not None:
        sections.append(_tested(extracted, tested))
    sections.append(_versions(model))
    return "# Credit card customers\n\n" + "\n\n".join(sections) + "\n"


def _data(extracted: Extracted, model: CardModel) -> str:
    preparation = model.preparation
    origin = "generated customers; nobody in it exists" if extracted.generated else extracted.data
    gaps = extracted.customers - model.customers
    rule = (
        f"customers with a gap in a feature are left out: {gaps:,}"
        if preparation.missing is Missing.drop
        else "gaps get the median: "
        + ", ".join(
            f"{name} {median:,.2f}"
            for name, median in zip(preparation.features, preparation.medians, strict=True)
        )
    )
    return "\n".join(
        [
            "## Data",
            "",
            f"- Origin: {origin}",
            f"- Rows: {extracted.rows:,}; replaced by a later row of the same customer: "
            f"{extracted.duplicates:,}; customers: {extracted.customers:,}",
            f"- Features: {', '.join(preparation.features)}",
            f"- Missing values: {rule}",
            f"- Scaling: {_SCALING[preparation.scaling]}",
            f"- Customers trained on: {model.customers:,}",
        ]
    )


_SCALING = {
    "log": "logarithm of 1 + x, then mean 0 and standard deviation 1",
    "standard": "mean 0 and standard deviation 1",
}


def _sweep(model: CardModel, evaluation: Evaluation) -> str:
    rows = [
        (
            f"**{each.k}**" if each.k == model.k else each.k,
            f"{each.sse:,.1f}",
            _number(each.silhouette),
        )
        for each in model.sweep
    ]
    elbow = (
        "The SSE has no elbow."
        if evaluation.elbow is None
        else f"The elbow of the SSE is at k = {evaluation.elbow}."
    )
    sampled = (
        f"The silhouettes of the table are those of {ROWS_TO_COMPARE:,} customers.\n\n"
        if model.customers > ROWS_TO_COMPARE
        else ""
    )
    evaluated = min(model.customers, ROWS_TO_EVALUATE)
    return (
        "## Number of clusters\n\n"
        + sampled
        + _table(("k", "SSE", "silhouette"), rows)
        + f"\n\n{elbow} The model of k = {model.k} is kept ({model.reason}); its silhouette is "
        f"{_number(evaluation.silhouette)} of {evaluated:,} customers,"
        f" its SSE {evaluation.sse:,.1f}."
    )


def _clusters(evaluation: Evaluation) -> str:
    features = list(evaluation.clusters[0].averages)
    rows = [
        (
            each.cluster,
            f"{each.customers:,}",
            f"{each.share:.1%}",
            *(f"{each.averages[name]:,.2f} ({each.medians[name]:,.2f})" for name in features),
        )
        for each in evaluation.clusters
    ]
    header = ("cluster", "customers", "share", *features)
    return (
        "## Clusters\n\nAverage and, in brackets, median of each feature, in the units of the "
        "file. Clusters are numbered by falling centre of the first feature.\n\n"
        + _table(header, rows)
    )


def _tested(extracted: Extracted, tested: pd.DataFrame) -> str:
    origin = "generated" if extracted.generated else extracted.test
    rows = list(tested[[CUSTOMER, "cluster"]].head(_MOST_TEST_ROWS).itertuples(index=False))
    more = len(tested) - len(rows)
    return (
        f"## Test customers\n\n{extracted.test_rows:,} rows ({origin}), {len(tested):,} customers "
        "put into a cluster, scaled as in the training"
        + (f"; {more:,} more are in test_assignments.csv" if more else "")
        + ".\n\n"
        + _table((CUSTOMER, "cluster"), rows)
    )


def _versions(model: CardModel) -> str:
    libraries = ", ".join(f"{name} {number}" for name, number in model.libraries.items())
    return (
        f"## Versions\n\n- K-means: init {INIT}, n_init {N_INIT}, max_iter {MAX_ITER}, "
        f"random_state {RANDOM_STATE}\n- {libraries}\n- Data SHA-256: `{model.data_sha256}`"
    )


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"


def _table(header: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(value: object) -> str:
    return str(value).replace("|", r"\|")
