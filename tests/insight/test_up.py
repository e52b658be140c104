"""`insight up` with real services: roles come back, are measured, and leave with it."""

import os
import re
import signal
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from waiting import eventually
from workplace import Workplace

from insight.cli.up import chosen, role_commands
from insight.errors import InputError
from insight.services import running_endpoints, stop
from insight.services.account import fallback_folder


def test_a_role_is_picked_by_its_name_or_the_beginning_of_it() -> None:
    commands = role_commands(loaders=3)
    assert list(chosen(commands, ["load-streams"])) == [
        "load-streams",
        "load-streams-2",
        "load-streams-3",
    ]
    assert set(chosen(commands, ["produce", "schedule", "segment", "api"])) == {
        name for name in commands if not name.startswith("load-streams")
    }
    assert chosen(commands, []) == commands


@pytest.mark.parametrize("word", ["loader", "produce-nothing", ""])
def test_an_unknown_role_is_refused_with_the_known_ones(word: str) -> None:
    with pytest.raises(InputError, match=r"Known are produce-.*schedule"):
        chosen(role_commands(), [word])


class Up:
    """A running `insight up` and what it printed."""

    def __init__(self, workplace: Workplace, *arguments: str):
        self.process = workplace.start("up", *arguments)
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def printed(self, pattern: str, seconds: float = 60) -> re.Match[str]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for line in list(self.lines):
                if found := re.search(pattern, line):
                    return found
            time.sleep(0.05)
        raise AssertionError(f"{pattern} is not in\n" + "\n".join(self.lines))

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        code = self.process.wait(60)
        self._reader.join(10)
        return code


@pytest.fixture
def workplace(project_root: Path) -> Iterator[Workplace]:
    with tempfile.TemporaryDirectory(prefix="insight-up-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        home = Path(folder) / "home"
        yield Workplace(home, project_root / "dbt_pipeline")
        stop(home, now=True)
        subprocess.run(["rm", "-rf", str(fallback_folder(home))], check=True)


def pids_below(home: Path, module: str) -> set[int]:
    """Processes of roles: their command line names this home's lifeline."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if any(str(home) in word for word in words) and module in words:
            found.add(int(folder.name))
    return found


def test_a_killed_role_is_started_again_and_measured_and_ctrl_c_ends_all(
    workplace: Workplace,
) -> None:
    up = Up(workplace, "--only", "load-streams")
    try:
        url = up.printed(r"Metrics +(http\S+) +load-streams$").group(1)
        up.printed(r"Postgres +127.0.0.1:\d+")
        up.printed("insight status --watch")
        eventually(lambda: metric_names(url))
        first = pids_below(workplace.home, "load-streams")
        assert len(first) == 1
        os.kill(next(iter(first)), signal.SIGKILL)
        up.printed(r"^up +\| load-streams was ended by SIGKILL after .* is started again in")
        eventually(lambda: pids_below(workplace.home, "load-streams") - first)
        eventually(lambda: "insight_loader_phase_seconds" in metric_names(url))
        assert up.end(signal.SIGINT) in (0, 1)
    finally:
        up.process.kill()
    assert up.lines[-1].split(" | ")[0].strip() in ("load-streams", "up")
    assert not pids_below(workplace.home, "load-streams")


def test_it_prints_where_the_api_will_be_served(workplace: Workplace) -> None:
    up = Up(workplace, "--only", "api", "--metrics-port", "0")
    try:
        address = up.printed(r"^API +(http://127\.0\.0\.1:[1-9]\d*/v1)$").group(1)
        up.printed(rf"^api +\| API +{re.escape(address)}$", 120)
        assert up.end(signal.SIGINT) in (0, 1)
    finally:
        up.process.kill()


def metric_names(url: str) -> set[str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 (our own address)
            return {each.name for each in text_string_to_metric_families(answer.read().decode())}
    except OSError:
        return set()


def test_sigkill_of_up_leaves_no_role_and_no_service_behind(workplace: Workplace) -> None:
    up = Up(workplace, "--only", "load-streams", "--metrics-port", "0")
    up.printed("insight status --watch")
    assert not [line for line in up.lines if line.startswith("Metrics")]
    eventually(lambda: pids_below(workplace.home, "load-streams"))
    up.process.kill()
    up.process.wait()
    eventually(lambda: not pids_below(workplace.home, "load-streams"))
    eventually(lambda: running_endpoints(workplace.home) is None)
