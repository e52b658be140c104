"""Children run through `insight.attached` do not outlive their parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

_PARENT = """
import subprocess, sys, time
from pathlib import Path
from insight import attached
with attached.lifeline(Path(sys.argv[1])) as lock:
    child = subprocess.Popen(attached.command(lock, "attached_child:main", []))
    print(child.pid, flush=True)
    time.sleep(600)
"""

_CHILD = """
import time
def main():
    time.sleep(600)
"""


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    (tmp_path / "attached_child.py").write_text(_CHILD)
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, str(tmp_path / "run")],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    time.sleep(0.5)
    assert is_running(child)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 30
    while is_running(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(child)


def test_the_exit_code_of_the_entry_point_is_passed_on(tmp_path: Path) -> None:
    (tmp_path / "attached_child.py").write_text("def main():\n    return 7\n")
    program = (
        "import subprocess, sys; from pathlib import Path; from insight import attached\n"
        f"with attached.lifeline(Path({str(tmp_path)!r})) as lock:\n"
        "    code = subprocess.call(attached.command(lock, 'attached_child:main', []))\n"
        "sys.exit(code)"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(tmp_path)}
    )
    assert outcome.returncode == 7
