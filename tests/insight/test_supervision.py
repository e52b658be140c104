"""The supervisor: roles come back after a pause, lines stay whole, a stop leaves nothing."""

import io
import os
import re
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest
import waiting
from hypothesis import given
from hypothesis import strategies as st

from insight.supervision import BackOff, MergedLog, Role, StopRequest, Supervisor

eventually = partial(waiting.eventually, seconds=15)

_DEAF = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True)"
)


def role(name: str, program: str) -> Role:
    return Role(name, [sys.executable, "-c", program], os.environ)


class Running:
    """A supervisor in a thread, and what it wrote."""

    def __init__(self, *roles: Role, seconds_to_drain: float = 10.0):
        self.written = io.StringIO()
        self.request = StopRequest()
        log = MergedLog(self.written, [each.name for each in roles])
        supervisor = Supervisor(
            roles,
            log,
            back_off=lambda: BackOff(first=0.1, longest=0.2),
            seconds_to_drain=seconds_to_drain,
        )
        self.codes: list[int] = []
        self._thread = threading.Thread(
            target=lambda: self.codes.append(supervisor.run(self.request))
        )
        self._thread.start()

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_error: object) -> None:
        self.end()

    def end(self) -> int:
        self.request.stop.set()
        self._thread.join(30)
        return self.codes[0]

    def lines(self, name: str) -> list[str]:
        prefix = re.compile(rf"{name} +\| ?")
        return [
            prefix.sub("", line, count=1)
            for line in self.written.getvalue().splitlines()
            if prefix.match(line)
        ]

    def await_line(self, name: str, text: str, times: int = 1) -> None:
        eventually(lambda: sum(text in line for line in self.lines(name)) >= times)


def test_the_bound_doubles_up_to_a_minute_and_starts_anew_after_a_good_run() -> None:
    back_off = BackOff(draw=lambda: 1.0)
    pauses = [back_off.pause_after(0.1) for _ in range(8)]
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    assert back_off.pause_after(59.9) == 60
    assert back_off.pause_after(60) == 1
    assert back_off.pause_after(1) == 2


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1)), max_size=30))
def test_a_pause_is_never_nothing_and_never_beyond_the_longest(
    runs: list[tuple[float, float]],
) -> None:
    draws = iter([draw for _, draw in runs])
    back_off = BackOff(draw=lambda: next(draws))
    assert all(0.2 <= back_off.pause_after(ran) <= 60 for ran, _ in runs)


def test_a_role_that_ends_is_started_again_and_it_is_said_why() -> None:
    crashing = role("crashing", "import sys; print('here'); sys.exit(3)")
    killed = role("killed", "import os; print('there', flush=True); os.kill(os.getpid(), 9)")
    with Running(crashing, killed) as running:
        running.await_line("crashing", "here", times=3)
        running.await_line("killed", "there", times=3)
        running.await_line("up", "crashing ended with exit code 3", times=2)
        running.await_line("up", "killed was ended by SIGKILL", times=2)
        assert all("is started again in" in line for line in running.lines("up"))
        assert running.end() == 1
    running.await_line("up", "never came up: crashing, killed")


def test_a_program_that_is_not_there_is_told_and_tried_again() -> None:
    with Running(Role("absent", ["/no/such/program"], {})) as running:
        running.await_line("up", "absent could not be started", times=2)
        assert running.end() == 1


def test_roles_that_drain_end_with_code_0() -> None:
    draining = role(
        "draining",
        "import signal, sys, time\n"
        "def drain(*_):\n    time.sleep(0.3); print('drained'); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, drain); print('ready', flush=True); time.sleep(60)",
    )
    with Running(draining, role("plain", "import time; time.sleep(60)")) as running:
        running.await_line("draining", "ready")
        assert running.end() == 0
    assert "drained" in running.lines("draining")


