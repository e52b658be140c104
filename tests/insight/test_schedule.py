"""The role `schedule` waits for a warehouse instead of failing in a loop."""

import threading
from pathlib import Path

import pytest
from pydantic import SecretStr

from insight.database import DatabaseEndpoint, connect
from insight.services import open_services
from insight.settings import load_settings
from insight.stages import Context
from insight.stages.schedule import refresh_when_loaded


def test_without_marts_it_says_what_to_run_and_backs_off(
    database: DatabaseEndpoint, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with connect(database) as connection:
        connection.execute("create schema streaming")
        connection.execute("create table streaming.load_ledger as select 7 as load_id")
    url = SecretStr(
        f"postgresql://{database.user}:{database.password.get_secret_value()}"
        f"@{database.host}:{database.port}/{database.dbname}"
    )
    settings = load_settings().model_copy(update={"home": tmp_path, "database_url": url})
    stop = threading.Event()
    threading.Timer(2.5, stop.set).start()
    with open_services(settings) as services:
        refresh_when_loaded(Context(settings, services, lambda _text: None), stop, 0.5)
    assert "insight run" in caplog.text
    assert 1 <= len(caplog.records) <= 3
