"""Both DAGs, really run by Airflow from a home that was empty."""

from pathlib import Path

import pytest
from airflow_home import AirflowHome
from workplace import Workplace

from insight.stages import STAGES
from ml_pipeline.credit_cards.generator import generate_customers
from ml_pipeline.credit_cards.options import Missing
from ml_pipeline.credit_cards.run import run_lab

# One worker runs all of them: they share an Airflow home.
pytestmark = pytest.mark.xdist_group("orchestration")

LAB, MAIN_JOB = "customer_segmentation_lab1", "insight_main_job"
LAB_TASKS = [
    "extract_customer_data",
    "transform_for_clustering",
    "train_kmeans_customer_model",
    "evaluate_customer_model",
]


@pytest.fixture(scope="module")
def customers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("customers") / "customers.csv"
    path.write_text(generate_customers(150).to_csv(index=False))
    return path


def _files_of_the_dag_folder(root: Path) -> set[Path]:
    found = (root / "orchestration").rglob("*")
    return {path for path in found if "__pycache__" not in path.parts}


def test_the_lab_runs_its_steps_in_order_and_passes_paths(
    airflow_home: AirflowHome, customers: Path, project_root: Path, tmp_path: Path
) -> None:
    before = _files_of_the_dag_folder(project_root)
    chosen = {
        "data": str(customers), "test": str(customers), "missing": "median", "clusters": 4,
        "features": ["BALANCE", "PAYMENTS", "MINIMUM_PAYMENTS"], "output": str(tmp_path / "runs"),
    }  # fmt: skip
    outcome = airflow_home.run_dag(LAB, chosen)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    run_id = airflow_home.last_run(LAB)
    assert airflow_home.task_runs(run_id) == [(task, "success", 1) for task in LAB_TASKS]
    passed = airflow_home.results(run_id)
    made = {task: Path(value) for task, value in passed.items()}
    folder = made["extract_customer_data"].parent
    assert folder.parent == tmp_path / "runs"
    assert made == {
        "extract_customer_data": folder / "customers.csv",
        "transform_for_clustering": folder / "prepared.csv",
        "train_kmeans_customer_model": folder / "model.json",
        "evaluate_customer_model": folder / "report.md",
    }
    by_hand = run_lab(
        tmp_path / "by hand", data=customers, test=customers, missing=Missing.median, clusters=4,
        features=["BALANCE", "PAYMENTS", "MINIMUM_PAYMENTS"],
    ).folder  # fmt: skip
    names = sorted(path.name for path in by_hand.iterdir())
    assert sorted(path.name for path in folder.iterdir()) == names
    for name in names:
        assert (folder / name).read_bytes() == (by_hand / name).read_bytes(), name
    assert _files_of_the_dag_folder(project_root) == before


def test_bad_input_ends_the_run_with_its_sentence_and_without_a_retry(
    airflow_home: AirflowHome, customers: Path, tmp_path: Path
) -> None:
    chosen = {"data": str(customers), "features": ["BALANCE", "SALARY"], "output": str(tmp_path)}
    outcome = airflow_home.run_dag(LAB, chosen)
    assert outcome.returncode == 1
    assert f"{customers}:1: has no column SALARY. Choose features among" in outcome.stdout
    assert airflow_home.task_runs(airflow_home.last_run(LAB)) == [
        (LAB_TASKS[0], "success", 1),
        (LAB_TASKS[1], "failed", 1),
        (LAB_TASKS[2], "upstream_failed", 0),
        (LAB_TASKS[3], "upstream_failed", 0),
    ]


def test_the_lab_is_due_on_mondays_at_nine_and_retried_once_after_two_minutes(
    airflow_home: AirflowHome,
) -> None:
    airflow_home.read_dags()
    lab = airflow_home.definition(LAB)
    timetable = lab["timetable"]["__var"]
    assert (timetable["expression"], timetable["timezone"]) == ("0 9 * * MON", "UTC")
    assert lab["catchup"] is False
    tasks = {task["__var"]["task_id"]: task["__var"] for task in lab["tasks"]}
    assert list(tasks) == LAB_TASKS
    assert [tasks[name].get("downstream_task_ids", []) for name in LAB_TASKS] == [
        *([name] for name in LAB_TASKS[1:]),
        [],
    ]
    assert {(task["retries"], task["retry_delay"]) for task in tasks.values()} == {(1, 120.0)}
    limits = dict(lab["params"])["clusters"]["schema"]["__var"]
    assert (limits["minimum"], limits["maximum"]) == (2, 10)


def test_the_main_job_runs_every_stage_to_the_end(
    airflow_home: AirflowHome, workplace: Workplace, project_root: Path
) -> None:
    places = workplace.environment()
    outcome = airflow_home.run_dag(
        MAIN_JOB,
        extra={name: places[name] for name in ("INSIGHT_HOME", "INSIGHT_DBT_PROJECT_DIR")},
    )
    assert outcome.returncode == 0, outcome.stdout[-10_000:] + outcome.stderr[-10_000:]
    run_id = airflow_home.last_run(MAIN_JOB)
    assert airflow_home.task_runs(run_id) == [(stage.name, "success", 1) for stage in STAGES]
    said = airflow_home.results(run_id)
    assert "of generated data" in said["load"]
    assert "customers in 5 segments" in said["segment"]
    assert "lookups in Redis" in said["publish"]
    committed = project_root / "dbt_pipeline" / "seeds" / "customer_segments.csv"
    assert workplace.seed.read_bytes() == committed.read_bytes()
