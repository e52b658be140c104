"""Figures of the notebook and the model card: one visual language, one colour for each segment.

Importing matplotlib takes a second: the run imports this module when it draws, and not before.
"""

import io
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from ml_pipeline.features import FEATURES, Labels
from ml_pipeline.figure_style import (
    INK,
    LINE,
    MUTED,
    NEUTRAL,
    STYLE,
    set_headline,
    use_plain_numbers,
)
from ml_pipeline.model import SegmentModel, SegmentSummary
from ml_pipeline.naming import AT_RISK, BIG_SPENDERS, CHAMPIONS, LOYAL, OCCASIONAL, SEGMENT_NAMES
from ml_pipeline.sweep import STABLE_ARI, KResult, Sweep

COLOURS = {
    CHAMPIONS: "#1b4965",
    LOYAL: "#5fa8d3",
    BIG_SPENDERS: "#e08e45",
    AT_RISK: "#a63d40",
    OCCASIONAL: "#a3a8ad",
}
# Below and above average are no verdict: few days since the last order is good.
_BELOW_ABOVE = LinearSegmentedColormap.from_list("below_above", ["#b5835a", "#f6f4f1", "#1b4965"])
_TITLES = {
    "recency_days": "Days since the last order",
    "frequency": "Orders",
    "monetary": "Revenue",
    "average_order_value": "Revenue an order",
}


def plot_distributions(rfm: pd.DataFrame) -> Figure:
    """How each measure is spread over the customers, on a logarithmic axis."""
    with rc_context(STYLE):
        figure = Figure(figsize=(12, 2.9))
        axes = figure.subplots(1, len(FEATURES), sharey=True)
        for axis, feature in zip(axes, FEATURES, strict=True):
            _histogram(axis, rfm[feature].clip(lower=0.5), _TITLES[feature])
        axes[0].set_ylabel("customers")
        set_headline(
            figure, "Every measure is skewed: the axes are logarithmic, the line is the median"
        )
    return figure


def plot_sweep(sweep: Sweep, taken: int) -> Figure:
    """Four measures of quality over the number of clusters, the number taken marked."""
    with rc_context(STYLE):
        figure = Figure(figsize=(12, 2.9))
        axes = figure.subplots(1, 4)
        panels = (
            ("Inertia (lower is tighter)", [each.inertia for each in sweep.results]),
            ("Silhouette (higher is better)", [each.silhouette for each in sweep.results]),
            ("Stability of refits (ARI)", [each.stability_mean for each in sweep.results]),
            ("Smallest cluster", [each.smallest_share for each in sweep.results]),
        )
        for axis, (title, values) in zip(axes, panels, strict=True):
            _line_over_k(axis, title, values, sweep, taken)
        _stability_range(axes[2], sweep.results)
        axes[3].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        knee = (
            "there is no knee"
            if sweep.knee is None
            else f"the knee of the inertia is at {sweep.knee}"
        )
        set_headline(figure, f"{taken} clusters are taken; {knee}")
    return figure


def sweep_svg(sweep: Sweep, taken: int) -> bytes:
    """The picture of the model card; the same sweep gives the same bytes."""
    drawn = io.BytesIO()
    # By default ids are random and the time of drawing is written.
    with rc_context({"svg.hashsalt": "sweep", "svg.fonttype": "none"}):
        plot_sweep(sweep, taken).savefig(drawn, format="svg", metadata={"Date": None})
    return drawn.getvalue()


def plot_clusters(rfm: pd.DataFrame, segment_ids: Labels) -> Figure:
    """Customers by segment in two views: orders and order value, recency and revenue."""
    with rc_context(STYLE):
        figure = Figure(figsize=(12, 4.8))
        axes = figure.subplots(1, 2)
        _scatter(axes[0], rfm, segment_ids, "frequency", "average_order_value")
        _scatter(axes[1], rfm, segment_ids, "recency_days", "monetary")
        axes[1].invert_xaxis()
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=5, markerscale=1.8)
        set_headline(figure, "Orders and order value part the buyers, recency the lapsed ones")
    return figure


def plot_profiles(model: SegmentModel, segments: Sequence[SegmentSummary]) -> Figure:
    """Each segment against the average customer, and its share of customers and revenue."""
    with rc_context(STYLE):
        figure = Figure(figsize=(12, 3.8))
        profile, shares = figure.subplots(1, 2, width_ratios=(1.15, 1))
        _heat_map(profile, model, segments)
        _share_bars(shares, segments)
        set_headline(figure, _profile_headline(segments))
    return figure


