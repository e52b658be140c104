"""The benchmark of live segments: both sides read all movements, and are told side by side."""

from pathlib import Path

from benchmarks import live
from benchmarks.live import Measured, Results, report
from insight.database import DatabaseEndpoint
from segmentation.live.sample_customers import sample_csv


def test_both_sides_read_every_movement(database: DatabaseEndpoint, tmp_path: Path) -> None:
    start = tmp_path / "customers.csv"
    start.write_text(sample_csv(1, 400))
    results = live._measure(database, start, customers=400, events=2_000, rounds=1)
    assert len(results.ours) == len(results.baseline) == 1
    assert results.written >= 350
    assert results.start_seconds > 0


def test_the_report_tells_movements_a_second_and_the_ratio() -> None:
    ours, bare = Measured(8.0, 4.0), Measured(2.0, 1.0)
    told = report(Results(1_000, 400_000, 3.0, 900_000, (ours,) * 3, (bare,) * 3))
    assert "| `insight segment-live` | 50,000 | 8.00 | 10.0 |" in told
    assert "ours takes 4.0 times as long" in told
