"""The benchmark of the associations: all contenders find the same, and are told apart."""

from benchmarks import associations
from benchmarks.associations import OURS, Results, Search, Size


def test_all_contenders_find_the_same_itemsets() -> None:
    results = associations.run(Size(baskets=2_000, products=60, runs=1))
    found = {name: each[0].itemsets for name, each in results.searches.items()}
    assert len(found) == 3
    assert len(set(found.values())) == 1
    assert found[OURS] > 60
    assert results.rules > 0


def test_the_report_judges_the_medians_of_ours() -> None:
    slow, quick = Search(9.0, 8.0, 2048.0, 70), Search(1.5, 1.0, 512.0, 70)
    results = Results(Size(), {OURS: [slow, quick, quick], "other": [slow] * 3}, 12, 44.5)
    told = associations.report(results)
    assert (
        "| lines to rules, 100,000 baskets of 1,200 products | at most 2 s | 1.50 s | met |" in told
    )
    assert "| peak memory of that | at most 1024 MiB | 512.00 MiB | met |" in told
    assert "| other | 9.00 | 8.00 | 2048 | 70 |" in told
    assert "would hold 44.5 GiB at once" in told
