"""The harness has every incremental model of the project."""

from dbt.contracts.graph.manifest import Manifest
from increments.arrivals import MAKERS
from increments.expected import EXPECTED
from increments.models import incremental_models, names, raw_tables


def test_every_incremental_model_has_a_query_for_what_it_must_hold(manifest: Manifest) -> None:
    assert set(EXPECTED) == set(names(incremental_models(manifest)))


def test_every_raw_table_that_an_incremental_model_reads_has_arrivals(manifest: Manifest) -> None:
    assert set(MAKERS) == raw_tables(manifest, incremental_models(manifest))
