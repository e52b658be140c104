"""The files for containers and CI name things that exist."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from insight.cli.app import app
from insight.cli.up import role_commands
from insight.settings import Settings


@pytest.fixture(scope="module")
def compose(project_root: Path) -> dict[str, dict[str, dict[str, object]]]:
    document: dict[str, dict[str, dict[str, object]]] = yaml.safe_load(
        (project_root / "docker-compose.yml").read_text()
    )
    return document


def test_each_role_of_compose_is_a_command(
    compose: dict[str, dict[str, dict[str, object]]],
) -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    roles = [service for service in compose["services"].values() if "build" in service]
    assert len(roles) >= 5
    for role in roles:
        command = role["command"]
        assert isinstance(command, list)
        assert command[0] in commands


def test_each_stream_has_its_producer_in_compose(
    compose: dict[str, dict[str, dict[str, object]]], project_root: Path
) -> None:
    contracts = (project_root / "streaming" / "contracts").glob("*.odcs.yaml")
    for contract in contracts:
        assert f"produce-{contract.name.removesuffix('.odcs.yaml')}" in compose["services"]


def test_the_roles_of_up_are_the_containers_of_compose(
    compose: dict[str, dict[str, dict[str, object]]],
) -> None:
    services = {
        name: service["command"]
        for name, service in compose["services"].items()
        if "build" in service and name != "run"
    }
    assert services == role_commands()


def test_the_variables_of_compose_are_settings(
    compose: dict[str, dict[str, dict[str, object]]],
) -> None:
    known = {f"INSIGHT_{name.upper()}" for name in Settings.model_fields}
    for service in compose["services"].values():
        if "build" not in service:
            continue
        environment = service["environment"]
        assert isinstance(environment, dict)
        for name in environment:
            assert name in known or f"INSIGHT_{name}" in known


def test_compose_holds_no_password(project_root: Path) -> None:
    for line in (project_root / "docker-compose.yml").read_text().splitlines():
        if "PASSWORD:" in line or "_URL:" in line:
            assert "_PASSWORD:?" in line, line


def test_servers_have_health_checks(compose: dict[str, dict[str, dict[str, object]]]) -> None:
    for name in ("postgres", "kafka", "redis"):
        assert "healthcheck" in compose["services"][name]


def test_the_lock_has_hashes_and_no_address(project_root: Path) -> None:
    lock = (project_root / "requirements.lock").read_text()
    pins = [line for line in lock.splitlines() if line and not line.startswith((" ", "#"))]
    assert len(pins) > 100
    assert all("==" in line for line in pins)
    assert lock.count("--hash=sha256:") >= len(pins)
    assert "://" not in lock
    assert "index-url" not in lock


def test_every_setting_is_documented(project_root: Path) -> None:
    operations = (project_root / "docs" / "operations.md").read_text()
    for name in Settings.model_fields:
        assert f"`INSIGHT_{name.upper()}`" in operations


def test_the_workflows_call_targets_modules_and_tests_that_exist(project_root: Path) -> None:
    files = sorted((project_root / ".github" / "workflows").glob("*.yml"))
    workflow = "".join(each.read_text() for each in files)
    makefile = (project_root / "Makefile").read_text()
    targets = set(re.findall(r"^(\w+):", makefile, re.MULTILINE))
    assert set(re.findall(r"\bmake (\w+)", workflow)) <= targets
    modules = re.findall(r"python -m (governance[\w.]*)", workflow + makefile)
    assert len(files) >= 2
    assert len(modules) >= 2
    paths = re.findall(r"-m pytest .*?(tests/\S+)", workflow)
    assert [path for path in paths if not (project_root / path).exists()] == []
    assert [module for module in modules if find_spec(module) is None] == []


def test_spark_is_one_version_wherever_it_is_named(project_root: Path) -> None:
    named = {
        name: set(re.findall(pattern, (project_root / name).read_text()))
        for name, pattern in {
            ".github/workflows/nightly.yml": r"pyspark==([\d.]+)",
            "tests/segmentation/test_spark.py": r'PYSPARK = "([\d.]+)"',
            "docs/rules.md": r"Spark ([\d.]+\d)",
        }.items()
    }
    (version,) = set().union(*named.values())
    assert all(named.values()), named
    assert "pyspark" not in (project_root / "requirements.lock").read_text()
    assert version.count(".") == 2


def test_a_pull_request_builds_what_changed_on_the_base(project_root: Path) -> None:
    workflow = yaml.safe_load((project_root / ".github" / "workflows" / "ci.yml").read_text())
    job = workflow["jobs"]["pull-request"]
    assert job["if"] == "github.event_name == 'pull_request'"
    assert job["permissions"] == {"contents": "read", "pull-requests": "write"}
    steps = [step.get("run", "") for step in job["steps"]]
    assert any("--select state:modified+ --defer --state" in step for step in steps)
