"""The analyses answer their questions on the built warehouse."""

from collections.abc import Callable
from pathlib import Path

import pytest
from psycopg import sql

from insight.database import DatabaseEndpoint, connect

RunDbt = Callable[[str], tuple[bool, str]]


@pytest.fixture
def compiled_analyses(dbt: RunDbt, built_project: Path) -> dict[str, str]:
    """The SQL of each analysis by its file name, with the names of the warehouse's tables."""
    success, output = dbt("dbt compile --quiet --select resource_type:analysis")
    assert success, output
    folder = built_project / "target" / "compiled" / "dbt_pipeline" / "analyses"
    return {file.name: file.read_text() for file in folder.glob("*.sql")}


def test_every_analysis_gives_rows_to_dbt_show_as_well(
    compiled_analyses: dict[str, str], built_project: Path, built: DatabaseEndpoint
) -> None:
    assert set(compiled_analyses) == {f.name for f in (built_project / "analyses").glob("*.sql")}
    empty = []
    with connect(built) as connection:
        for name, query in compiled_analyses.items():
            # As `dbt show` does, which fails on a query with a limit of its own.
            if connection.execute(sql.SQL(query + "\nlimit 5")).fetchone() is None:
                empty.append(name)
    assert empty == []


def test_every_analysis_says_its_question_first(built_project: Path) -> None:
    analyses = list((built_project / "analyses").glob("*.sql"))
    assert [file.name for file in analyses if not file.read_text().startswith("-- ")] == []
