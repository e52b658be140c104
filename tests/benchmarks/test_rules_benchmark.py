"""The benchmark of rules: the same customers as the query by hand, and a table that says so."""

from dataclasses import replace

import pytest

from benchmarks import rules
from insight.database import DatabaseEndpoint


def test_the_rule_finds_what_the_query_by_hand_finds(
    database: DatabaseEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "_LOADED", 500)
    found = rules._measure(database, 20_000)
    assert found.members > 0
    assert {name for name, _ in found.sizes} == {
        "transactions_raw_by_customer",
        "transactions_raw_by_event",
        "transactions_raw_by_time",
        "transactions_raw_offset_key",
    }
    written = rules.report(replace(found, full=1.5, preview=1.5))
    assert "full: 2,000 customers, 20,000 events | at most 2 s | 1.50 s | met |" in written
    assert "preview: 2,000 customers, 20,000 events | at most 1 s | 1.50 s | missed |" in written
