"""An Airflow home of its own, and what its database says of a run."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_AIRFLOW = Path(sys.executable).with_name("airflow")


@dataclass(frozen=True)
class AirflowHome:
    """A folder with Airflow's database, pointed at the DAGs of this project."""

    home: Path
    project_root: Path

    def airflow(
        self, *arguments: str, extra: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run `airflow` to its end, from a folder that is not the project's."""
        outside = {"DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL"}
        kept = {
            name: value
            for name, value in os.environ.items()
            if name not in outside and not name.startswith("AIRFLOW")
        }
        return subprocess.run(
            [str(_AIRFLOW), *arguments],
            env={
                **kept,
                "AIRFLOW_HOME": str(self.home),
                "AIRFLOW__CORE__DAGS_FOLDER": str(self.project_root / "orchestration"),
                "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
                "INSIGHT_HOME": str(self.home / "insight"),
                # Nothing listens there: a request to any other machine would fail.
                "HTTP_PROXY": "http://127.0.0.1:9",
                "HTTPS_PROXY": "http://127.0.0.1:9",
                "NO_PROXY": "127.0.0.1,localhost",
                **(extra or {}),
            },
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=800,
        )

    def run_dag(
        self,
        dag_id: str,
        parameters: Mapping[str, object] | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> "subprocess.CompletedProcess[str]":
        """`airflow dags test`: a whole run in one process, without a scheduler."""
        conf = json.dumps(parameters or {})
        return self.airflow("dags", "test", dag_id, "--conf", conf, extra=extra)

    def query(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of Airflow's database."""
        with closing(sqlite3.connect(self.home / "airflow.db")) as connection:
            return connection.execute(statement, values).fetchall()

    def definition(self, dag_id: str) -> dict[str, Any]:
        """The DAG as the scheduler knows it, once Airflow has read the DAG files."""
        (data,) = self.query("select data from serialized_dag where dag_id = ?", dag_id)[0]
        definition: dict[str, Any] = json.loads(data)["dag"]
        return definition

    def task_runs(self, run_id: str) -> list[tuple[str, str, int]]:
        """Task, state and number of tries of a run, in the order in which they started."""
        return self.query(
            "select task_id, state, try_number from task_instance where run_id = ?"
            " order by start_date is null, start_date",
            run_id,
        )

    def results(self, run_id: str) -> dict[str, str]:
        """What each task of a run left for others: all of XCom."""
        rows = self.query("select task_id, key, value from xcom where run_id = ?", run_id)
        assert {key for _, key, _ in rows} == {"return_value"}
        return {task: json.loads(value) for task, _, value in rows}

    def last_run(self, dag_id: str) -> str:
        """The id of the newest run."""
        run_id = self.query(
            "select run_id from dag_run where dag_id = ? order by id desc limit 1", dag_id
        )[0][0]
        assert isinstance(run_id, str)
        return run_id
