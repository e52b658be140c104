"""The picture of a report: flags over the revenue of each product.

Needs matplotlib (extra `notebook`); only the run imports this module.
"""

import io
from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from ml_pipeline.anomalies.evaluation import Planted
from ml_pipeline.anomalies.reasons import DROP, SPIKE
from ml_pipeline.anomalies.revenue import ProductSeries

_COLOURS = {SPIKE: "#e08e45", DROP: "#1b4965"}
_LINE, _BACK = "#a3a8ad", 0.18
# Of longer series the newest days are drawn.
_MOST_PRODUCTS, _MOST_MINUTES = 12, 60 * 1440


def plot_flags(series: ProductSeries, flagged: pd.DataFrame, planted: Sequence[Planted]) -> bytes:
    """PNG: revenue an hour, one row of axes a product, flags as dots, planted as bands."""
    names = series.products[:_MOST_PRODUCTS]
    minutes = series.minutes[-_MOST_MINUTES:]
    figure = Figure(figsize=(12, 0.6 + 1.1 * len(names)), constrained_layout=True)
    axes = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    for number, (name, axis) in enumerate(zip(names, axes, strict=True)):
        revenue = pd.Series(series.values[-_MOST_MINUTES:, number], index=minutes)
        hourly = revenue.resample("h").sum()
        axis.plot(hourly.index, hourly.to_numpy(), color=_LINE, linewidth=0.8)
        for each in planted:
            if each.first >= minutes[0]:
                axis.axvspan(each.first, each.last, color=_COLOURS[each.kind], alpha=_BACK)
        for kind, colour in _COLOURS.items():
            own = flagged[(flagged["series"] == name) & (flagged["direction"] == kind)]
            times = pd.DatetimeIndex(own["time"]).floor("h").unique()
            axis.plot(times, hourly.reindex(times), ".", color=colour, markersize=6, label=kind)
        axis.set_ylabel(name)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].legend(loc="upper left", frameon=False, ncols=2)
    axes[0].set_title("Revenue an hour; dots are flagged, bands were planted", loc="left")
    content = io.BytesIO()
    # Without its date the same data give the same bytes.
    figure.savefig(content, format="png", dpi=110, metadata={"Software": None})
    return content.getvalue()
