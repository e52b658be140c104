"""The run: from the mart to model, seed and card, again, after a crash, and when it must stop."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from insight.database import DatabaseEndpoint, connect
from insight.errors import IntegrityError, StageError
from ml_pipeline.export import empty_seed, read_seed
from ml_pipeline.marts import read_rfm, read_window
from ml_pipeline.model import assign, load
from ml_pipeline.naming import SEGMENT_NAMES
from ml_pipeline.rfm import rfm_from_sales
from ml_pipeline.run import SegmentationReport, segment_customers

Population = Callable[..., pd.DataFrame]
SaleLines = Callable[..., pd.DataFrame]
FillMarts = Callable[[DatabaseEndpoint, pd.DataFrame], None]
Run = Callable[..., SegmentationReport]


@pytest.fixture
def filled(
    database: DatabaseEndpoint, population: Population, sale_lines: SaleLines, fill_marts: FillMarts
) -> DatabaseEndpoint:
    fill_marts(database, sale_lines(population(120)))
    return database


@pytest.fixture
def run(database: DatabaseEndpoint, tmp_path: Path) -> Run:
    """A run into the test's folder, without the comparison of all k unless asked for."""

    def run_it(
        *, folder: str = "", sweep: bool = False, origin: str = "own", **options: object
    ) -> SegmentationReport:
        return segment_customers(
            database,
            seed_path=tmp_path / folder / "customer_segments.csv",
            model_dir=tmp_path / folder / "models",
            origin=origin,
            sweep=sweep,
            **options,  # type: ignore[arg-type]
        )

    return run_it


def _files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def _seed(folder: Path) -> pd.DataFrame:
    return read_seed((folder / "customer_segments.csv").read_bytes())


def test_the_aggregate_reads_what_the_sale_lines_say(
    database: DatabaseEndpoint, population: Population, sale_lines: SaleLines, fill_marts: FillMarts
) -> None:
    lines = sale_lines(population(60))
    unknown = lines[:3].assign(customer_id="-1", transaction_date=date(2020, 1, 4))
    lines = pd.concat([lines, unknown])
    fill_marts(database, lines)
    with connect(database) as connection:
        window = read_window(connection)
        assert window is not None
        assert window.as_of == date(2020, 1, 5)
        pd.testing.assert_frame_equal(read_rfm(connection, window.as_of), rfm_from_sales(lines))
        early = date(2019, 12, 1)
        pd.testing.assert_frame_equal(
            read_rfm(connection, early), rfm_from_sales(lines, as_of=early)
        )


def test_a_run_writes_seed_model_and_card(
    filled: DatabaseEndpoint, run: Run, tmp_path: Path
) -> None:
    report = run(sweep=True)
    assert (report.customers, report.k, report.unchanged) == (120, 5, False)
    assert {each.segment_name for each in report.segments} == set(SEGMENT_NAMES.values())
    seed = _seed(tmp_path)
    assert len(seed) == 120
    assert seed["customer_id"].astype(int).is_monotonic_increasing
    assert (seed["segment_name"] == seed["segment_id"].map(SEGMENT_NAMES)).all()
    card = (tmp_path / "models" / "customer_segmentation-own.md").read_text()
    for expected in (
        "your own data", "2019-12-31", "| **5** |", "silhouette", "Davies-Bouldin",
        "Calinski-Harabasz", "bootstrap samples", "This is the first run", "scikit-learn",
        *SEGMENT_NAMES.values(),
    ):  # fmt: skip
        assert expected in card


def test_the_stored_model_alone_gives_the_seed(
    filled: DatabaseEndpoint, run: Run, tmp_path: Path
) -> None:
    run()
    stored = load(tmp_path / "models" / "customer_segmentation-own.json")
    assert stored is not None
    with connect(filled) as connection:
        rfm = read_rfm(connection, stored.window.as_of)
    assert assign(stored.model, rfm).tolist() == _seed(tmp_path)["segment_id"].tolist()


def test_two_runs_from_nothing_write_the_same_bytes(
    filled: DatabaseEndpoint, run: Run, tmp_path: Path
) -> None:
    run(folder="a")
    run(folder="b")
    assert _files(tmp_path / "a") == _files(tmp_path / "b")


def test_running_again_recomputes_nothing(
    filled: DatabaseEndpoint, run: Run, tmp_path: Path
) -> None:
    first = run()
    before = _files(tmp_path)
    again = run()
    assert again.unchanged
    assert again.segments == first.segments
    assert _files(tmp_path) == before


