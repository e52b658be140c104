"""DAG `customer_segmentation_lab1`: the credit card lab, a task for each of its four steps.

Tasks hand each other the path of what they wrote. Every run has a folder of its own; a step that is
run again replaces its files.
"""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Param, task

from insight.settings import load_settings
from ml_pipeline.credit_cards.options import (
    DEFAULT_FEATURES,
    LARGEST_K,
    SMALLEST_K,
    Missing,
    Scaling,
)
from orchestration.failures import retried_unless_hopeless

# Imports inside the tasks: Airflow reads this file every few seconds, scikit-learn takes two.


@task
def extract_customer_data(params: dict[str, Any] | None = None, run_id: str | None = None) -> str:
    """The last row of each customer; the path of customers.csv."""
    from ml_pipeline.credit_cards.run import extract

    assert params is not None
    assert run_id is not None
    with retried_unless_hopeless():
        folder = Path(params["output"] or load_settings().lab_dir / "credit_cards" / "runs")
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", run_id)
        return str(extract(folder / name, _path(params["data"]), _path(params["test"])))


@task
def transform_for_clustering(customers: str, params: dict[str, Any] | None = None) -> str:
    """Numbers, gaps treated and scaled; the path of prepared.csv."""
    from ml_pipeline.credit_cards.run import transform

    assert params is not None
    with retried_unless_hopeless():
        missing, scaling = Missing(params["missing"]), Scaling(params["scaling"])
        return str(transform(Path(customers), params["features"], missing, scaling))


@task
def train_kmeans_customer_model(prepared: str, params: dict[str, Any] | None = None) -> str:
    """K-means of every k, one of them kept; the path of model.json."""
    from ml_pipeline.credit_cards.run import train

    assert params is not None
    with retried_unless_hopeless():
        return str(train(Path(prepared), params["clusters"]))


@task
def evaluate_customer_model(model: str) -> str:
    """Elbow, silhouette, clusters of all customers; the path of report.md."""
    from ml_pipeline.credit_cards.run import evaluate

    with retried_unless_hopeless():
        return str(evaluate(Path(model)))


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


with DAG(
    dag_id="customer_segmentation_lab1",
    description="Card customers into clusters with K-means.",
    doc_md=__doc__,
    schedule="0 9 * * 1",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 1, "retry_delay": timedelta(minutes=2)},
    tags=["insight", "lab"],
    params={
        "data": Param(
            None,
            type=["null", "string"],
            description="CSV with one row a customer; empty: customers are generated.",
        ),
        "test": Param(
            None,
            type=["null", "string"],
            description="CSV with customers to put into the clusters of the data.",
        ),
        "features": Param(
            list(DEFAULT_FEATURES),
            type="array",
            items={"type": "string"},
            description="Columns that the clusters are made of.",
        ),
        "missing": Param(
            Missing.drop.value,
            enum=[rule.value for rule in Missing],
            description="Leave customers with a gap out, or fill in the median.",
        ),
        "scaling": Param(
            Scaling.log.value,
            enum=[scaling.value for scaling in Scaling],
            description="Standardise logarithms, or the amounts as they are.",
        ),
        "clusters": Param(
            None,
            type=["null", "integer"],
            minimum=SMALLEST_K,
            maximum=LARGEST_K,
            description="Clusters to keep; empty: the elbow says.",
        ),
        "output": Param(
            None,
            type=["null", "string"],
            description="Folder that gets one folder a run; empty: lab/credit_cards/runs in"
            " INSIGHT_HOME.",
        ),
    },
) as dag:
    # Airflow types a task's result as XComArg, and the parameter it becomes as what arrives there.
    customers: Any = extract_customer_data()
    prepared: Any = transform_for_clustering(customers)
    model: Any = train_kmeans_customer_model(prepared)
    evaluate_customer_model(model)
