"""`insight up`: all roles together, kept fresh, and gone without a trace."""

import signal
import time

from waiting import eventually
from workplace import Workplace

from insight.cli.up import role_commands
from insight.database import connect
from insight.services import running_endpoints

_NEWEST_PRICE = "select max(event_timestamp)::text from staging.stg_bitcoin"


def newest_price(workplace: Workplace) -> str:
    endpoints = running_endpoints(workplace.home)
    if endpoints is None:
        return ""
    with connect(endpoints.database) as connection:
        row = connection.execute(_NEWEST_PRICE).fetchone()
    assert row is not None
    return str(row[0])


def test_up_keeps_the_streaming_models_fresh_and_ends_on_ctrl_c(
    finished: tuple[Workplace, str],
) -> None:
    workplace, _ = finished
    roles = workplace.start("up")
    try:
        eventually(lambda: newest_price(workplace) > "2020-01-01", 120)
        roles.send_signal(signal.SIGINT)
        printed, _ = roles.communicate(timeout=60)
    finally:
        roles.kill()
    assert roles.returncode == 0, printed
    for role in role_commands():
        assert role in printed
    assert workplace.insight("verify").returncode == 0


def test_killed_up_leaves_no_process_behind(finished: tuple[Workplace, str]) -> None:
    workplace, _ = finished
    roles = workplace.start("up")
    eventually(lambda: running_endpoints(workplace.home) is not None, 60)
    time.sleep(5)
    roles.kill()
    roles.wait()
    # Each role holds a lease, so the services stop only when the last role is gone.
    eventually(lambda: running_endpoints(workplace.home) is None, 60)
    assert workplace.insight("verify").returncode == 0
