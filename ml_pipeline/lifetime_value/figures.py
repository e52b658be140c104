"""Figures of the notebook and the report of lifetime value. Needs matplotlib (extra `notebook`)."""

from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from ml_pipeline.figure_style import (
    ACCENT,
    INK,
    LINE,
    MUTED,
    NEUTRAL,
    STYLE,
    set_headline,
    svg_of,
)
from ml_pipeline.lifetime_value.calibration import Calibration
from ml_pipeline.lifetime_value.document import StoredLifetimeValue
from ml_pipeline.lifetime_value.forecast import Fifth
from ml_pipeline.lifetime_value.maximum import Vector
from ml_pipeline.lifetime_value.purchase_model import (
    Family,
    PurchaseModel,
    expected_purchases,
    probability_of_a_purchase,
)

_FAMILY_COLOURS: dict[Family, str] = {"bg_nbd": NEUTRAL, "mbg_nbd": ACCENT}
_MOST_PURCHASES = 24
_STEPS = 60


def draw_figures(stored: StoredLifetimeValue, names: Sequence[str]) -> dict[str, bytes]:
    """The named figures of a run (report.FIGURES) as SVG."""
    horizon = stored.fingerprint.horizon_days
    age = (stored.fingerprint.as_of - stored.first_order_on).days
    drawn: dict[str, Figure] = {
        "histories": plot_histories(stored.purchases, age, horizon),
        "value": plot_value(stored.fifths, horizon),
    }
    if stored.calibration is not None:
        drawn["calibration"] = plot_calibration(stored.calibration)
    return {name: svg_of(drawn[name]) for name in names}


def plot_calibration(found: Calibration) -> Figure:
    """Forecast and outcome of the holdout, by repeat purchases before it and by forecast chance."""
    with rc_context(STYLE):
        figure = Figure(figsize=(12, 4))
        purchases, chances = figure.subplots(1, 2)
        _purchases_by_group(purchases, found)
        _returned_by_chance(chances, found)
        set_headline(figure, f"Forecast for {found.holdout_days} days beside what happened in them")
    return figure


def plot_histories(model: PurchaseModel, age_days: int, horizon_days: int) -> Figure:
    """Chance of a purchase, and how many to expect, for customers who came `age_days` ago."""
    with rc_context(STYLE):
        figure = Figure(figsize=(12, 4))
        chance, purchases = figure.subplots(1, 2)
        frequency, silence = np.meshgrid(
            np.arange(1, _MOST_PURCHASES + 1, dtype=float), np.linspace(0, age_days - 1, _STEPS)
        )
        history = (frequency, age_days - silence, np.full_like(frequency, age_days))
        panels: tuple[tuple[Axes, str, Vector], ...] = (
            (chance, "Probability of a purchase", probability_of_a_purchase(
                model, *history, horizon_days)),
            (purchases, "Expected purchases", expected_purchases(model, *history, horizon_days)),
        )  # fmt: skip
        for axis, title, values in panels:
            _map(axis, title, values, age_days)
        set_headline(
            figure,
            f"After a silence, a frequent buyer is the one to worry about ({horizon_days} days,"
            f" first purchase {age_days} days ago)",
        )
    return figure


def plot_value(fifths: Sequence[Fifth], horizon_days: int) -> Figure:
    """Share of purchases and value that each fifth of the customers is expected to bring."""
    with rc_context(STYLE):
        figure = Figure(figsize=(12, 3))
        axis = figure.subplots()
        purchases = _shares([each.expected_purchases for each in fifths])
        value = _shares([each.expected_value or 0.0 for each in fifths])
        places = np.arange(len(fifths))
        axis.bar(places - 0.2, purchases, width=0.38, color=NEUTRAL, label="purchases")
        axis.bar(places + 0.2, value, width=0.38, color=ACCENT, label="value")
        axis.set_xticks(places, [f"fifth {number}" for number in range(1, len(fifths) + 1)])
        axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axis.grid(visible=False, axis="x")
        axis.legend()
        best = value[0] if value.any() else purchases[0]
        set_headline(
            figure,
            f"The best fifth of the customers is expected to bring {best:.0%} in {horizon_days}"
            " days",
        )
    return figure


def _purchases_by_group(axis: Axes, found: Calibration) -> None:
    groups = found.families[0].groups
    places = np.arange(len(groups))
    axis.bar(places, [each.actual for each in groups], color=LINE, label="happened")
    for family in found.families:
        axis.plot(
            places, [each.predicted for each in family.groups], "o-", markersize=5,
            color=_FAMILY_COLOURS[family.model.family], label=family.model.name,
        )  # fmt: skip
    axis.set_xticks(places, [each.label for each in groups], fontsize=8)
    axis.set_xlabel("repeat purchases before")
    axis.set_title("Purchases a customer")
    axis.grid(visible=False, axis="x")
    axis.legend()


def _returned_by_chance(axis: Axes, found: Calibration) -> None:
    axis.plot([0, 1], [0, 1], color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    for family in found.families:
        axis.plot(
            [each.predicted for each in family.tenths], [each.returned for each in family.tenths],
            "o-", markersize=5, color=_FAMILY_COLOURS[family.model.family],
            label=family.model.name,
        )  # fmt: skip
    for line in (axis.xaxis, axis.yaxis):
        line.set_major_formatter(PercentFormatter(1, decimals=0))
    axis.set_xlabel("forecast probability of a purchase, tenths of the customers")
    axis.set_title("Share who bought")
    axis.legend()


def _map(axis: Axes, title: str, values: Vector, age_days: int) -> None:
    edges = (0.5, _MOST_PURCHASES + 0.5, age_days, 0.0)
    image = axis.imshow(values, aspect="auto", extent=edges, cmap="cividis", vmin=0.0)
    axis.invert_yaxis()
    axis.grid(visible=False)
    axis.set_xlabel("repeat purchases")
    axis.set_ylabel("days since the last")
    axis.set_title(title)
    bar = axis.figure.colorbar(image, ax=axis)
    bar.outline.set_visible(False)
    axis.tick_params(colors=INK)


def _shares(amounts: Sequence[float]) -> Vector:
    total = sum(amounts)
    return np.array(amounts) / total if total else np.zeros(len(amounts))
