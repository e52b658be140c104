"""The model card: what a stored segmentation is, in markdown (Mitchell et al. 2019)."""

from collections.abc import Sequence

from ml_pipeline.drift import ACT_PSI, WATCH_PSI, Drift
from ml_pipeline.export import SEED_COLUMNS
from ml_pipeline.features import from_logs
from ml_pipeline.model import StoredSegmentation
from ml_pipeline.naming import FARTHEST_MATCH, RULES, SEGMENT_NAMES
from ml_pipeline.sweep import LARGEST_K, RULE, SMALLEST_K, STABLE_ARI, Sweep

_FEATURE_TITLES = {
    "recency_days": "days since the last order",
    "frequency": "orders",
    "monetary": "revenue",
    "average_order_value": "revenue an order",
}


def render_card(stored: StoredSegmentation) -> str:
    """The card of a stored segmentation; the same document gives the same text."""
    sections = (
        _data(stored),
        _segments(stored),
        _method(stored),
        _choice_of_k(stored),
        _centres(stored),
        _names(stored),
        _drift(stored.drift),
        _history(stored),
        _scores(stored),
        _versions(stored),
    )
    return "# Model card: customer segmentation\n\n" + "\n\n".join(sections) + "\n"


def _data(stored: StoredSegmentation) -> str:
    kind = "generated data" if stored.origin == "generated" else "your own data"
    window = stored.window
    return "\n".join(
        [
            "## Data",
            "",
            f"- Origin: {kind}",
            f"- Sales from {window.first_sale_on} to {window.last_sale_on}; recency counts from "
            f"{window.as_of}",
            f"- Customers with sales: {stored.latest.customers:,}; sales without a known customer "
            "are left out",
            f"- Customers whose returns exceed their purchases: {stored.net_refunders:,} "
            "(their amounts count as zero)",
        ]
    )


def _segments(stored: StoredSegmentation) -> str:
    rows = [
        (
            each.segment_id,
            each.segment_name,
            f"{each.customers:,}",
            f"{each.share:.1%}",
            f"{each.revenue:,.0f}",
            f"{each.average_recency_days:,.0f}",
            f"{each.average_orders:,.1f}",
            f"{each.average_order_value:,.2f}",
            "yes" if each.meets_rule else "**no**",
        )
        for each in stored.segments
    ]
    header = (
        "id", "segment", "customers", "share", "revenue", "days since last order", "orders each",
        "revenue an order", "fits its rule",
    )  # fmt: skip
    return "## Segments\n\n" + _table(header, rows)


def _method(stored: StoredSegmentation) -> str:
    features = ", ".join(_FEATURE_TITLES[name] for name in stored.model.features)
    return (
        "## Method\n\n"
        f"- Features: {features}; log(1 + x), then standardised\n"
        f"- K-means with k-means++, the best of 10 starts, k = {stored.model.k} "
        f"({stored.k_reason})\n"
        f"- Mean squared distance to the own centre: {stored.latest.inertia_per_customer:.3f} "
        f"(a single cluster has {len(stored.model.features)})"
    )


def _choice_of_k(stored: StoredSegmentation) -> str:
    title = "## Number of clusters\n\n"
    if stored.sweep is None:
        return title + "The comparison was left out in this run."
    knee = stored.sweep.knee or "none"
    return (
        f"{title}Rule, when no k is asked for: {RULE}\n\n"
        f"{_sweep_table(stored.sweep, stored.model.k)}\n\n"
        f"Measured on {stored.sweep.rows:,} customers. Knee of the inertia: {knee}. "
        f"{_stability(stored)}"
    )


def _sweep_table(sweep: Sweep, taken: int) -> str:
    header = (
        "k", "inertia", "silhouette", "Davies-Bouldin", "Calinski-Harabasz", "stability (ARI)",
        "lowest", "resamples", "smallest cluster",
    )  # fmt: skip
    rows = [
        (
            f"**{each.k}**" if each.k == taken else each.k,
            f"{each.inertia:,.1f}",
            f"{each.silhouette:.3f}",
            f"{each.davies_bouldin:.3f}",
            f"{each.calinski_harabasz:,.0f}",
            f"{each.stability_mean:.3f}",
            f"{each.stability_min:.3f}",
            each.resamples,
            f"{each.smallest_share:.1%}",
        )
        for each in sweep.results
    ]
    return _table(header, rows)


