"""The map of the 125 cells, what makes it unusable, and customers named by it."""

from itertools import product
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.errors import InputError
from ml_pipeline.rfm import rfm_from_totals
from ml_pipeline.rfm_segments import read_segment_map, segment_map, segment_rfm

_CELLS = list(product(range(1, 6), repeat=3))
_CUSTOMERS = st.lists(
    st.tuples(st.integers(1, 400), st.integers(1, 6), st.integers(-500, 500_000)),
    min_size=1,
    max_size=60,
)


@pytest.fixture(scope="module")
def seed(project_root: Path) -> Path:
    return project_root / "dbt_pipeline" / "seeds" / "rfm_segments.csv"


def _frame(customers: list[tuple[int, int, int]]) -> pd.DataFrame:
    return rfm_from_totals(
        pd.DataFrame(
            [
                (f"c{i}", days, orders, cents / 100)
                for i, (days, orders, cents) in enumerate(customers)
            ],
            columns=["customer_id", "recency_days", "frequency", "monetary"],
        )
    )


def _rule(r: int, f: int, m: int) -> str:
    """The table of docs/rfm.md: of its conditions exactly one holds."""
    is_good = f >= 3 and m >= 3
    conditions = {
        "Champions": r >= 4 and f >= 4 and m >= 4,
        "Loyal Customers": r >= 3 and is_good and not (r >= 4 and f >= 4 and m >= 4),
        "New Customers": r >= 4 and f == 1,
        "Potential Loyalists": r >= 4 and f >= 2 and not is_good,
        "Need Attention": r == 3 and not is_good,
        "At Risk": r <= 2 and (f >= 3 or m >= 3),
        "Hibernating": r <= 2 and f <= 2 and m <= 2,
    }
    [name] = [name for name, holds in conditions.items() if holds]
    return name


def test_each_of_the_125_cells_stands_once_with_the_name_of_the_rule(seed: Path) -> None:
    rows = pd.read_csv(seed)
    cells = list(rows[["r_score", "f_score", "m_score"]].itertuples(index=False, name=None))
    assert sorted(cells) == _CELLS
    assert read_segment_map(seed) == {cell: _rule(*cell) for cell in _CELLS}


@given(_CUSTOMERS, st.randoms(use_true_random=False))
def test_everybody_has_one_name_and_equal_customers_the_same(
    customers: list[tuple[int, int, int]], random: object
) -> None:
    names = {cell: _rule(*cell) for cell in _CELLS}
    rfm = _frame(customers)
    segmented = segment_rfm(rfm, names)
    assert segmented["rfm_segment"].notna().all()
    measures = ["recency_days", "frequency", "monetary"]
    assert (segmented.groupby(measures)["rfm_segment"].nunique() == 1).all()
    shuffled = rfm.sample(frac=1, random_state=len(customers))
    pd.testing.assert_frame_equal(segment_rfm(shuffled, names).sort_index(), segmented)


@given(_CUSTOMERS)
def test_who_is_better_in_a_measure_has_no_lower_score(
    customers: list[tuple[int, int, int]],
) -> None:
    scored = segment_rfm(_frame(customers), dict.fromkeys(_CELLS, ""))
    for measure, score, is_rising in (
        ("recency_days", "r_score", False),
        ("frequency", "f_score", True),
        ("monetary", "m_score", True),
    ):
        by_value = scored.sort_values(measure, ascending=is_rising)[score]
        assert by_value.is_monotonic_increasing
        assert by_value.between(1, 5).all()


def test_nobody_and_one_customer(seed: Path) -> None:
    names = read_segment_map(seed)
    assert segment_rfm(_frame([]), names).empty
    [only] = segment_rfm(_frame([(3, 9, 99_999)]), names).to_dict("records")
    assert (only["r_score"], only["f_score"], only["m_score"]) == (1, 1, 1)
    assert only["rfm_segment"] == "Hibernating"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda text: text.replace("1,1,1,", "1,1,2,", 1), "line 3: cell 1-1-2 stands there twice"),
        (lambda text: text.replace("1,1,1,", "1,1,6,", 1), "line 2: '6' is not a score"),
        (lambda text: text.replace("1,1,1,", "1,1,x,", 1), "line 2: 'x' is not a score"),
        (lambda text: text.replace("1,1,1,Hibernating\n", ""), "1 cells have no name"),
        (lambda text: text.replace("1,1,1,Hibernating", "1,1,1, "), "line 2: cell 1-1-1 has"),
        (lambda text: text.replace("r_score", "recency"), "the columns are not r_score, f_score"),
    ],
)  # fmt: skip
def test_a_map_that_leaves_a_doubt_is_refused(seed: Path, change, sentence: str) -> None:
    with pytest.raises(InputError) as raised:
        segment_map(change(seed.read_text()).encode())
    assert sentence in str(raised.value)
    assert str(raised.value).endswith("one line and one name")


def test_a_missing_map_says_where_it_comes_from(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no map of RFM segments\. Take the seed"):
        read_segment_map(tmp_path / "rfm_segments.csv")
