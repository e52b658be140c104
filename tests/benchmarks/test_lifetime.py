"""The parts of the lifetime value benchmark that compute."""

from dataclasses import replace

import pytest

from benchmarks.lifetime.plan import Options
from benchmarks.lifetime.report import report
from benchmarks.lifetime.run import Models, Results

_OURS = Models(2.0, 1.0, 0.5, 1_000_000.0, 900.0)
_RESULTS = Results(Options(), 5_000_000, 59.9, 4.0, _OURS, replace(_OURS, purchases=26.5))


def test_the_whole_run_is_judged_and_the_models_stand_beside_each_other():
    told = report(_RESULTS)
    assert "1,000,000 customers, from 5,000,000 orders" in told
    assert "at most 60 s | 59.90 s | met" in told
    assert "| ours | 2.00 | 1.00 | 0.50 | 3.50 | 900 | 1,000,000 |" in told
    assert "ours takes 0.12 times as long" in told
    assert "60.10 s | missed" in report(replace(_RESULTS, first_run=60.1))


def test_sizes_that_measure_nothing_are_refused():
    with pytest.raises(ValueError, match="1,000 customers and one round"):
        Options(customers=10)
    assert not Options(rounds=1).is_whole
