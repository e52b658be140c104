"""Loads at the same time, killed loads and the memory of a load."""

import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from batch.loader import load_directory
from insight.database import DatabaseEndpoint

Rows = Callable[[str], list[tuple[object, ...]]]
State = Callable[[], dict[str, list[tuple[object, ...]]]]


def test_loads_at_once_take_turns(database: DatabaseEndpoint, data: Path, rows: Rows) -> None:
    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda _: load_directory(database, data), range(4)))
    assert [[s.rows for s in report.sources] for report in reports] == [[3, 4, 2, 3, 2]] * 4
    assert sorted(sum(s.unchanged for s in report.sources) for report in reports) == [0, 5, 5, 5]
    assert rows("select count(*) from raw.online_sales") == [(4,)]


CONNECT = """
import os, resource, signal, sys
from pathlib import Path
from pydantic import SecretStr
from batch.loader import load_directory
from insight.database import DatabaseEndpoint
host, port, user, dbname, *directories = sys.argv[1:]
database = DatabaseEndpoint(host, int(port), user, SecretStr(sys.stdin.read()), dbname)
"""
PRINT_MEMORY = """
for directory in directories:
    load_directory(database, Path(directory))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
DIE_AMID_SALES = """
def die(source, rows):
    if source == "online_sales":
        os.kill(os.getpid(), signal.SIGKILL)
load_directory(database, Path(directories[0]), on_progress=die)
"""


def run_program(
    program: str, database: DatabaseEndpoint, *directories: Path
) -> subprocess.CompletedProcess[str]:
    place = [database.host, str(database.port), database.user, database.dbname]
    return subprocess.run(
        [sys.executable, "-c", CONNECT + program, *place, *map(str, directories)],
        input=database.password.get_secret_value(),
        capture_output=True,
        text=True,
    )


def test_a_killed_load_leaves_nothing_and_blocks_nothing(
    database: DatabaseEndpoint, data: Path, raw_state: State
) -> None:
    load_directory(database, data)
    before = raw_state()
    with open(data / "CustomersData.csv", "a") as file:
        file.write("99999,F,Boston,1\n")
    with open(data / "Online_Sales.csv", "a") as file:
        file.writelines(f"12583,{n},20190104,SKU1,Pen,Office,1,2.5,6,Used\n" for n in range(60_000))
    killed = run_program(DIE_AMID_SALES, database, data)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert raw_state() == before
    assert [s.rows for s in load_directory(database, data).sources][:2] == [4, 60_004]


def test_memory_does_not_grow_with_the_file(
    database: DatabaseEndpoint, data: Path, tmp_path: Path, rows: Rows
) -> None:
    big = tmp_path / "big"
    big.mkdir()
    for path in data.iterdir():
        (big / path.name).write_bytes(path.read_bytes())
    with open(big / "Online_Sales.csv", "ab") as file:
        line = f"12583,{{0}},20190104,SKU1,{'A long name ' * 78} {{0}},Office,1,2.5,6,Used\n"
        for block in range(100):
            file.write("".join(line.format(block * 1_500 + n) for n in range(1_500)).encode())
    assert (big / "Online_Sales.csv").stat().st_size > 140_000_000
    finished = run_program(PRINT_MEMORY, database, data, big)
    assert finished.returncode == 0, finished.stderr
    small_kib, big_kib = map(int, finished.stdout.split())
    assert rows("select count(*) from raw.online_sales") == [(150_004,)]
    assert big_kib - small_kib < 30_000
