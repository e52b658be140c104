"""DAG `insight_main_job`: the stages of `insight run`, one task each, in their one order."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Param, chain, task

from insight.cli.state import out, progress
from insight.services import open_services
from insight.settings import load_settings
from insight.stages import STAGES, Context, Stage, run_stage
from orchestration.failures import retried_unless_hopeless


def _run(stage: Stage, params: dict[str, Any]) -> str:
    settings = load_settings()
    data = Path(params["data"]) if params["data"] else None
    choices = {name: params[name] for name in ("scale", "generated", "live")}
    # Airflow files what comes on stderr under errors.
    with open_services(settings) as services, progress(stage.name, out) as tell:
        outcome = run_stage(stage, Context(settings, services, tell, data, **choices))
    return outcome.summary


with DAG(
    dag_id="insight_main_job",
    description="Files and streams into the warehouse, dbt, segments, lookups.",
    doc_md=__doc__,
    schedule="0 5 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    # The stages of two runs take turns in one warehouse; one run after the other is clearer.
    max_active_runs=1,
    default_args={"retries": 1, "retry_delay": timedelta(minutes=2)},
    tags=["insight"],
    params={
        "data": Param(
            None,
            type=["null", "string"],
            description="Folder with your own five files; empty: data is generated.",
        ),
        "scale": Param(1, type="integer", minimum=1, description="Times the default data."),
        "generated": Param(
            default=False, type="boolean", description="Replace your own files by generated data."
        ),
        "live": Param(default=False, type="boolean", description="Poll the real APIs."),
    },
) as dag:

    def _task_of(stage: Stage) -> Any:
        @task(task_id=stage.name)
        def run(params: dict[str, Any] | None = None) -> str:
            assert params is not None
            with retried_unless_hopeless():
                return _run(stage, params)

        return run()

    chain(*map(_task_of, STAGES))
