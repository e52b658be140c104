"""The report's figures. Needs matplotlib (extra `notebook`); the lab works without it."""

from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ml_pipeline.credit_cards.model import CardModel, Evaluation

_INK, _LINE_COLOUR, _TAKEN = "#22303c", "#4f6d7a", "#e08e45"
_STYLE: dict[Any, Any] = {
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "text.color": _INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#eef0f2",
    "savefig.dpi": 130,
}


def plot_sweep(model: CardModel, evaluation: Evaluation) -> Figure:
    """SSE with its elbow, and silhouette, over the number of clusters; the k kept is marked."""
    ks = [each.k for each in model.sweep]
    with rc_context(_STYLE):
        figure = Figure(figsize=(9, 3.2))
        left, right = figure.subplots(1, 2)
        _line(left, "SSE", ks, [each.sse for each in model.sweep], model.k)
        if evaluation.elbow is not None:
            left.axvline(evaluation.elbow, color=_INK, linewidth=0.9, linestyle=(0, (4, 3)))
            left.annotate(
                "elbow", (evaluation.elbow, 1), xycoords=("data", "axes fraction"),
                xytext=(4, -4), textcoords="offset points", va="top", fontsize=8,
            )  # fmt: skip
        silhouettes = [
            np.nan if each.silhouette is None else each.silhouette for each in model.sweep
        ]
        _line(right, "Silhouette", ks, silhouettes, model.k)
    return figure


def plot_clusters(model: CardModel, evaluation: Evaluation) -> Figure:
    """The centre of each cluster, in standard deviations from the average customer."""
    features = model.preparation.features
    with rc_context(_STYLE):
        figure = Figure(figsize=(max(5.0, 1.6 * len(features) + 2), 0.5 * model.k + 1.4))
        axis = figure.subplots()
        axis.imshow(model.centre_matrix, cmap="PuOr_r", vmin=-2.5, vmax=2.5, aspect="auto")
        for row, centre in enumerate(model.centres):
            for column, value in enumerate(centre):
                colour = "white" if abs(value) > 1.2 else _INK
                axis.text(column, row, f"{value:+.1f}", ha="center", va="center", color=colour)
        axis.set_xticks(range(len(features)), features, fontsize=8)
        axis.set_yticks(
            range(model.k),
            [
                f"{each.cluster}: {each.customers:,} ({each.share:.0%})"
                for each in evaluation.clusters
            ],
        )
        axis.tick_params(length=0)
        axis.grid(visible=False)
        axis.spines[:].set_visible(False)
        axis.set_title("Standard deviations from the average customer")
    return figure


def _line(axis: Axes, title: str, ks: list[int], values: list[float], taken: int) -> None:
    axis.plot(ks, values, color=_LINE_COLOUR, linewidth=1.6, marker="o", markersize=4)
    axis.plot(taken, values[ks.index(taken)], "o", color=_TAKEN, markersize=9)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlabel("number of clusters")
    axis.set_title(title)
