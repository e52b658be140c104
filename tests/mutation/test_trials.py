"""A model that its tests hold leaves no edit unnoticed; one without tests leaves all of them."""

from pathlib import Path

import pytest
from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest
from mutation.edits import edits_of
from mutation.report import Result, score, survivors
from mutation.trial import BrokenBaselineError, ModelTrials, Trials, Verdict

from insight.database import DatabaseEndpoint

_PROJECT = """
name: tiny
profile: dbt_pipeline
flags: {send_anonymous_usage_stats: false}
models: {tiny: {+materialized: table}}
"""
_READINGS = "select 'a' as sensor, 1 as value union all select 'a', 3 union all select 'b', 2"
_MODEL = """with readings as (

    select * from {{ ref('readings') }}

)

select sensor, sum(value) as total
from readings
where value > 1
group by sensor"""
_YAML = """
version: 2
models:
  - name: tested
    columns:
      - name: sensor
        data_tests: [unique]
unit_tests:
  - name: small_readings_do_not_count
    model: tested
    given:
      - input: ref('readings')
        rows:
          - {sensor: a, value: 1}
          - {sensor: a, value: 2}
          - {sensor: a, value: 3}
    expect:
      rows:
        - {sensor: a, total: 5}
"""
_BROKEN = """
  - name: never_right
    model: broken
    given:
      - input: ref('readings')
        rows: []
    expect:
      rows:
        - {sensor: a, total: 5}
"""


@pytest.fixture
def trials(
    project_root: Path, tmp_path: Path, database: DatabaseEndpoint, monkeypatch: pytest.MonkeyPatch
) -> Trials:
    models = tmp_path / "models"
    models.mkdir()
    (tmp_path / "dbt_project.yml").write_text(_PROJECT)
    profile = (project_root / "dbt_pipeline" / "profiles.yml").read_text()
    (tmp_path / "profiles.yml").write_text(profile)
    (models / "readings.sql").write_text(_READINGS)
    for name in ("tested", "untested", "broken"):
        (models / f"{name}.sql").write_text(_MODEL)
    (models / "tests.yml").write_text(_YAML + _BROKEN)
    monkeypatch.chdir(tmp_path)
    for name, value in database.environment().items():
        monkeypatch.setenv(name, value)
    manifest = dbtRunner().invoke(["--quiet", "parse"]).result
    assert isinstance(manifest, Manifest)
    assert dbtRunner(manifest=manifest).invoke(["--quiet", "run"]).success
    return Trials(manifest, database)


def _results(of_model: ModelTrials) -> list[Result]:
    return [
        Result("model", "model.sql", _MODEL, edit, of_model.outcome(edit))
        for edit in edits_of(_MODEL)
    ]


def test_edits_are_noticed_where_there_are_tests_and_nowhere_else(trials: Trials) -> None:
    with trials.on("tested") as tested:
        noticed = _results(tested)
    assert survivors(noticed) == []
    assert score(noticed) == 1
    with trials.on("untested") as untested:
        unnoticed = _results(untested)
    assert score(unnoticed) == 0
    assert {each.outcome.verdict for each in unnoticed} == {Verdict.survived}
    differences = [each.difference() for each in survivors(unnoticed)]
    assert "  - where value > 1\n  + where value >= 1" in "\n".join(differences)


def test_the_model_is_as_it_was_afterwards(trials: Trials) -> None:
    rows = trials.digest("marts.tested")
    with trials.on("tested") as tested:
        tested.outcome(edits_of(_MODEL)[-1])
    assert trials.digest("marts.tested") == rows
    assert trials.model("tested").raw_code == _MODEL


def test_a_model_whose_tests_fail_without_an_edit_is_refused(trials: Trials) -> None:
    with pytest.raises(BrokenBaselineError, match="never_right"), trials.on("broken"):
        pass