def test_another_k_or_as_of_date_is_another_result(filled: DatabaseEndpoint, run: Run) -> None:
    run()
    assert run(k=4).k == 4
    assert not run(k=4, as_of=date(2020, 1, 3)).unchanged
    assert run(k=4, as_of=date(2020, 1, 3)).unchanged


@pytest.mark.parametrize("lost", ["customer_segments.csv", "models/customer_segmentation-own.md"])
def test_a_crash_after_the_model_was_written_is_mended_by_the_next_run(
    filled: DatabaseEndpoint, run: Run, tmp_path: Path, lost: str
) -> None:
    run()
    clean = _files(tmp_path)
    (tmp_path / lost).write_text("customer_id,segment_id,segment_name\n1,0,Big Spenders\n")
    assert not run().unchanged
    assert _files(tmp_path) == clean
    (tmp_path / lost).unlink()
    run()
    assert _files(tmp_path) == clean
    assert run().unchanged


def test_new_sales_keep_the_names_and_are_compared_with_the_last_run(
    filled: DatabaseEndpoint,
    run: Run,
    tmp_path: Path,
    population: Population,
    sale_lines: SaleLines,
    fill_marts: FillMarts,
) -> None:
    run()
    before = _seed(tmp_path)
    fill_marts(filled, sale_lines(pd.concat([population(120)[:110], population(12, 7, 90_000)])))
    run()
    both = before.merge(_seed(tmp_path), on="customer_id")
    assert (both["segment_name_x"] == both["segment_name_y"]).mean() >= 0.95
    stored = load(tmp_path / "models" / "customer_segmentation-own.json")
    assert stored is not None
    assert [each.named_by for each in stored.history] == ["rules", "match"]
    assert stored.drift is not None
    assert stored.drift.moved_share is not None
    assert stored.drift.moved_share <= 0.05
    card = (tmp_path / "models" / "customer_segmentation-own.md").read_text()
    assert "population stability index" in card


def test_changed_customers_stop_the_run_and_leave_all_files(
    filled: DatabaseEndpoint,
    run: Run,
    tmp_path: Path,
    population: Population,
    sale_lines: SaleLines,
    fill_marts: FillMarts,
) -> None:
    run()
    before = _files(tmp_path)
    rfm = population(120)
    fill_marts(filled, sale_lines(rfm.assign(monetary=rfm["monetary"] * 50)))
    with pytest.raises(
        IntegrityError, match=r"customer_segmentation-own\.json.*changed too much"
    ) as stopped:
        run()
    assert "move the file away" in str(stopped.value.next_step)
    assert _files(tmp_path) == before
    # The other origin has a model of its own.
    assert len(run(origin="generated").segments) == 5


def test_too_few_customers_write_a_header_and_say_why(
    database: DatabaseEndpoint,
    run: Run,
    tmp_path: Path,
    population: Population,
    sale_lines: SaleLines,
    fill_marts: FillMarts,
) -> None:
    for size in (0, 1, 49):
        fill_marts(database, sale_lines(population(size)))
        report = run()
        assert report.skipped_reason
        assert (report.customers, report.segments) == (size, ())
        assert _files(tmp_path) == {"customer_segments.csv": empty_seed()}


def test_segments_come_back_after_a_run_that_was_skipped(
    filled: DatabaseEndpoint,
    run: Run,
    tmp_path: Path,
    population: Population,
    sale_lines: SaleLines,
    fill_marts: FillMarts,
) -> None:
    run()
    clean = _files(tmp_path)
    fill_marts(filled, sale_lines(population(10)))
    run()
    fill_marts(filled, sale_lines(population(120)))
    run()
    assert _files(tmp_path) == clean


def test_customers_who_returned_more_than_they_bought_are_segmented(
    filled: DatabaseEndpoint, run: Run, tmp_path: Path
) -> None:
    with connect(filled) as connection:
        connection.execute(
            "insert into marts.fct_sales values ('10000', 'back', '2019-12-31', -9999999)"
        )
    run()
    stored = load(tmp_path / "models" / "customer_segmentation-own.json")
    assert stored is not None
    assert stored.net_refunders == 1
    assert len(_seed(tmp_path)) == 120


def test_without_the_mart_the_error_names_the_command(run: Run) -> None:
    with pytest.raises(StageError, match=r"marts\.fct_sales.*insight transform"):
        run()