def _histogram(axis: Axes, values: "pd.Series[float]", title: str) -> None:
    low, high = np.log10(values.min()), np.log10(values.max())
    axis.hist(
        values, bins=np.logspace(low, high + 1e-9, 26).tolist(), color=NEUTRAL, edgecolor="white"
    )
    axis.axvline(float(values.median()), color=INK, linewidth=1.2)
    axis.set_xscale("log")
    use_plain_numbers(axis, x=True, y=False)
    axis.grid(visible=False, axis="x")
    axis.set_title(title)


def _line_over_k(axis: Axes, title: str, values: list[float], sweep: Sweep, taken: int) -> None:
    ks = [each.k for each in sweep.results]
    axis.plot(ks, values, color=NEUTRAL, linewidth=1.6, marker="o", markersize=4)
    if taken in ks:
        axis.plot(taken, values[ks.index(taken)], "o", color=COLOURS[BIG_SPENDERS], markersize=9)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlabel("number of clusters")
    axis.set_title(title)


def _stability_range(axis: Axes, results: Sequence[KResult]) -> None:
    ks = [each.k for each in results]
    lowest = [each.stability_min for each in results]
    means = [each.stability_mean for each in results]
    axis.vlines(ks, lowest, means, color=LINE, linewidth=5, zorder=0)
    axis.axhline(STABLE_ARI, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    axis.set_ylim(top=1.02)
    axis.annotate(
        "asked for", (max(ks), STABLE_ARI), ha="right", va="bottom", color=MUTED, fontsize=8
    )


def _scatter(axis: Axes, rfm: pd.DataFrame, segment_ids: Labels, x: str, y: str) -> None:
    for segment, colour in COLOURS.items():
        members = rfm[segment_ids == segment]
        if len(members):
            axis.scatter(
                members[x].clip(lower=0.5), members[y].clip(lower=0.5), s=11, alpha=0.65,
                color=colour, linewidths=0, label=SEGMENT_NAMES[segment], rasterized=True,
            )  # fmt: skip
    axis.set_xscale("log")
    axis.set_yscale("log")
    use_plain_numbers(axis, x=True, y=True)
    axis.set_xlabel(_TITLES[x].lower())
    axis.set_title(f"{_TITLES[y]} by {_TITLES[x].lower()}")


def _heat_map(axis: Axes, model: SegmentModel, segments: Sequence[SegmentSummary]) -> None:
    rows = [_mean_centre(model, each.segment_id) for each in segments]
    axis.imshow(rows, cmap=_BELOW_ABOVE, vmin=-2.2, vmax=2.2, aspect="auto")
    for row, values in enumerate(rows):
        for column, value in enumerate(values):
            colour = "white" if abs(value) > 1.5 else INK
            axis.text(
                column,
                row,
                f"{round(value, 1) or 0.0:+.1f}",
                ha="center",
                va="center",
                color=colour,
            )
    titles = [_TITLES[name].replace(" the ", "\nthe ") for name in FEATURES]
    axis.set_xticks(range(len(FEATURES)), titles, fontsize=8.5)
    axis.set_yticks(range(len(segments)), [each.segment_name for each in segments], color=INK)
    axis.tick_params(length=0)
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
    axis.set_title("Standard deviations from the average customer")


def _mean_centre(model: SegmentModel, segment: int) -> list[float]:
    members = [number == segment for number in model.segment_ids]
    centre: list[float] = model.centre_matrix[members].mean(axis=0).tolist()
    return centre


def _share_bars(axis: Axes, segments: Sequence[SegmentSummary]) -> None:
    revenue = sum(each.revenue for each in segments) or 1.0
    for row, each in enumerate(segments):
        colour = COLOURS[each.segment_id]
        _bar(axis, row - 0.2, each.share, colour, 0.45, "of customers")
        _bar(axis, row + 0.2, each.revenue / revenue, colour, 1.0, "of revenue")
    axis.set_yticks(range(len(segments)), [each.segment_name for each in segments], color=INK)
    axis.invert_yaxis()
    axis.tick_params(length=0)
    axis.set_xlim(right=axis.get_xlim()[1] * 1.12)
    axis.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axis.grid(visible=False, axis="y")
    axis.set_title("Share of customers (pale) and of revenue (full)")


def _bar(axis: Axes, row: float, share: float, colour: str, alpha: float, what: str) -> None:
    axis.barh(row, share, height=0.36, color="white")
    axis.barh(row, share, height=0.36, color=colour, alpha=alpha)
    axis.annotate(
        f"{share:.0%} {what}", (share, row), xytext=(4, 0), textcoords="offset points",
        va="center", fontsize=8, color=MUTED,
    )  # fmt: skip


def _profile_headline(segments: Sequence[SegmentSummary]) -> str:
    revenue = sum(each.revenue for each in segments) or 1.0
    best = segments[0]
    return (
        f"{best.segment_name}: {best.share:.0%} of the customers, "
        f"{best.revenue / revenue:.0%} of the revenue"
    )
