"""Customer segmentation from the marts to the seed file: the only part that reads or writes.

Order of the writes, and what a crash after each leaves for the next run:

1. the model document `customer_segmentation-{origin}.json`: everything but the labels, replaced
   atomically. It is the commit. Before it, nothing has changed.
2. the seed file: its bytes follow from the model and the data, and the model holds their digest.
3. the model card: its text follows from the model document.

A run that finds a model of the same data, k and code trains nothing and writes whichever of 2 and
3 is missing or different. So model and seed cannot disagree after a completed run, and a run that
was killed leaves nothing that another could mistake for a result.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd

from insight.database import DatabaseEndpoint, connect
from insight.errors import IntegrityError
from ml_pipeline.card import render_card
from ml_pipeline.drift import Drift, bin_features, moved_share, population_stability
from ml_pipeline.export import (
    content_of,
    empty_seed,
    read_seed,
    seed_bytes,
    sha256,
    write_atomically,
)
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
    save,
)
from ml_pipeline.rfm import score_cut_points
from ml_pipeline.segmentation import (
    Training,
    data_sha256,
    library_versions,
    reason_to_skip,
    summarise,
    train,
)
from ml_pipeline.sweep import DEFAULT_K

_KEPT_RUNS = 50


@dataclass(frozen=True)
class SegmentationReport:
    """What a run did. `segments` is empty when `skipped_reason` says why there are none."""

    origin: str
    customers: int
    segments: tuple[SegmentSummary, ...] = ()
    k: int | None = None
    as_of: date | None = None
    unchanged: bool = False
    skipped_reason: str | None = None


@dataclass(frozen=True)
class _Files:
    seed: Path
    model: Path
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
) -> SegmentationReport:
    """Segment the customers of marts.fct_sales and write model, seed and model card.

    `origin` ('generated' or 'own') keeps one reference model for each kind of data. `k` None
    lets the written rule choose. `as_of` is the day that recency counts from, by default the day
    after the newest sale. `sweep` False leaves out the comparison of all k.

    With too few customers the seed has a header only and the report says why. Raises StageError
    without the mart, InputError for an impossible k, IntegrityError when the stored model cannot
    be read or its names no longer fit; then no file has changed.
    """
    name = f"customer_segmentation-{origin}"
    files = _Files(seed_path, model_dir / f"{name}.json", model_dir / f"{name}.md")
    with connect(database) as connection:
        window = read_window(connection, as_of=as_of)
        if window is None:
            return _skip(files, origin, 0, "there are no sales")
        rfm = read_rfm(connection, window.as_of)
    if reason := reason_to_skip(rfm, k):
        return _skip(files, origin, len(rfm), reason)
    stored = load(files.model)
    fingerprint = _fingerprint(rfm, window, k, sweep=sweep)
    if stored is None or stored.fingerprint != fingerprint:
        return _train_and_write(files, origin, rfm, window, fingerprint, stored)
    return _report(stored, unchanged=not _write_what_differs(files, stored, rfm))


def _skip(files: _Files, origin: str, customers: int, reason: str) -> SegmentationReport:
    if content_of(files.seed) != empty_seed():
        write_atomically(files.seed, empty_seed())
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
    files: _Files,
    origin: str,
    rfm: pd.DataFrame,
    window: SalesWindow,
    fingerprint: Fingerprint,
    before: StoredSegmentation | None,
) -> SegmentationReport:
    training = _train(files, rfm, fingerprint, before)
    labels = label_customers(training.model, rfm)
    seed = seed_bytes(labels)
    drift = _drift(files, rfm, labels, before)
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
        history=_history(before, _past_run(training, rfm, fingerprint, sha256(seed), drift)),
    )
    save(files.model, stored)
    write_atomically(files.seed, seed)
    write_atomically(files.card, render_card(stored).encode())
    return _report(stored, unchanged=False)


def _train(
    files: _Files, rfm: pd.DataFrame, wanted: Fingerprint, before: StoredSegmentation | None
) -> Training:
    try:
        return train(
            rfm,
            k=wanted.requested_k,
            reference=before.model if before else None,
            sweep=wanted.swept,
        )
    except IntegrityError as error:
        raise IntegrityError(
            error.what,
            where=str(files.model),
            next_step="Compare the new customers with its model card; to name the segments afresh"
            " move the file away and run `insight segment`",
        ) from error


def _drift(
    files: _Files, rfm: pd.DataFrame, labels: pd.DataFrame, before: StoredSegmentation | None
) -> Drift | None:
    if before is None:
        return None
    seed = content_of(files.seed)
    # A seed of other data, or one changed by hand, would count as moved customers.
    is_of_last_run = seed is not None and sha256(seed) == before.latest.seed_sha256
    return Drift(
        psi=population_stability(before.feature_bins, rfm),
        moved_share=moved_share(read_seed(seed), labels) if seed and is_of_last_run else None,
    )


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
    seed_sha256: str,
    drift: Drift | None,
) -> PastRun:
    return PastRun(
        as_of=fingerprint.as_of,
        customers=len(rfm),
        k=training.model.k,
        data_sha256=fingerprint.data_sha256,
        seed_sha256=seed_sha256,
        inertia_per_customer=training.inertia_per_customer,
        named_by="rules" if training.match_distances is None else "match",
        moved_share=drift.moved_share if drift else None,
    )


def _history(before: StoredSegmentation | None, run: PastRun) -> tuple[PastRun, ...]:
    earlier = before.history if before else ()
    return (*earlier, run)[-_KEPT_RUNS:]


def _write_what_differs(files: _Files, stored: StoredSegmentation, rfm: pd.DataFrame) -> bool:
    """Make seed and card what the stored model says; whether anything had to be written."""
    written = False
    seed = content_of(files.seed)
    if seed is None or sha256(seed) != stored.latest.seed_sha256:
        write_atomically(files.seed, seed_bytes(label_customers(stored.model, rfm)))
        written = True
    card = render_card(stored).encode()
    if content_of(files.card) != card:
        write_atomically(files.card, card)
        written = True
    return written


def _report(stored: StoredSegmentation, *, unchanged: bool) -> SegmentationReport:
    return SegmentationReport(
        origin=stored.origin,
        customers=stored.latest.customers,
        segments=stored.segments,
        k=stored.model.k,
        as_of=stored.window.as_of,
        unchanged=unchanged,
    )
