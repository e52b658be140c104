"""`insight status` and its `--watch`: words, numbers that change, and a terminal left clean."""

import io
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from pydantic import SecretStr
from rich.console import Console

from insight.cli.status import sections, take_snapshot
from insight.cli.stream_health import Health, StreamHealth, for_people, short_number
from insight.cli.watch import watch_status
from insight.database import DatabaseEndpoint, connect
from insight.services.ports import free_port
from insight.stages.refresh_status import RefreshStatus, write_refresh_status
from segmentation.runtime.run import prepare
from segmentation.runtime.workers import announce
from streaming.contract import load_contracts
from streaming.registry import open_registry

_PROGRESS = """
insert into streaming.stream_progress
    (stream, cluster_id, topic, partition, first_offset, next_offset, epoch, owner,
     high_watermark, rows_total, quarantined_total, last_event_at, last_commit_at)
values ('bitcoin-prices', 'c', 't', 0, 0, 100, 1, 'me', 107, 98, 2, now(), now())
"""


@pytest.fixture
def streams(database: DatabaseEndpoint) -> DatabaseEndpoint:
    """A database with the tables of all streams and one that has been loaded from."""
    open_registry(database, load_contracts())
    with connect(database) as connection:
        connection.execute(_PROGRESS)
    return database


def health(**changes: object) -> StreamHealth:
    row: dict[str, object] = {
        "stream": "refunds",
        "state": "running",
        "state_reason": None,
        "lag": 3,
        "rows_total": 5,
        "quarantined_total": 0,
        "seconds_since_commit": 4,
        "freshness_seconds": 300,
        "producer_state": "running",
        "producer_reason": None,
    }
    return StreamHealth.of({**row, **changes})


@pytest.mark.parametrize(
    ("loader", "producer", "word", "how"),
    [
        ("running", "running", "running", Health.good),
        ("caught_up", None, "caught_up", Health.good),
        ("running", "missing_key", "missing_key", Health.bad),
        ("running", "paused", "paused", Health.warning),
        ("halted_gap", "missing_key", "halted_gap", Health.bad),
        ("paused", "running", "paused", Health.warning),
        ("a word of tomorrow", "running", "a word of tomorrow", Health.bad),
    ],
)
def test_the_worse_state_of_loader_and_producer_is_shown(
    loader: str, producer: str | None, word: str, how: Health
) -> None:
    one = health(state=loader, producer_state=producer)
    assert (one.state, one.health) == (word, how)


def test_freshness_is_measured_against_the_contract() -> None:
    assert health().is_fresh
    assert health().freshness == "4 s/5 min"
    assert not health(seconds_since_commit=301).is_fresh
    assert not health(seconds_since_commit=None).is_fresh


@pytest.mark.parametrize(
    ("number", "text"),
    [(None, "-"), (0, "0"), (99_999, "99,999"), (100_000, "100 k"), (999_499, "999 k"),
     (999_999, "1.0 M"), (12_345_678, "12.3 M"), (4_500_000_000, "4.5 G")],
)  # fmt: skip
def test_a_large_number_is_short(number: int | None, text: str) -> None:
    assert short_number(number) == text


def test_a_duration_is_told_in_its_largest_unit() -> None:
    assert [for_people(s) for s in (0, 59.9, 60, 7_200, 200_000)] == [
        "0 s", "59 s", "1 min", "2 h", "2 d",
    ]  # fmt: skip


def test_a_database_without_anything_has_a_status(database: DatabaseEndpoint) -> None:
    with connect(database) as connection:
        snapshot = take_snapshot(connection)
    assert snapshot.streams() == []
    assert set(snapshot.rows.values()) == {None}


def printed(database: DatabaseEndpoint) -> str:
    with connect(database) as connection:
        snapshot = take_snapshot(connection)
    console = Console(file=io.StringIO(), width=100, highlight=False)
    for part in sections(snapshot, None):
        console.print(part)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_segments_by_rule_are_shown_and_whether_anybody_keeps_them(
    streams: DatabaseEndpoint,
) -> None:
    assert "none in use; run: insight segments create FILE --activate" in printed(streams)
    prepare(streams, load_contracts())
    with connect(streams) as connection:
        connection.execute(
            """insert into segmentation.pipelines (segment, version, as_of)
               values ('spenders', 3, '2026-03-01 06:00Z')"""
        )
    assert re.search(r"spenders +3 +2026-03-01 06:00 *\nnot kept up to date", printed(streams))
    with connect(streams) as connection:
        announce(connection, "worker-1", "at work")
    assert "not kept up to date" not in printed(streams)


def test_live_segments_are_counted(streams: DatabaseEndpoint) -> None:
    with connect(streams) as connection:
        connection.execute(
            """create schema segmentation;
               create table segmentation.live_customers (segment text, last_updated timestamptz);
               insert into segmentation.live_customers values
                   ('High-Value', '2026-03-01 06:00Z'), ('High-Value', '2026-03-01 07:00Z'),
                   ('Budget-Conscious', '2026-03-01 05:00Z')"""
        )
    assert re.search(r"High-Value +2 +2026-03-01 07:00", printed(streams))


