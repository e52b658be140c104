"""Customer segmentation from the marts to labels that dbt reads: the part that reads and writes.

Order of the writes, and what a crash after each leaves for the next run:

1. the model document `customer_segmentation-{origin}.json`: everything but the labels, replaced
   atomically. It is the commit and the truth. Before it, nothing has changed.
2. labels, runs and the name of the place where the labels lie, in the order of
   `segment_results`. The labels follow from the model and the data, and the model holds their
   digest; the rows of ml.segmentation_runs follow from the document's history.
3. picture and model card: they follow from the document, which holds the picture's digest.

A run that finds a model of the same data, k and code trains nothing and writes whatever of 2 and 3
is missing or different. So model, labels and history cannot disagree after a completed run, and a
run that was killed leaves nothing that another could mistake for a result. A run that stops, since
its customers no longer fit the last names, changes none of these and leaves a row that says so.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

import pandas as pd

from insight.database import DatabaseEndpoint, connect
from insight.errors import IntegrityError
from ml_pipeline.card import render_card
from ml_pipeline.drift import Drift, bin_features, moved_share
from ml_pipeline.export import content_of, read_seed, seed_bytes, sha256, write_atomically
from ml_pipeline.features import net_refunders
from ml_pipeline.marts import SalesWindow, read_rfm, read_window
from ml_pipeline.model import (
    PIPELINE_VERSION,
    Fingerprint,
    PastRun,
    SegmentSummary,
    StoredSegmentation,
    Window,
    label_customers,
    load,
    mean_squared_distance,
    save,
)
from ml_pipeline.results import create_tables
from ml_pipeline.rfm import score_cut_points
from ml_pipeline.segment_results import LabelPlaces, Place, Stop, place_for
from ml_pipeline.segmentation import (
    Training,
    data_sha256,
    drift_since,
    library_versions,
    reason_to_skip,
    summarise,
    train,
)
from ml_pipeline.sweep import DEFAULT_K, Sweep

_KEPT_RUNS = 50


@dataclass(frozen=True)
class SegmentationReport:
    """What a run did. `segments` is empty when `skipped_reason` says why there are none.

    `labels_in` is the place of the labels; `drift` compares with the run before the latest.
    """

    origin: str
    customers: int
    segments: tuple[SegmentSummary, ...] = ()
    k: int | None = None
    as_of: date | None = None
    unchanged: bool = False
    skipped_reason: str | None = None
    labels_in: Place | None = None
    drift: Drift | None = None


@dataclass(frozen=True)
class _Outputs:
    labels: LabelPlaces
    place: Place
    model: Path
    picture: Path
    card: Path


def segment_customers(
    database: DatabaseEndpoint,
    *,
    seed_path: Path,
    model_dir: Path,
    origin: str,
    k: int | None = DEFAULT_K,
    as_of: date | None = None,
    sweep: bool = True,
    segments_in: Literal["auto", "seed", "table"] = "auto",
) -> SegmentationReport:
    """Segment the customers of marts.fct_sales and write model, labels and model card.

    `origin` ('generated' or 'own') keeps one reference model for each kind of data. `k` None
    lets the written rule choose. `as_of` is the day that recency counts from, by default the day
    after the newest sale. `sweep` False leaves out the comparison of all k. `segments_in` is the
    place of the labels: the seed file, the table ml.customer_segments, or the table past
    `MOST_LABELS_IN_A_SEED` customers ('auto').

    With too few customers both places become empty and the report says why. Raises StageError
    without the mart, InputError for an impossible k or values that are no figures, IntegrityError
    when the stored model cannot be read or its names no longer fit; then no file and no label has
    changed.
    """
    create_tables(database)
    labels = LabelPlaces(database, seed_path)
    with connect(database) as connection:
        window = read_window(connection, as_of=as_of)
        if window is None:
            return _skip(labels, origin, 0, "there are no sales; load some: insight load")
        rfm = read_rfm(connection, window.as_of)
    if reason := reason_to_skip(rfm, k):
        return _skip(labels, origin, len(rfm), reason)
    outputs = _outputs(labels, place_for(segments_in, len(rfm)), model_dir, origin)
    stored = load(outputs.model)
    fingerprint = _fingerprint(rfm, window, k, sweep=sweep)
    if stored is None or stored.fingerprint != fingerprint:
        return _train_and_write(outputs, origin, rfm, window, fingerprint, stored)
    changed = _write_what_differs(outputs, stored, rfm)
    return _report(stored, outputs.place, unchanged=not changed)


def _outputs(labels: LabelPlaces, place: Place, model_dir: Path, origin: str) -> _Outputs:
    model, picture, card = (
        model_dir / f"customer_segmentation-{origin}.{kind}" for kind in ("json", "svg", "md")
    )
    return _Outputs(labels, place, model, picture, card)


def _skip(labels: LabelPlaces, origin: str, customers: int, reason: str) -> SegmentationReport:
    labels.clear()
    return SegmentationReport(origin=origin, customers=customers, skipped_reason=reason)


def _fingerprint(
    rfm: pd.DataFrame, window: SalesWindow, k: int | None, *, sweep: bool
) -> Fingerprint:
    return Fingerprint(
        data_sha256=data_sha256(rfm),
        as_of=window.as_of,
        requested_k=k,
        swept=sweep,
        pipeline_version=PIPELINE_VERSION,
        libraries=library_versions(),
    )


def _train_and_write(
    outputs: _Outputs,
    origin: str,
    rfm: pd.DataFrame,
    window: SalesWindow,
    fingerprint: Fingerprint,
    before: StoredSegmentation | None,
) -> SegmentationReport:
    training = _train(outputs, rfm, fingerprint, before)
    labels = label_customers(training.model, rfm)
    content = seed_bytes(labels)
    picture = _picture(training.sweep, training.model.k)
    drift = _drift(outputs, rfm, labels, before)
    run = _past_run(training, rfm, fingerprint, sha256(content), drift)
    earlier = before.history if before else ()
    kept = (*earlier, run)[-_KEPT_RUNS:]
    stored = StoredSegmentation(
        origin=origin,
        fingerprint=fingerprint,
        window=Window(
            first_sale_on=window.first_sale_on,
            last_sale_on=window.last_sale_on,
            as_of=window.as_of,
        ),
        model=training.model,
        k_reason=training.choice.reason,
        sweep=training.sweep,
        segments=summarise(training.model, rfm),
        net_refunders=int(net_refunders(rfm).sum()),
        match_distances=training.match_distances,
        score_cut_points=_cut_points(rfm),
        feature_bins=bin_features(rfm),
        drift=drift,
        history=kept,
        forgotten_runs=(before.forgotten_runs if before else 0) + len(earlier) + 1 - len(kept),
        sweep_picture_sha256=sha256(picture) if picture else None,
    )
    save(outputs.model, stored)
    outputs.labels.publish(stored, content, outputs.place)
    _write_picture(outputs.picture, picture)
    write_atomically(outputs.card, render_card(stored).encode())
    return _report(stored, outputs.place, unchanged=False)


def _train(
    outputs: _Outputs, rfm: pd.DataFrame, wanted: Fingerprint, before: StoredSegmentation | None
) -> Training:
    try:
        return train(
            rfm,
            k=wanted.requested_k,
            reference=before.model if before else None,
            sweep=wanted.swept,
        )
    except IntegrityError as error:
        if before is not None:
            outputs.labels.record_stop(before, _stop(error.what, rfm, wanted, before))
        raise IntegrityError(
            error.what,
            where=str(outputs.model),
            next_step="Compare the new customers with its model card; to name the segments afresh"
            " move the file away and run `insight segment`",
        ) from error


def _stop(reason: str, rfm: pd.DataFrame, wanted: Fingerprint, before: StoredSegmentation) -> Stop:
    distance = mean_squared_distance(before.model, rfm)
    return Stop(reason, wanted, len(rfm), distance, drift_since(before, rfm))


def _drift(
    outputs: _Outputs, rfm: pd.DataFrame, labels: pd.DataFrame, before: StoredSegmentation | None
) -> Drift | None:
    if before is None:
        return None
    # Labels of other data, or changed by hand, would count as moved customers.
    last = outputs.labels.find(before.latest.seed_sha256)
    moved = None if last is None else moved_share(read_seed(last), labels)
    return drift_since(before, rfm, moved=moved)


def _picture(sweep: Sweep | None, taken: int) -> bytes | None:
    if sweep is None:
        return None
    # Here, because a run that trains nothing draws nothing.
    from ml_pipeline.figures import sweep_svg

    return sweep_svg(sweep, taken)


def _write_picture(path: Path, picture: bytes | None) -> None:
    if picture is None:
        path.unlink(missing_ok=True)
    else:
        write_atomically(path, picture)


def _cut_points(rfm: pd.DataFrame) -> dict[str, dict[int, float | None]]:
    table = score_cut_points(rfm)
    return {
        str(measure): {
            int(str(score)): None if pd.isna(value) else round(float(value), 2)
            for score, value in table[measure].items()
        }
        for measure in table.columns
    }


def _past_run(
    training: Training,
    rfm: pd.DataFrame,
    fingerprint: Fingerprint,
    labels_sha256: str,
    drift: Drift | None,
) -> PastRun:
    return PastRun(
        as_of=fingerprint.as_of,
        customers=len(rfm),
        k=training.model.k,
        data_sha256=fingerprint.data_sha256,
        seed_sha256=labels_sha256,
        inertia_per_customer=training.inertia_per_customer,
        named_by="rules" if training.match_distances is None else "match",
        moved_share=drift.moved_share if drift else None,
        k_reason=training.choice.reason,
        farthest_match=max(training.match_distances) if training.match_distances else None,
        quality=training.sweep.result(training.model.k) if training.sweep else None,
        drift=drift,
    )


def _write_what_differs(outputs: _Outputs, stored: StoredSegmentation, rfm: pd.DataFrame) -> bool:
    """Make labels, runs, picture and card what the model says; whether anything was written."""
    written = False
    if not outputs.labels.hold(stored, outputs.place):
        labels = seed_bytes(label_customers(stored.model, rfm))
        outputs.labels.publish(stored, labels, outputs.place)
        written = True
    if _mend_picture(outputs.picture, stored):
        written = True
    card = render_card(stored).encode()
    if content_of(outputs.card) != card:
        write_atomically(outputs.card, card)
        written = True
    return written


def _mend_picture(path: Path, stored: StoredSegmentation) -> bool:
    found, digest = content_of(path), stored.sweep_picture_sha256
    if (None if found is None else sha256(found)) == digest:
        return False
    picture = _picture(stored.sweep, stored.model.k) if digest else None
    # Another version of the drawing library draws another picture of the same numbers.
    if found == picture:
        return False
    _write_picture(path, picture)
    return True


def _report(stored: StoredSegmentation, place: Place, *, unchanged: bool) -> SegmentationReport:
    return SegmentationReport(
        origin=stored.origin,
        customers=stored.latest.customers,
        segments=stored.segments,
        k=stored.model.k,
        as_of=stored.window.as_of,
        unchanged=unchanged,
        labels_in=place,
        drift=stored.drift,
    )
