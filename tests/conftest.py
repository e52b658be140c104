"""Real services for the tests: embedded ones of their own, or external ones by the usual URLs."""

import itertools
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from apache_kafka import apache_kafka, missing_programs
from databases import create_database, drop_database
from dbt_common.behavior_flags import BehaviorFlagRendered

from insight.database import DatabaseEndpoint
from insight.services import KafkaEndpoint, RedisEndpoint, Services, open_services, stop
from insight.settings import load_settings

# How long an example takes says more about the machine than about the code.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

# Folders whose tests share an expensive start (a built warehouse): one worker runs all of them.
_KEPT_TOGETHER = frozenset({"dbt", "documentation", "main_job"})


@pytest.hookimpl(tryfirst=True)  # before the plugin that reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    tests = Path(__file__).parent
    for item in items:
        folder = item.path.parent.relative_to(tests)
        if folder.parts and folder.parts[0] in _KEPT_TOGETHER:
            item.add_marker(pytest.mark.xdist_group(str(folder)))


@pytest.fixture(scope="session", autouse=True)
def _quick_dbt() -> Iterator[None]:
    """Keep dbt in this process from the seconds that each command spends on a name.

    For each of its behaviour flags it has `inspect.stack` read the source of every frame, and
    pytest's stacks are deep. The answer is the same.
    """

    def caller() -> str:
        frame = sys._getframe(1)
        while frame.f_back and frame.f_globals["__name__"] == BehaviorFlagRendered.__module__:
            frame = frame.f_back
        return str(frame.f_globals["__name__"])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BehaviorFlagRendered, "_default_source", staticmethod(caller))
        yield


@pytest.fixture(scope="session")
def services() -> Iterator[Services]:
    with tempfile.TemporaryDirectory(prefix="insight-test-", dir="/tmp") as home:
        # As root the server runs as another account, which must be able to enter its home.
        Path(home).chmod(0o755)
        settings = load_settings().model_copy(update={"home": Path(home)})
        with open_services(settings) as opened:
            yield opened
        stop(Path(home), now=True)


@pytest.fixture(scope="session")
def _database_names() -> Iterator[str]:
    return (f"test_{os.getpid()}_{number}" for number in itertools.count())


@pytest.fixture
def database(services: Services, _database_names: Iterator[str]) -> Iterator[DatabaseEndpoint]:
    """An empty database of its own for one test."""
    name = next(_database_names)
    yield create_database(services, name)
    drop_database(services, name)


@pytest.fixture(scope="session")
def real_kafka(
    services: Services, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KafkaEndpoint]:
    """A real Apache Kafka: the configured one, or one started from its jars."""
    if not services.kafka.embedded:
        yield services.kafka
        return
    if missing := missing_programs():
        pytest.skip(f"a real Apache Kafka needs {missing} on this machine")
    with apache_kafka(tmp_path_factory.mktemp("kafka")) as endpoint:
        yield endpoint


@pytest.fixture(scope="session", params=["configured", "apache"])
def kafka(request: pytest.FixtureRequest, services: Services) -> KafkaEndpoint:
    """The broker of the settings (embedded by default), then a real Apache Kafka."""
    if request.param == "configured":
        return services.kafka
    if not services.kafka.embedded:
        pytest.skip("the configured broker is a real Kafka already")
    endpoint: KafkaEndpoint = request.getfixturevalue("real_kafka")
    return endpoint


@pytest.fixture(scope="session")
def redis_endpoint(services: Services) -> RedisEndpoint:
    return services.redis


@pytest.fixture(scope="session")
def project_root() -> Path:
    return Path(__file__).resolve().parent.parent
