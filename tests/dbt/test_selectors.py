"""The selectors of selectors.yml hold what their names say."""

from collections.abc import Callable

import pytest

from insight.stages.schedule import LEFT_TO_THE_STAGES

RunDbt = Callable[[str], tuple[bool, str]]
NodesOf = Callable[[str], set[str]]


@pytest.fixture
def nodes_of(dbt: RunDbt) -> NodesOf:
    """The nodes that `dbt ls` lists, by their unique names."""

    def listed(selection: str) -> set[str]:
        success, output = dbt(f"dbt --quiet ls {selection} --output json --output-keys unique_id")
        assert success, output
        return {line.split('"')[3] for line in output.splitlines() if "unique_id" in line}

    return listed


def _built(nodes: set[str]) -> set[str]:
    kinds = ("model", "seed", "snapshot", "test", "unit_test")
    return {node for node in nodes if node.startswith(kinds)}


def test_before_and_after_ml_are_the_whole_project_and_share_nothing(nodes_of: NodesOf) -> None:
    before, after = nodes_of("--selector before_ml"), nodes_of("--selector after_ml")
    assert before & after == set()
    assert _built(before | after) == _built(nodes_of(""))
    assert "model.dbt_pipeline.fct_customer_lifetime_value" in after
    assert "seed.dbt_pipeline.customer_segments" in after
    assert "model.dbt_pipeline.fct_customer_segments" in after
    assert "model.dbt_pipeline.fct_pos_customer_segments" in after
    assert "model.dbt_pipeline.fct_segmentation_runs" in after
    assert "model.dbt_pipeline.fct_product_associations" in after
    assert "model.dbt_pipeline.fct_sales" in before
    assert "model.dbt_pipeline.int_pos_customer_rfm" in before


def test_streaming_is_what_reads_a_stream_and_the_scheduler_refreshes(nodes_of: NodesOf) -> None:
    streaming = nodes_of("--selector streaming --resource-type model")
    refreshed = " ".join(LEFT_TO_THE_STAGES)
    assert streaming == nodes_of(f"--select source:streaming+ {refreshed} --resource-type model")
    assert "model.dbt_pipeline.fct_pos_customer_segments" not in streaming
    assert "model.dbt_pipeline.fct_pos_transactions" in streaming
    assert "model.dbt_pipeline.fct_sales" not in streaming


def test_quality_is_all_data_tests_and_nothing_else(nodes_of: NodesOf) -> None:
    quality = nodes_of("--selector quality")
    assert {node.split(".")[0] for node in quality} == {"test"}
    assert quality == {node for node in nodes_of("") if node.startswith("test.")}
