"""Both DAGs, really run by Airflow from a home that was empty."""

from pathlib import Path
from typing import NamedTuple

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


class LabRun(NamedTuple):
    """A finished run of the lab: its id, and the folder for the folders of runs."""

    run_id: str
    output: Path


@pytest.fixture(scope="module")
def lab_run(
    airflow_home: AirflowHome, customers: Path, tmp_path_factory: pytest.TempPathFactory
) -> LabRun:
    output = tmp_path_factory.mktemp("lab")
    chosen = {
        "data": str(customers), "test": str(customers), "missing": "median", "clusters": 4,
        "features": ["BALANCE", "PAYMENTS", "MINIMUM_PAYMENTS"], "output": str(output),
    }  # fmt: skip
    outcome = airflow_home.run_dag(LAB, chosen)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return LabRun(airflow_home.last_run(LAB), output)


def test_the_lab_runs_its_steps_in_order_and_passes_paths(
    airflow_home: AirflowHome, lab_run: LabRun
) -> None:
    assert airflow_home.task_runs(lab_run.run_id) == [(task, "success", 1) for task in LAB_TASKS]
    passed = {task: Path(path) for task, path in airflow_home.results(lab_run.run_id).items()}
    folder = passed["extract_customer_data"].parent
    assert folder.parent == lab_run.output
    assert passed == {
        "extract_customer_data": folder / "customers.csv",
        "transform_for_clustering": folder / "prepared.csv",
        "train_kmeans_customer_model": folder / "model.json",
        "evaluate_customer_model": folder / "report.md",
    }


def test_the_dag_writes_what_the_command_line_does(
    lab_run: LabRun, customers: Path, tmp_path: Path
) -> None:
    run_lab(
        tmp_path, data=customers, test=customers, missing=Missing.median, clusters=4,
        features=["BALANCE", "PAYMENTS", "MINIMUM_PAYMENTS"],
    )  # fmt: skip
    (folder,) = lab_run.output.iterdir()
    assert _content(folder) == _content(tmp_path)


def test_airflow_writes_to_its_home_only(lab_run: LabRun, project_root: Path) -> None:
    files = {path.name for path in (project_root / "orchestration").iterdir()}
    assert files - {"__pycache__"} == {
        "__init__.py", "customer_segmentation_lab1.py", "failures.py", "main_job.py"
    }  # fmt: skip
    assert not [path.name for path in project_root.iterdir() if path.name.startswith("airflow")]


def _content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


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
    airflow_home: AirflowHome, lab_run: LabRun
) -> None:
    lab = airflow_home.definition(LAB)
    timetable = lab["timetable"]["__var"]
    assert (timetable["expression"], timetable["timezone"]) == ("0 9 * * 1", "UTC")
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