@pytest.fixture
def shown(streams: DatabaseEndpoint) -> Iterator[io.StringIO]:
    """What `--watch` writes on an 80 column terminal while the test runs."""
    written = io.StringIO()
    console = Console(file=written, width=80, height=50, force_terminal=True, highlight=False)
    stop = threading.Event()
    thread = threading.Thread(target=watch_status, args=(streams, 0.1, stop, console))
    thread.start()
    yield written
    stop.set()
    thread.join(10)


def lines_of(written: io.StringIO) -> list[str]:
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written.getvalue())
    return [line.strip() for line in plain.replace("\r", "\n").splitlines()]


def waits_for(written: io.StringIO, pattern: str) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if any(re.search(pattern, line) for line in lines_of(written)):
            return True
        time.sleep(0.05)
    raise AssertionError([line for line in lines_of(written)[-60:] if line])


def test_watch_prints_rows_a_second_and_reasons_as_they_change(
    streams: DatabaseEndpoint, shown: io.StringIO
) -> None:
    assert waits_for(shown, r"bitcoin-prices +running +7 +98 +0 +2 +\d+ s/")
    with connect(streams) as connection:
        connection.execute(
            """update streaming.stream_progress set next_offset = 90107, high_watermark = 90107,
               rows_total = 90105"""
        )
    assert waits_for(shown, r"bitcoin-prices +caught_up +0 +90,105 +[1-9][\d.,]* ?[kM]? +2")
    with connect(streams) as connection:
        connection.execute(
            """update streaming.stream_progress
               set state = 'halted_gap', state_reason = 'offsets 5 to 9 are gone'"""
        )
    assert waits_for(shown, r"bitcoin-prices +halted_gap")
    assert waits_for(shown, "bitcoin-prices: loader: offsets 5 to 9 are gone")


def test_watch_shows_a_failing_test_until_it_passes(
    streams: DatabaseEndpoint, shown: io.StringIO
) -> None:
    assert waits_for(shown, "not refreshed by a scheduler yet")
    status = RefreshStatus("tests_fail", "failing tests: unique_id", 3, 0, 0.6, ["unique_id"])
    write_refresh_status(streams, status, refreshed=True, tested=True)
    assert waits_for(shown, r"tests_fail, refreshed \d s ago in 0.6 s, tested \d s ago")
    assert waits_for(shown, "failing tests: unique_id")


_PROGRAM = """
import sys
from pydantic import SecretStr
from pydantic import SecretStr
from rich.console import Console
from insight.cli.watch import watch_status
from insight.database import DatabaseEndpoint
from insight.supervision import stop_requested_by_signal
url = SecretStr(sys.stdin.readline().strip())
stop = stop_requested_by_signal().stop
watch_status(DatabaseEndpoint.from_url(url), 0.2, stop, Console(highlight=False))
"""


def url_of(database: DatabaseEndpoint) -> str:
    return (
        f"postgresql://{database.user}:{database.password.get_secret_value()}"
        f"@{database.host}:{database.port}/{database.dbname}"
    )


def start_watch(database: DatabaseEndpoint, output: int) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TERM": "xterm-256color"},
    )
    assert process.stdin is not None
    process.stdin.write(url_of(database) + "\n")
    process.stdin.flush()
    return process


def test_ctrl_c_gives_the_screen_and_the_cursor_back(streams: DatabaseEndpoint) -> None:
    ours, theirs = pty.openpty()
    process = start_watch(streams, theirs)
    os.close(theirs)
    seen = b""
    while b"bitcoin-prices" not in seen:
        seen += os.read(ours, 65_536)
    process.send_signal(signal.SIGINT)
    assert process.wait(15) == 0
    while not seen.endswith(b"\r\n\r\n"):
        seen += os.read(ours, 65_536)
    os.close(ours)
    entered, left = b"\x1b[?1049h", b"\x1b[?1049l"
    assert seen.count(entered) == seen.count(left) == 1
    assert seen.rindex(b"\x1b[?25h") > seen.rindex(b"\x1b[?25l")
    # The last table stays in the terminal's own history.
    assert b"bitcoin-prices" in seen[seen.index(left) :]


def test_into_a_pipe_one_table_follows_the_other_without_escapes(
    streams: DatabaseEndpoint,
) -> None:
    process = start_watch(streams, subprocess.PIPE)
    assert process.stdout is not None
    lines: list[str] = []
    while sum(line.startswith("bitcoin-prices ") for line in lines) < 3:
        lines.append(process.stdout.readline())
        assert lines[-1], "".join(lines)
    assert "\x1b" not in "".join(lines)
    process.stdout.close()
    process.wait(15)
    assert process.stderr is not None
    assert process.stderr.read() == ""


def test_a_database_that_is_away_is_told_and_asked_again() -> None:
    nowhere = DatabaseEndpoint.from_url(SecretStr(f"postgresql://me@127.0.0.1:{free_port()}/x"))
    process = start_watch(nowhere, subprocess.PIPE)
    assert process.stdout is not None
    assert "cannot connect to Postgres" in process.stdout.readline()
    assert process.poll() is None
    process.terminate()
    process.communicate(timeout=15)
    assert process.returncode == 0
