"""The model card: what a stored segmentation is, in markdown (Mitchell et al. 2019)."""

from collections.abc import Sequence

from ml_pipeline.drift import Drift
from ml_pipeline.export import SEED_COLUMNS
from ml_pipeline.features import from_logs
from ml_pipeline.model import StoredSegmentation
from ml_pipeline.naming import FARTHEST_MATCH, RULES, SEGMENT_NAMES
from ml_pipeline.sweep import (
    DISSOLVED_JACCARD,
    LARGEST_K,
    RULE,
    SMALLEST_K,
    STABLE_ARI,
    VALID_JACCARD,
    KResult,
    Sweep,
)

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
    picture = f"![Quality of each k](customer_segmentation-{stored.origin}.svg)\n\n"
    return (
        f"{title}Rule, when no k is asked for: {RULE}\n\n"
        f"{picture if stored.sweep_picture_sha256 else ''}"
        f"{_sweep_table(stored.sweep, stored.model.k)}\n\n"
        f"Measured on {stored.sweep.rows:,} customers. Knee of the inertia: {knee}. "
        f"{_stability(stored)}"
    )


def _sweep_table(sweep: Sweep, taken: int) -> str:
    header = (
        "k", "inertia", "silhouette", "Davies-Bouldin", "Calinski-Harabasz", "stability (ARI)",
        "lowest", "resamples", "weakest cluster (Jaccard)", "smallest cluster",
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
            f"{min(each.jaccard):.3f}" if each.jaccard else "",
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
        f"{_weak_clusters(stored, taken)}"
    )


def _weak_clusters(stored: StoredSegmentation, taken: KResult) -> str:
    weak = [
        f"cluster {cluster} ({SEGMENT_NAMES[segment]}) to {jaccard:.2f}"
        for cluster, (segment, jaccard) in enumerate(
            zip(stored.model.segment_ids, taken.jaccard, strict=False)
        )
        if jaccard < VALID_JACCARD
    ]
    if not weak:
        return ""
    return (
        f" They find again {', '.join(weak)} only (Jaccard index; {VALID_JACCARD:.2f} is asked "
        f"for, {DISSOLVED_JACCARD:.2f} or less is no cluster)."
    )


def _centres(stored: StoredSegmentation) -> str:
    model = stored.model
    raw = from_logs(model.scaler.restore(model.centre_matrix))
    taken = stored.sweep.result(model.k) if stored.sweep else None
    again = taken.jaccard if taken and taken.jaccard else (None,) * model.k
    rows = [
        (
            cluster,
            SEGMENT_NAMES[segment],
            *(f"{value:,.1f}" for value in centre),
            "" if jaccard is None else f"{jaccard:.3f}",
        )
        for cluster, (segment, centre, jaccard) in enumerate(
            zip(model.segment_ids, raw, again, strict=True)
        )
    ]
    header = (
        "cluster",
        "segment",
        *(_FEATURE_TITLES[name] for name in model.features),
        "found again by refits (Jaccard)",
    )
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
    advice = drift.advice()
    rows = [
        (f"population stability index of {_FEATURE_TITLES[name]}", f"{value:.3f}", advice[name])
        for name, value in drift.psi.items()
    ]
    moved, ratio = drift.moved_share, drift.distance_ratio
    rows += [
        (
            "customers of both runs that changed segment",
            "not known" if moved is None else f"{moved:.1%}",
            advice.get("moved_share", ""),
        ),
        (
            "squared distance to the own centre of the last model, against its training",
            "not known" if ratio is None else f"{ratio:.2f} times",
            advice.get("distance_ratio", ""),
        ),
    ]
    return title + _table(("measure", "value", "advice"), rows)


def _history(stored: StoredSegmentation) -> str:
    rows = [
        (
            number,
            run.as_of,
            f"{run.customers:,}",
            run.k,
            run.named_by,
            f"{run.inertia_per_customer:.3f}",
            f"{run.quality.stability_mean:.3f}" if run.quality else "",
            f"{max(run.drift.psi.values()):.3f}" if run.drift else "",
            "" if run.moved_share is None else f"{run.moved_share:.1%}",
            run.data_sha256[:12],
        )
        for number, run in enumerate(stored.history, start=stored.forgotten_runs + 1)
    ]
    header = (
        "run", "as of", "customers", "k", "named by", "mean squared distance", "stability (ARI)",
        "highest PSI", "moved", "data",
    )  # fmt: skip
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
        f"- Labels ({', '.join(SEED_COLUMNS)}) SHA-256: `{stored.latest.seed_sha256}`\n"
        f"- k compared: {SMALLEST_K} to {LARGEST_K}"
    )


def _table(header: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)
