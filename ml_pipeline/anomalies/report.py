"""The report on anomalies of revenue, in markdown: data, method, result, and how good it is."""

from collections.abc import Sequence

import pandas as pd

from ml_pipeline.anomalies.evaluation import GRACE, PAUSE, Evaluation, alarm_count
from ml_pipeline.anomalies.reasons import DROP, SPIKE
from ml_pipeline.anomalies.revenue import ProductSeries
from ml_pipeline.anomalies.scoring import SCALES, Options

_SHOWN = 20


def render_report(
    series: ProductSeries,
    flagged: pd.DataFrame,
    results: Sequence[Evaluation] | None,
    options: Options,
    *,
    figure: str,
) -> str:
    """The report; `results` None means that nothing planted is known in these sales."""
    sections = [_data(series), _method(options), _flags(series, flagged)]
    sections.append(_evaluation(results))
    if figure:
        sections.append(f"## Picture\n\n![Flagged minutes by product]({figure})")
    sections.append(_highest(flagged))
    return "# Anomalies of revenue by product and minute\n\n" + "\n\n".join(sections) + "\n"


def _data(series: ProductSeries) -> str:
    if not series.products:
        return "## Data\n\nThere are no sales of tills."
    return (
        f"## Data\n\n- {len(series.products)} products, {len(series.minutes):,} minutes from "
        f"{series.minutes[0]:%Y-%m-%d %H:%M} to {series.minutes[-1]:%Y-%m-%d %H:%M} UTC\n"
        f"- Minutes without a sale count as 0 from a product's first sale on: "
        f"{(series.values == 0).mean():.0%} of all"
    )


def _method(options: Options) -> str:
    scales = ", ".join(map(str, SCALES))
    return (
        "## Method\n\n- A minute is judged by the minutes before it: by what was usual at that "
        "time of day or week, in sums over the newest "
        f"{scales} minutes\n- Score: log10 of the minutes in which such a sum comes once; flagged "
        f"from {options.alarm_score:.1f} on\n- Least standard deviation: {options.floor:.0%} of "
        "the mean revenue of a minute\n- The first day is learned from, not judged; flagged "
        "minutes are not learned from"
    )


def _flags(series: ProductSeries, flagged: pd.DataFrame) -> str:
    rows = []
    for name in series.products:
        own = flagged[flagged["series"] == name]
        counts = [own[own["direction"] == kind] for kind in (SPIKE, DROP)]
        rows.append((name, *(cell for each in counts for cell in (alarm_count(each), len(each)))))
    header = ("product", "spikes", "their minutes", "drops", "their minutes")
    return "## Found\n\n" + _table(header, rows)


def _evaluation(results: Sequence[Evaluation] | None) -> str:
    title = "## Against the planted anomalies\n\n"
    if results is None:
        return title + "Nothing is known to be planted in these sales."
    rows = [
        (
            each.kind,
            each.planted,
            each.found,
            _share(each.recall),
            each.alarms,
            each.right,
            _share(each.precision),
            "" if each.delay_minutes is None else f"{each.delay_minutes:.0f}",
        )
        for each in results
    ]
    header = (
        "kind", "planted", "found", "recall", "alarms", "right", "precision", "minutes until told",
    )  # fmt: skip
    pause, grace = (int(each.total_seconds() // 60) for each in (PAUSE, GRACE))
    return (
        f"{title}{_table(header, rows)}\n\nPlanted are pairs of anomaly and product, those of "
        "the first, unjudged day too. Found: a minute in it is flagged in its direction. An alarm "
        f"is all flags of a product without a pause over {pause} minutes; it is right when it "
        f"overlaps a planted anomaly, up to {grace} minutes after its end. A drop is a lack of "
        "sales: it is seen when enough would have been sold, and not at all where few are."
    )


def _highest(flagged: pd.DataFrame) -> str:
    rows = [
        (row.series, f"{row.time:%Y-%m-%d %H:%M}", f"{row.score:.1f}", row.direction, row.reason)
        for row in flagged.sort_values(["score", "time", "series"], ascending=[False, True, True])
        .head(_SHOWN)
        .itertuples(index=False)
    ]
    header = ("product", "minute (UTC)", "score", "direction", "reason")
    return f"## The {len(rows)} highest scores\n\n" + _table(header, rows)


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def _table(header: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)