def _stability(stored: StoredSegmentation) -> str:
    taken = stored.sweep.result(stored.model.k) if stored.sweep else None
    if taken is None:
        return ""
    verdict = "stable" if taken.stability_mean >= STABLE_ARI else "NOT stable"
    return (
        f"k = {taken.k} is {verdict}: refits on {taken.resamples} bootstrap samples agree to "
        f"{taken.stability_mean:.3f} (adjusted Rand index; {STABLE_ARI:.2f} is asked for)."
    )


def _centres(stored: StoredSegmentation) -> str:
    model = stored.model
    raw = from_logs(model.scaler.restore(model.centre_matrix))
    rows = [
        (cluster, SEGMENT_NAMES[segment], *(f"{value:,.1f}" for value in centre))
        for cluster, (segment, centre) in enumerate(zip(model.segment_ids, raw, strict=True))
    ]
    header = ("cluster", "segment", *(_FEATURE_TITLES[name] for name in model.features))
    return "## Centres\n\nGeometric means, in days, orders and money.\n\n" + _table(header, rows)


def _names(stored: StoredSegmentation) -> str:
    rules = _table(
        ("segment", "rule"), [(SEGMENT_NAMES[segment], rule) for segment, rule in RULES.items()]
    )
    if stored.match_distances is None:
        how = "Named by the rules: there was no stored model with as many clusters."
    else:
        how = (
            "Names taken from the nearest centres of the last model; the farthest is "
            f"{max(stored.match_distances):.2f} standard deviations away "
            f"(allowed: {FARTHEST_MATCH:.1f})."
        )
    return f"## Names\n\n{how}\n\n{rules}"


def _drift(drift: Drift | None) -> str:
    title = "## Drift since the last run\n\n"
    if drift is None:
        return title + "This is the first run."
    rows = [
        (_FEATURE_TITLES[name], f"{value:.3f}", _advice(value)) for name, value in drift.psi.items()
    ]
    moved = "not known" if drift.moved_share is None else f"{drift.moved_share:.1%}"
    return (
        f"{title}{_table(('feature', 'population stability index', 'advice'), rows)}\n\n"
        f"Customers of both runs that changed segment: {moved}."
    )


def _advice(psi: float) -> str:
    if psi >= ACT_PSI:
        return "act"
    return "watch" if psi >= WATCH_PSI else "none"


def _history(stored: StoredSegmentation) -> str:
    rows = [
        (
            number,
            run.as_of,
            f"{run.customers:,}",
            run.k,
            run.named_by,
            f"{run.inertia_per_customer:.3f}",
            "" if run.moved_share is None else f"{run.moved_share:.1%}",
            run.data_sha256[:12],
        )
        for number, run in enumerate(stored.history, start=1)
    ]
    header = (
        "run",
        "as of",
        "customers",
        "k",
        "named by",
        "mean squared distance",
        "moved",
        "data",
    )
    return "## Runs\n\n" + _table(header, rows)


def _scores(stored: StoredSegmentation) -> str:
    points = stored.score_cut_points
    rows = [
        (score, *(_value(points[measure][score]) for measure in points))
        for score in sorted(points["frequency"])
    ]
    header = ("score", "at most days since last order", "at least orders", "at least revenue")
    return (
        "## RFM scores\n\nThe weakest value that reaches each score; equal values have equal "
        "scores. The clusters do not use them.\n\n" + _table(header, rows)
    )


def _value(value: float | None) -> str:
    return "" if value is None else f"{value:,.2f}".removesuffix(".00")


def _versions(stored: StoredSegmentation) -> str:
    wanted = stored.fingerprint
    libraries = ", ".join(f"{name} {number}" for name, number in wanted.libraries.items())
    return (
        f"## Versions\n\n- Pipeline {wanted.pipeline_version}; {libraries}\n"
        f"- Data SHA-256: `{wanted.data_sha256}`\n"
        f"- Seed ({', '.join(SEED_COLUMNS)}) SHA-256: `{stored.latest.seed_sha256}`\n"
        f"- k compared: {SMALLEST_K} to {LARGEST_K}"
    )


def _table(header: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)