def test_a_deaf_role_and_what_it_started_are_killed_after_the_time_to_drain() -> None:
    program = (
        f"{_DEAF}\n"
        "import subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', {_DEAF!r} + '; time.sleep(60)'])\n"
        "print('child', child.pid, flush=True); time.sleep(60)"
    )
    with Running(role("deaf", program), seconds_to_drain=0.5) as running:
        running.await_line("deaf", "child")
        running.await_line("deaf", "deaf", times=2)
        assert running.end() == 1
    pid = next(int(line.split()[1]) for line in running.lines("deaf") if "child" in line)
    eventually(lambda: not is_alive(pid))
    running.await_line("up", "killed, as they did not end: deaf")


def test_a_second_request_does_not_wait_for_a_deaf_role() -> None:
    with Running(role("deaf", f"{_DEAF}; time.sleep(60)"), seconds_to_drain=600) as running:
        running.await_line("deaf", "deaf")
        running.request.hurry.set()
        assert running.end() == 1


def test_what_a_dead_role_has_started_does_not_outlive_it() -> None:
    program = (
        "import subprocess, sys, os\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print('child', p.pid, flush=True); os._exit(1)"
    )
    with Running(role("parent", program)) as running:
        running.await_line("parent", "child")
        pid = int(running.lines("parent")[0].split()[1])
        eventually(lambda: not is_alive(pid))


def is_alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0]
    except FileNotFoundError:
        return False


def test_lines_of_many_roles_are_whole_and_all_there() -> None:
    program = (
        "import sys\n"
        "for n in range(2000): sys.stdout.write(f'{n} ' + 'x' * (n % 300) + '\\n')\n"
        "sys.stdout.write('no line break at the end'); sys.stdout.flush()\n"
        "import time; time.sleep(60)"
    )
    names = [f"role-{number}" for number in range(4)]
    with Running(*(role(name, program) for name in names)) as running:
        for name in names:
            running.await_line(name, "1999 ")
        assert running.end() == 0
    expected = [f"{n} {'x' * (n % 300)}".rstrip() for n in range(2000)]
    for name in names:
        assert running.lines(name) == [*expected, "no line break at the end"]


def test_names_are_aligned_and_bytes_cannot_move_the_cursor() -> None:
    stream = io.StringIO()
    log = MergedLog(stream, ["a", "longer"])
    log.follow("a", io.BytesIO(b"over\rwritten \x1b[2J \xff\n\npadded   \n"))
    log.write("longer", "x")
    assert stream.getvalue().splitlines() == [
        "a      | over\ufffdwritten \ufffd[2J \ufffd",
        "a      |",
        "a      | padded",
        "longer | x",
    ]


def test_colours_are_for_terminals_only() -> None:
    plain, coloured = io.StringIO(), io.StringIO()
    MergedLog(plain, ["a"]).write("a", "x")
    MergedLog(coloured, ["a"], colour=True).write("a", "x")
    assert "\x1b" not in plain.getvalue()
    assert coloured.getvalue().startswith("\x1b[")


_PROGRAM = """
import os, sys
from insight.supervision import MergedLog, Role, Supervisor, stop_requested_by_signal
program = "import time; print('line', flush=True); time.sleep(60)"
request = stop_requested_by_signal()
log = MergedLog(sys.stdout, ["one"], on_closed=request.stop.set)
roles = [Role("one", [sys.executable, "-c", program], os.environ)]
sys.exit(Supervisor(roles, log).run(request))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_sent_twice_at_once_is_one_request(number: signal.Signals) -> None:
    process = subprocess.Popen([sys.executable, "-c", _PROGRAM], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "one | line\n"
    process.send_signal(number)
    process.send_signal(number)
    printed, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "killed" not in printed


def test_a_log_that_nobody_reads_any_more_ends_the_roles() -> None:
    program = _PROGRAM.replace(
        "time.sleep(60)", "[print(n, flush=True) or time.sleep(0.05) for n in range(600)]"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(30) == 0
