"""The report of a run in markdown: what is expected, and how far it can be trusted."""

from collections.abc import Sequence

from ml_pipeline.lifetime_value.calibration import Calibration, FamilyCalibration
from ml_pipeline.lifetime_value.document import StoredLifetimeValue
from ml_pipeline.lifetime_value.gamma_gamma import HIGHEST_CORRELATION
from ml_pipeline.lifetime_value.purchase_model import FAMILY_NAMES

# What each figure of a run is called, and what it shows.
FIGURES = {
    "calibration": "Forecast and outcome of the holdout",
    "histories": "Chance of a purchase and expected purchases by history",
    "value": "Expected value by fifths of the customers",
}


def render_report(stored: StoredLifetimeValue, figures: Sequence[str] = ()) -> str:
    """The report; `figures` are the names of `FIGURES` that lie beside it as files."""
    sections = (
        _data(stored),
        _expected(stored, figures),
        _model(stored, figures),
        _calibration(stored, figures),
        _churn(stored),
        _limits(stored),
        _versions(stored),
    )
    return "# Customer lifetime value\n\n" + "\n\n".join(sections) + "\n"


def figure_file(origin: str, figure: str) -> str:
    """File name of a figure of a run."""
    return f"lifetime_value-{origin}-{figure}.svg"


def _data(stored: StoredLifetimeValue) -> str:
    kind = "generated data" if stored.origin == "generated" else "your own data"
    return "\n".join(
        [
            "## Data",
            "",
            f"- Origin: {kind}",
            f"- Orders from {stored.first_order_on} to before {stored.fingerprint.as_of}, from"
            " which days are counted; orders without a known customer are left out",
            f"- Customers: {stored.customers:,}, of whom {stored.repeaters:,} bought on more than"
            " one day",
            "- Purchase: all orders of a customer on one day. Value: net sales amount, without GST"
            " and delivery; revenue, not profit, and not discounted",
        ]
    )


def _expected(stored: StoredLifetimeValue, figures: Sequence[str]) -> str:
    horizon = stored.fingerprint.horizon_days
    total = sum(each.expected_value or 0.0 for each in stored.fifths)
    rows = [
        (
            number,
            f"{each.customers:,}",
            f"{each.expected_purchases:,.0f}",
            f"{each.likely_to_return:,.0f}",
            "" if each.expected_value is None else f"{each.expected_value:,.0f}",
            f"{each.expected_value / total:.1%}" if each.expected_value and total else "",
        )
        for number, each in enumerate(stored.fifths, start=1)
    ]
    header = (
        "fifth", "customers", "expected purchases", "expected to buy", "expected value", "share",
    )  # fmt: skip
    ranked = "expected purchases" if stored.order_values is None else "expected value"
    return (
        f"## Expected in the next {horizon} days\n\n"
        f"Customers by {ranked}, the highest first.\n\n{_table(header, rows)}"
        f"{_figure(stored, 'value', figures)}"
    )


def _model(stored: StoredLifetimeValue, figures: Sequence[str]) -> str:
    model = stored.purchases
    lines = [
        "## Models",
        "",
        f"- Purchases: {model.name}, r = {model.r:.4g}, alpha = {model.alpha_days:.4g} days,"
        f" a = {model.a:.4g}, b = {model.b:.4g}; log-likelihood {stored.log_likelihood:,.1f}",
    ]
    if stored.at_bound:
        lines.append(
            f"- At the bound of the search: {', '.join(stored.at_bound)}. The customers differ"
            " less than the model allows for; the forecasts hold, the parameters say little"
        )
    if stored.order_values is None:
        lines.append(f"- Order values: none, because {stored.no_order_values}")
    else:
        values = stored.order_values
        lines.append(
            f"- Order values: gamma-gamma, p = {values.p:.4g}, q = {values.q:.4g},"
            f" gamma = {values.gamma:,.4g} (currency); mean {values.mean:,.2f}"
        )
    return "\n".join(lines) + _correlation(stored) + _figure(stored, "histories", figures)


def _correlation(stored: StoredLifetimeValue) -> str:
    if stored.correlation is None:
        return ""
    is_high = abs(stored.correlation) > HIGHEST_CORRELATION
    verdict = "**too high**: expected values are biased" if is_high else "low, as the model wants"
    return f"\n- Correlation of frequency and order value: {stored.correlation:.3f}, {verdict}"


