"""What the line of the stage `segment` says."""

import pytest

from insight.stages.segment import _summary
from ml_pipeline.drift import Drift
from ml_pipeline.run import SegmentationReport


def _report(**fields: object) -> SegmentationReport:
    return SegmentationReport(origin="own", customers=60_000, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("report", "line"),
    [
        (_report(skipped_reason="there are no sales"), "skipped: there are no sales"),
        (_report(labels_in="seed"), "60,000 customers in 0 segments"),
        (
            _report(labels_in="table", unchanged=True),
            "60,000 customers in 0 segments, kept in ml.customer_segments, unchanged",
        ),
        (
            _report(drift=Drift(psi={"monetary": 0.3, "frequency": 0.2}, moved_share=0.25)),
            "60,000 customers in 0 segments, drift in monetary, moved_share",
        ),
    ],
)
def test_the_line_says_where_labels_lie_and_what_drifted(
    report: SegmentationReport, line: str
) -> None:
    assert _summary(report) == line
