"""The run: from the mart to model, seed and card, again, after a crash, and when it must stop."""

import itertools
import json
import multiprocessing
import multiprocessing.context
import signal
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from dying_segmentation import segment_and_die

from insight.database import DatabaseEndpoint, connect
from insight.errors import IntegrityError, StageError
from ml_pipeline.export import empty_seed, read_seed
from ml_pipeline.marts import read_rfm, read_window
from ml_pipeline.model import assign, load
from ml_pipeline.naming import SEGMENT_NAMES
from ml_pipeline.rfm import rfm_from_sales
from ml_pipeline.run import SegmentationReport, segment_customers
from ml_pipeline.segment_results import place_for

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


@pytest.fixture(scope="module")
def killable() -> multiprocessing.context.ForkServerContext:
    """Makes processes that need not import everything anew."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ml_pipeline.run"])
    return context


def _files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def _table(database: DatabaseEndpoint) -> list[tuple[object, ...]]:
    with connect(database) as connection:
        return connection.execute("select * from ml.customer_segments order by 1").fetchall()


def _runs(database: DatabaseEndpoint, columns: str) -> list[tuple[object, ...]]:
    with connect(database) as connection:
        return connection.execute(
            f"select {columns} from ml.segmentation_runs order by recorded_at"  # type: ignore[arg-type]
        ).fetchall()


def _visible(database: DatabaseEndpoint, folder: Path) -> dict[object, object]:
    """Segments by customer as dbt would show them now."""
    ((place,),) = _runs(database, "coalesce(max(labels_in) over (), 'seed')")[:1] or [("seed",)]
    if place == "table":
        return {key: number for key, number, _ in _table(database)}
    seed = _seed(folder)
    return dict(zip(seed["customer_id"], seed["segment_id"], strict=True))


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
    run(folder="a", sweep=True)
    run(folder="b", sweep=True)
    assert _files(tmp_path / "a") == _files(tmp_path / "b")
    assert len(_files(tmp_path / "a")) == 4


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


@pytest.mark.parametrize(
    "lost",
    [
        "customer_segments.csv",
        "models/customer_segmentation-own.md",
        "models/customer_segmentation-own.svg",
    ],
)
def test_a_crash_after_the_model_was_written_is_mended_by_the_next_run(
    filled: DatabaseEndpoint, run: Run, tmp_path: Path, lost: str
) -> None:
    run(sweep=True)
    clean = _files(tmp_path)
    (tmp_path / lost).write_text("customer_id,segment_id,segment_name\n1,0,Big Spenders\n")
    assert not run(sweep=True).unchanged
    assert _files(tmp_path) == clean
    (tmp_path / lost).unlink()
    run(sweep=True)
    assert _files(tmp_path) == clean
    assert run(sweep=True).unchanged


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
    assert set(stored.drift.advice().values()) == {"none"}
    assert _runs(filled, "run_number, named_by, moved_share is null, labels_in") == [
        (1, "rules", True, None),
        (2, "match", False, "seed"),
    ]
    card = (tmp_path / "models" / "customer_segmentation-own.md").read_text()
    assert "population stability index" in card


@pytest.mark.parametrize("place", ["seed", "table"])
def test_changed_customers_stop_the_run_and_leave_files_and_labels(
    filled: DatabaseEndpoint,
    run: Run,
    tmp_path: Path,
    population: Population,
    sale_lines: SaleLines,
    fill_marts: FillMarts,
    place: str,
) -> None:
    run(segments_in=place)
    before, labels = _files(tmp_path), _table(filled)
    rfm = population(120)
    fill_marts(filled, sale_lines(rfm.assign(monetary=rfm["monetary"] * 50)))
    for _ in range(2):
        with pytest.raises(
            IntegrityError, match=r"customer_segmentation-own\.json.*changed too much"
        ) as stopped:
            run(segments_in=place)
        assert "move the file away" in str(stopped.value.next_step)
        assert (_files(tmp_path), _table(filled)) == (before, labels)
    columns = "outcome, labels_in, psi_monetary > 0.25, distance_ratio > 1.25, reason"
    trained, stop = _runs(filled, columns)
    assert trained[:2] == ("trained", place)
    assert stop[:4] == ("stopped", None, True, True)
    assert "changed too much" in str(stop[4])
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


def test_too_few_customers_empty_the_table_as_well(
    filled: DatabaseEndpoint,
    run: Run,
    tmp_path: Path,
    population: Population,
    sale_lines: SaleLines,
    fill_marts: FillMarts,
) -> None:
    run(segments_in="table")
    fill_marts(filled, sale_lines(population(10)))
    assert run(segments_in="table").segments == ()
    assert _table(filled) == []
    assert _runs(filled, "labels_in") == [(None,)]
    fill_marts(filled, sale_lines(population(120)))
    run(segments_in="table")
    assert len(_table(filled)) == 120
    assert _runs(filled, "labels_in") == [("table",)]


def test_past_fifty_thousand_customers_the_labels_belong_into_the_table() -> None:
    assert [place_for("auto", customers) for customers in (50_000, 50_001)] == ["seed", "table"]
    assert [place_for("seed", 50_001), place_for("table", 50)] == ["seed", "table"]


def test_the_table_has_the_rows_that_the_seed_would_have(
    filled: DatabaseEndpoint, run: Run, tmp_path: Path
) -> None:
    run(folder="seed")
    assert _table(filled) == []
    assert run(folder="table", segments_in="table").labels_in == "table"
    expected = _seed(tmp_path / "seed")
    assert sorted(_table(filled)) == sorted(expected.itertuples(index=False, name=None))
    assert (tmp_path / "table" / "customer_segments.csv").read_bytes() == empty_seed()


def test_a_switch_between_seed_and_table_moves_the_labels_and_trains_nothing(
    filled: DatabaseEndpoint, run: Run, tmp_path: Path
) -> None:
    run()
    clean = _files(tmp_path)
    for _ in range(2):
        assert not run(segments_in="table").unchanged
        assert (len(_table(filled)), len(_seed(tmp_path))) == (120, 0)
        assert _runs(filled, "labels_in") == [("table",)]
        assert run(segments_in="table").unchanged
        assert not run().unchanged
        assert _table(filled) == []
        assert _files(tmp_path) == clean
        assert _runs(filled, "labels_in") == [("seed",)]


@pytest.mark.parametrize(
    "harm",
    [
        "truncate ml.customer_segments",
        "update ml.customer_segments set segment_id = 4",
        "truncate ml.segmentation_runs",
        "update ml.segmentation_runs set labels_in = null",
        "update ml.segmentation_runs set labels_in = 'seed'",
        "drop schema ml cascade",
    ],
)
def test_a_table_that_was_lost_or_changed_is_mended_by_the_next_run(
    filled: DatabaseEndpoint, run: Run, harm: str
) -> None:
    run(segments_in="table")
    clean = (_table(filled), _runs(filled, "run_id, labels_in"))
    with connect(filled) as connection:
        connection.execute(harm)  # type: ignore[arg-type]
    assert not run(segments_in="table").unchanged
    assert (_table(filled), _runs(filled, "run_id, labels_in")) == clean
    assert run(segments_in="table").unchanged


def test_a_model_that_was_moved_away_begins_a_new_history_beside_the_old(
    filled: DatabaseEndpoint, run: Run, tmp_path: Path
) -> None:
    run()
    run(k=4)
    (tmp_path / "models" / "customer_segmentation-own.json").unlink()
    run(k=6)
    assert _runs(filled, "run_number, cluster_count, labels_in") == [
        (1, 5, None),
        (2, 4, None),
        (1, 6, "seed"),
    ]
    # The same first run again is the same row, and in use again.
    (tmp_path / "models" / "customer_segmentation-own.json").unlink()
    run()
    assert _runs(filled, "run_number, cluster_count, labels_in") == [
        (1, 5, "seed"),
        (2, 4, None),
        (1, 6, None),
    ]


def test_a_warehouse_made_anew_gets_the_history_of_the_model(
    filled: DatabaseEndpoint, run: Run
) -> None:
    run(sweep=True)
    run(k=4, sweep=True)
    columns = (
        "run_id, run_number, silhouette, stability_mean, jaccard_min, psi_frequency, labels_in"
    )
    before = _runs(filled, columns)
    assert all(None not in row[:5] for row in before)
    with connect(filled) as connection:
        connection.execute("drop schema ml cascade")
    run(k=4, sweep=True)
    assert _runs(filled, columns) == before


def test_a_model_of_before_the_history_had_measures_is_read(
    filled: DatabaseEndpoint, run: Run, tmp_path: Path
) -> None:
    run(sweep=True)
    path = tmp_path / "models" / "customer_segmentation-own.json"
    document = json.loads(path.read_text())
    for name in ("forgotten_runs", "sweep_picture_sha256"):
        del document[name]
    for name in ("k_reason", "farthest_match", "quality", "drift"):
        del document["history"][0][name]
    for result in document["sweep"]["results"]:
        del result["jaccard"]
    path.write_text(json.dumps(document))
    with connect(filled) as connection:
        connection.execute("drop schema ml cascade")
    run(sweep=True)
    assert _runs(filled, "run_number, silhouette, labels_in") == [(1, None, "seed")]
    assert run(sweep=True).unchanged


@pytest.mark.parametrize(("before", "after"), [("seed", "table"), ("table", "seed")])
def test_killed_at_any_write_it_shows_whole_labels_and_the_next_run_ends_as_a_clean_one(
    filled: DatabaseEndpoint,
    run: Run,
    killable: multiprocessing.context.ForkServerContext,
    tmp_path: Path,
    before: str,
    after: str,
) -> None:
    """Old and new labels differ by k, so that a mixture or an empty place would show."""
    run(folder="clean", k=4, segments_in=after)
    new = _visible(filled, tmp_path / "clean")
    for moment in itertools.count(1):
        folder = tmp_path / str(moment)
        with connect(filled) as connection:
            connection.execute("drop schema ml cascade")
        run(folder=folder.name, segments_in=before)
        old = _visible(filled, folder)
        child = killable.Process(target=segment_and_die, args=(moment, filled, folder, 4, after))
        child.start()
        child.join()
        assert _visible(filled, folder) in (old, new)
        run(folder=folder.name, k=4, segments_in=after)
        assert _visible(filled, folder) == new
        assert _runs(filled, "run_number, labels_in") == [(1, None), (2, after)]
        assert (len(_table(filled)) == 0) == (after == "seed")
        assert run(folder=folder.name, k=4, segments_in=after).unchanged
        if child.exitcode == 0:
            break
        assert child.exitcode == -signal.SIGKILL
    assert moment > 8, "the run has fewer writes than it must have"


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
