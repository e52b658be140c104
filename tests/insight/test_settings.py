"""Settings: the environment is read once, and a wrong value names its variable."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from insight.database import DatabaseEndpoint, connect
from insight.errors import ConfigurationError, ServiceError
from insight.services import open_services
from insight.settings import load_settings

_PASSWORD = "s3cret-word"


def test_everything_is_embedded_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"INSIGHT_{name}", raising=False)
    settings = load_settings()
    assert settings.database_url.get_secret_value() == "embedded"
    assert settings.kafka_bootstrap_servers == "embedded"
    assert settings.redis_url.get_secret_value() == "embedded"


@pytest.mark.parametrize("name", ["KAFKA_BOOTSTRAP_SERVERS", "INSIGHT_KAFKA_BOOTSTRAP_SERVERS"])
def test_a_service_has_a_bare_and_a_prefixed_name(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv("INSIGHT_KAFKA_BOOTSTRAP_SERVERS", raising=False)
    monkeypatch.setenv(name, "broker:9092")
    assert load_settings().kafka_bootstrap_servers == "broker:9092"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("INSIGHT_MAX_REJECTED_SHARE", "2"),
        ("INSIGHT_SEGMENT_COUNT", "many"),
        ("INSIGHT_SEGMENT_COUNT", "11"),
        ("INSIGHT_SEGMENTS_IN", "file"),
    ],
)
def test_a_wrong_value_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name):
        load_settings()


@pytest.mark.parametrize(("value", "expected"), [("4", 4), ("rule", "rule")])
def test_segments_are_counted_or_left_to_the_rule(
    monkeypatch: pytest.MonkeyPatch, value: str, expected: object
) -> None:
    monkeypatch.setenv("INSIGHT_SEGMENT_COUNT", value)
    assert load_settings().segment_count == expected


def test_a_relative_home_counts_from_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INSIGHT_HOME", "state")
    assert load_settings().home == tmp_path / "state"


def test_a_home_that_a_shell_would_read_as_a_command_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("INSIGHT_HOME", "/tmp/$(id)")
    with pytest.raises(ConfigurationError, match="INSIGHT_HOME"):
        load_settings()


def test_a_password_is_in_no_text_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://me:{_PASSWORD}@127.0.0.1:1/nowhere")
    settings = load_settings()
    assert _PASSWORD not in repr(settings)
    with open_services(settings) as services:
        assert _PASSWORD not in repr(services.database)
        with pytest.raises(ServiceError, match="cannot connect to Postgres") as caught:
            open_connection(services.database)
    assert _PASSWORD not in str(caught.value)


def open_connection(endpoint: DatabaseEndpoint) -> None:
    with connect(endpoint):
        pass


def test_what_is_no_postgres_url_is_refused_without_quoting_it() -> None:
    with pytest.raises(ConfigurationError, match="DATABASE_URL") as caught:
        DatabaseEndpoint.from_url(SecretStr(f"mysql//{_PASSWORD} oops"))
    assert _PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("postgresql://one:5432,two:5432/db", "one Postgres server"),
        ("postgresql://host/db?target_session_attrs=primary", "target_session_attrs"),
    ],
)
def test_what_a_url_says_is_carried_or_refused_by_name(url: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        DatabaseEndpoint.from_url(SecretStr(url))


def test_encryption_of_a_url_reaches_every_client() -> None:
    endpoint = DatabaseEndpoint.from_url(SecretStr("postgresql://me@host/db?sslmode=verify-full"))
    assert endpoint.environment()["PGSSLMODE"] == "verify-full"
    assert endpoint.named("other").environment()["PGSSLMODE"] == "verify-full"


def test_an_external_kafka_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    with open_services(load_settings()) as services:
        with pytest.raises(ServiceError, match=r"127\.0\.0\.1:1: Kafka does not answer"):
            _ = services.kafka
