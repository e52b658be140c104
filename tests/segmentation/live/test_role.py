"""`insight segment-live` as a process: it ends in order, and says what it cannot use."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from account_movements import movement, simulated
from waiting import eventually

from insight.database import DatabaseEndpoint
from insight.services import Services


@pytest.fixture
def start_role(
    services: Services, database: DatabaseEndpoint, tmp_path: Path
) -> Callable[..., "subprocess.Popen[str]"]:
    """Start the role on the test's database, as on servers of one's own."""
    password = database.password.get_secret_value()
    url = (
        f"postgresql://{database.user}:{password}@{database.host}:{database.port}/{database.dbname}"
    )
    environment = {
        **os.environ,
        "INSIGHT_HOME": str(tmp_path / "home"),
        "DATABASE_URL": url,
        "KAFKA_BOOTSTRAP_SERVERS": services.kafka.bootstrap_servers,
        "REDIS_URL": "redis://127.0.0.1:1/0",
    }

    def start(*arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [
                sys.executable,
                "-c",
                "from insight.cli import main; main()",
                "segment-live",
                *arguments,
            ],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def test_it_follows_what_is_loaded_until_sigterm(loader, start_role, ask) -> None:
    loader.land_all(simulated(1))
    role = start_role()

    def events() -> int:
        if ask("select to_regclass('segmentation.live_state')") == [(None,)]:
            return 0
        return sum(int(str(each)) for (each,) in ask("select events from segmentation.live_state"))

    try:
        eventually(lambda: events() > 0, 60)
        before = events()
        loader.land(0, [movement(1)])
        eventually(lambda: events() == before + 1)
        role.send_signal(signal.SIGTERM)
        out, err = role.communicate(timeout=30)
    finally:
        role.kill()
    assert role.returncode == 0, err
    assert f"{before + 1:,} movements counted, 0 came again" in out


def test_until_caught_up_it_ends_and_a_bad_file_is_one_line(loader, start_role, tmp_path) -> None:
    loader.land(0, [movement(1)])
    role = start_role("--until-caught-up")
    out, err = role.communicate(timeout=60)
    assert (role.returncode, out[:19]) == (0, "1 movements counted"), err
    path = tmp_path / "customers.csv"
    path.write_text("customer_id,balance\n")
    role = start_role("--start-over", "--start", str(path), "--until-caught-up")
    out, err = role.communicate(timeout=60)
    assert role.returncode == 1
    assert "customers.csv, line 1: has no column customer_lifetime_value" in err
    assert "Traceback" not in err
