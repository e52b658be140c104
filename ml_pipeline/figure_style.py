"""How figures look: one visual language for every notebook and report. Needs matplotlib."""

import io
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

INK, MUTED, LINE = "#22303c", "#66727d", "#d9dde1"
NEUTRAL = "#4f6d7a"
ACCENT = "#e08e45"
STYLE: dict[Any, Any] = {
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#eef0f2",
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
    "savefig.dpi": 130,
    "figure.dpi": 110,
}


def set_headline(figure: Figure, text: str) -> None:
    """What the figure says, above it."""
    figure.suptitle(text, x=0.008, ha="left", fontsize=13, fontweight="bold", color=INK)


def use_plain_numbers(axis: Axes, *, x: bool, y: bool) -> None:
    """Numbers of logarithmic axes as people write them."""
    plain = FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}")
    for wanted, line in ((x, axis.xaxis), (y, axis.yaxis)):
        if wanted:
            line.set_major_formatter(plain)
            line.set_minor_formatter(NullFormatter())


def svg_of(figure: Figure) -> bytes:
    """The figure as SVG; the same figure gives the same bytes."""
    drawn = io.BytesIO()
    # By default ids are random and the time of drawing is written.
    with rc_context({**STYLE, "svg.hashsalt": "figure", "svg.fonttype": "none"}):
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    return drawn.getvalue()
