"""Figures of the baskets and rules of each shop.

Needs matplotlib (extra `notebook`); nothing else in the package imports this module.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from ml_pipeline.associations.baskets import Baskets
from ml_pipeline.figure_style import ACCENT, INK, LINE, NEUTRAL, STYLE, set_headline

# Baskets of more products are shown together.
_LARGEST_SHOWN = 8
_NUMBERED_RULES = 10


def plot_basket_sizes(baskets: Mapping[str, Baskets]) -> Figure:
    """How many different products the baskets of each shop hold."""
    with rc_context(STYLE):
        figure = Figure(figsize=(12, 2.9))
        axes = figure.subplots(1, len(baskets), squeeze=False)[0]
        for axis, (domain, each) in zip(axes, baskets.items(), strict=True):
            _sizes(axis, domain, each)
        set_headline(figure, "Only baskets of two products or more say what is bought together")
    return figure


def _sizes(axis: Axes, domain: str, baskets: Baskets) -> None:
    sizes = np.minimum(np.diff(baskets.starts), _LARGEST_SHOWN)
    shares = np.bincount(sizes, minlength=_LARGEST_SHOWN + 1)[1:] / len(baskets)
    places = np.arange(1, _LARGEST_SHOWN + 1)
    colours = [LINE, *[NEUTRAL] * (_LARGEST_SHOWN - 1)]
    axis.bar(places, shares, color=colours, width=0.7)
    axis.set_xticks(places, [*map(str, places[:-1]), f"{_LARGEST_SHOWN}+"])
    axis.grid(visible=False, axis="x")
    axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axis.set_title(f"{domain}: {len(baskets):,} baskets")
    axis.set_xlabel("different products")


def plot_rules(rules: Mapping[str, pd.DataFrame]) -> Figure:
    """Support, confidence and lift of the rules of each shop; the first ones have their number."""
    with rc_context(STYLE):
        figure = Figure(figsize=(12, 4.6))
        axes = figure.subplots(1, len(rules), squeeze=False)[0]
        for axis, (domain, each) in zip(axes, rules.items(), strict=True):
            _rules(axis, domain, each)
        set_headline(
            figure, "A large circle is a high lift; the numbers are those of the list below"
        )
    return figure


def _rules(axis: Axes, domain: str, rules: pd.DataFrame) -> None:
    colours: Any = np.where(np.arange(len(rules)) < _NUMBERED_RULES, ACCENT, NEUTRAL)
    lift = rules["lift"].to_numpy(dtype=float)
    axis.scatter(rules["support"], rules["confidence"], s=30 * lift, c=colours, alpha=0.75, lw=0)
    first = rules[["support", "confidence"]][:_NUMBERED_RULES].itertuples(index=False, name=None)
    for number, place in enumerate(first, start=1):
        axis.annotate(
            str(number), place, xytext=(6, 4), textcoords="offset points", fontsize=9, color=INK
        )
    axis.margins(x=0.08, y=0.1)
    axis.set_title(f"{domain}: {len(rules):,} rules")
    axis.set_xlabel("support: share of all baskets")
    axis.set_ylabel("confidence")
    axis.xaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
