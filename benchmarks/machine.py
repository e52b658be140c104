"""What the numbers were measured on."""

import os
import platform
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path


def told() -> str:
    """Day, command and machine in one sentence."""
    return f"Measured on {datetime.now(UTC):%Y-%m-%d} by `{_command()}` on {_machine()}."


def peak_mib() -> float:
    """The most memory that this process has held, in MiB.

    Not of getrusage, whose maximum begins with that of the process that started this one.
    """
    return int(_after("/proc/self/status", "VmHWM").split()[0]) / 1024


def _command() -> str:
    if not sys.argv[1:]:
        return "make bench"
    return f"python -m benchmarks {shlex.join(sys.argv[1:])}"


def _machine() -> str:
    memory = int(_after("/proc/meminfo", "MemTotal").split()[0]) / 2**20
    cpu, cores = _after("/proc/cpuinfo", "model name"), os.cpu_count()
    system = f"{platform.system()} {platform.release()}"
    return f"{cpu}, {cores} cores, {memory:.0f} GiB of memory, {system}"


def _after(file: str, name: str) -> str:
    lines = Path(file).read_text().splitlines()
    line = next((each for each in lines if each.startswith(name)), ": unknown")
    return line.partition(":")[2].strip()
