"""Movements that a loader has landed, and what live segments make of them."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from account_movements import Loader

from insight.database import DatabaseEndpoint, connect
from segmentation.live.run import LiveOptions, LiveReport, Start, run_live_segments
from segmentation.live.sample_customers import sample_csv
from streaming.contract import Contract, load_contracts
from streaming.registry import open_registry


@pytest.fixture
def contract() -> Contract:
    return next(each for each in load_contracts() if each.stream == "account-transactions")


@pytest.fixture
def loader(database: DatabaseEndpoint, contract: Contract) -> Loader:
    open_registry(database, load_contracts())
    return Loader(database, contract)


@pytest.fixture
def start_file(tmp_path: Path) -> Path:
    path = tmp_path / "customer_segments_full.csv"
    path.write_text(sample_csv(2019))
    return path


@pytest.fixture
def segment(database: DatabaseEndpoint, start_file: Path) -> Callable[..., LiveReport]:
    """Count, in this process, all that is loaded; `over` from the start file on."""

    def run(*, over: bool = False, rows: int = 50, stop: threading.Event | None = None):  # type: ignore[no-untyped-def]
        return run_live_segments(
            database,
            load_contracts(),
            Start(start_file, over=over),
            stop=stop or threading.Event(),
            until_caught_up=True,
            options=LiveOptions(rows=rows),
        )

    return run


@pytest.fixture
def ask(database: DatabaseEndpoint) -> Callable[..., list[tuple[object, ...]]]:
    """Rows of a query."""

    def run(query: str, *values: object) -> list[tuple[object, ...]]:
        with connect(database) as connection:
            return connection.execute(query, values or None).fetchall()

    return run


@pytest.fixture
def everything(ask: Callable[..., list[tuple[object, ...]]]) -> Callable[[], list[object]]:
    """All that live segments have written, to the last bit.

    But for the number of transactions it took, and when the first began.
    """

    def read() -> list[object]:
        return [
            ask("select * from segmentation.live_customers order by customer_id"),
            ask("select * from segmentation.live_transactions order by transaction_id"),
            ask("select * from segmentation.live_offsets order by partition_id"),
            ask(
                """select to_jsonb(live_state) - array['revision', 'started_at']
                   from segmentation.live_state"""
            ),
        ]

    return read


@pytest.fixture
def killed_at(database: DatabaseEndpoint, start_file: Path) -> Callable[[str, int], int]:
    """Run the role in a process of its own that kills itself at a step; its exit code."""
    script = Path(__file__).with_name("live_process.py")

    def run(step: str, nth: int) -> int:
        password = database.password.get_secret_value()
        request = {
            "database": [database.host, database.port, database.user, password, database.dbname],
            "start_file": str(start_file),
            "step": step,
            "nth": nth,
        }
        return subprocess.run(
            [sys.executable, str(script)], input=json.dumps(request), text=True, timeout=120
        ).returncode

    return run