def _calibration(stored: StoredLifetimeValue, figures: Sequence[str]) -> str:
    title = "## Calibration\n\n"
    found = stored.calibration
    if found is None:
        return f"{title}None: {stored.no_calibration}."
    happened = (
        "what happened",
        f"{found.actual_purchases:,}",
        "",
        f"{found.actual_value:,.0f}",
        "",
        "",
    )
    rows = [happened, *(_family_row(each, found) for each in found.families)]
    header = (
        "", "purchases", "off by", "value", "off by", "error a customer",
    )  # fmt: skip
    return (
        f"{title}Both models fitted to the orders up to {found.holdout_days} days before the end,"
        f" and their forecast compared with those days: {found.customers:,} customers, of whom"
        f" {found.returned:,} bought again. The error is the mean absolute one, in purchases.\n\n"
        f"{_table(header, rows)}\n\n"
        f"Purchases a customer by repeat purchases before:\n\n{_groups(found)}"
        f"{_figure(stored, 'calibration', figures)}"
    )


def _family_row(each: FamilyCalibration, found: Calibration) -> tuple[str, ...]:
    return (
        each.model.name,
        f"{each.predicted_purchases:,.0f}",
        _off_by(each.predicted_purchases, found.actual_purchases),
        "" if each.predicted_value is None else f"{each.predicted_value:,.0f}",
        _off_by(each.predicted_value, found.actual_value),
        f"{each.absolute_error:.3f}",
    )


def _off_by(predicted: float | None, actual: float) -> str:
    return "" if predicted is None or not actual else f"{predicted / actual - 1:+.1%}"


def _groups(found: Calibration) -> str:
    names = [each.model.name for each in found.families]
    header = ("repeat purchases", "customers", "actual", *names, "bought again",
              *(f"{name} alive" for name in names))  # fmt: skip
    rows = []
    for each in zip(*(family.groups for family in found.families), strict=True):
        first = each[0]
        rows.append(
            (
                first.label,
                f"{first.customers:,}",
                f"{first.actual:.2f}",
                *(f"{group.predicted:.2f}" for group in each),
                f"{first.returned:.1%}",
                *(f"{group.alive:.1%}" for group in each),
            )
        )
    return _table(header, rows)


def _churn(stored: StoredLifetimeValue) -> str:
    title = "## Who comes back\n\n"
    text = (
        "Rank churn by the probability of a purchase in the horizon. BG/NBD takes everybody who"
        " bought once for alive, so the probability to be alive would rank those customers as the"
        " safest."
    )
    found = stored.calibration
    if found is None:
        return title + text
    rows = [(FAMILY_NAMES[each.model.family], *map(_auc, _areas(each))) for each in found.families]
    header = ("model", "probability of a purchase", "expected purchases", "probability alive")
    return (
        f"{title}{text} Area under the curve in the holdout (0.5 is chance, 1 perfect):\n\n"
        f"{_table(header, rows)}\n\n"
        f"Days since the last purchase alone, without a model: {_auc(found.auc_last_purchase)}."
    )


def _areas(each: FamilyCalibration) -> tuple[float | None, float | None, float | None]:
    return each.auc_probability_of_purchase, each.auc_expected_purchases, each.auc_probability_alive


def _auc(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"


def _limits(stored: StoredLifetimeValue) -> str:
    history = (stored.fingerprint.as_of - stored.first_order_on).days
    lines = [
        "## Limits",
        "",
        "- Seasons, campaigns and growth are not in the models: a horizon after a strong season is"
        " forecast too high, one before it too low",
    ]
    if stored.fingerprint.horizon_days > history // 2:
        lines.append(
            f"- **The horizon of {stored.fingerprint.horizon_days} days is more than half of the"
            f" history of {history} days**: it could not be checked whole"
        )
    return "\n".join(lines)


def _versions(stored: StoredLifetimeValue) -> str:
    wanted = stored.fingerprint
    libraries = ", ".join(f"{name} {number}" for name, number in wanted.libraries.items())
    return (
        f"## Versions\n\n- Pipeline {wanted.pipeline_version}; {libraries}\n"
        f"- Data SHA-256: `{wanted.data_sha256}`\n"
        f"- Rows of ml.customer_lifetime_value: {stored.rows.rows:,}"
    )


def _figure(stored: StoredLifetimeValue, name: str, figures: Sequence[str]) -> str:
    if name not in figures:
        return ""
    return f"\n\n![{FIGURES[name]}]({figure_file(stored.origin, name)})"


def _table(header: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)
