"""CPU time and memory of processes, from /proc, sampled while they run."""

import os
import statistics
import threading
import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_INTERVAL_SECONDS = 0.1

MACHINE = "machine"


@dataclass(frozen=True)
class Usage:
    """CPU seconds since its start, and resident bytes, of one process or of a whole tree."""

    cpu: float
    rss: int


@dataclass(frozen=True)
class Sample:
    """What the watched processes had used at one moment (Unix time)."""

    at: float
    usage: Mapping[str, Usage]


def parent(pid: int) -> int:
    return int(_fields(pid)[1])


def children(pid: int) -> list[int]:
    """Children of the process's first thread."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def usage(pid: int) -> Usage:
    """A process with its children, those that have ended too. Raises OSError when it is gone."""
    own = _fields(pid)
    # The four fields: user and system time, then those of children that were waited for.
    cpu, rss = sum(map(int, own[11:15])) / _TICKS, int(own[21]) * _PAGE
    for child in children(pid):
        # A child that ends now is in the parent's count the next time.
        with suppress(OSError):
            found = usage(child)
            cpu, rss = cpu + found.cpu, rss + found.rss
    return Usage(cpu, rss)


def machine() -> Usage:
    """CPU seconds of everything on this machine since it was started; its memory is not asked."""
    line = Path("/proc/stat").read_text().partition("\n")[0].split()
    user, nice, system, _idle, _waiting, hard, soft, *_ = map(int, line[1:])
    return Usage((user + nice + system + hard + soft) / _TICKS, 0)


def _fields(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the state on; a program's name can hold spaces."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except ProcessLookupError as error:
        raise FileNotFoundError(f"/proc/{pid}") from error


class Samples(list[Sample]):
    """Samples in the order of time."""

    def cpu_between(self, names: Iterable[str], start: float, end: float) -> float:
        """CPU seconds of the named processes in a window, interpolated between samples."""
        return sum(self._cpu_at(each, end) - self._cpu_at(each, start) for each in names)

    def _cpu_at(self, name: str, at: float) -> float:
        known = [each for each in self if name in each.usage]
        if not known:
            return 0.0
        index = bisect_left([each.at for each in known], at)
        if index in (0, len(known)):
            return known[min(index, len(known) - 1)].usage[name].cpu
        before, after = known[index - 1], known[index]
        share = (at - before.at) / (after.at - before.at)
        return before.usage[name].cpu + share * (after.usage[name].cpu - before.usage[name].cpu)

    def peak_rss(self, names: Sequence[str]) -> int:
        """The largest resident size that one of the named processes had, in bytes."""
        sizes = (
            sample.usage[each].rss for sample in self for each in names if each in sample.usage
        )
        return max(sizes, default=0)

    def rss_growth(self, name: str, start: float, end: float) -> float:
        """Median size in the last quarter of a window against that in its second quarter."""
        quarter = (end - start) / 4
        early = self._rss(name, start + quarter, start + 2 * quarter)
        late = self._rss(name, end - quarter, end)
        return statistics.median(late) / statistics.median(early) if early and late else 1.0

    def rss_over_time(self, name: str, start: float, end: float) -> tuple[int, ...]:
        """Median size in each tenth of a window that is long enough to have samples there."""
        width = (end - start) / 10
        tenths = (self._rss(name, start + n * width, start + (n + 1) * width) for n in range(10))
        return tuple(int(statistics.median(each)) for each in tenths if each)

    def _rss(self, name: str, start: float, end: float) -> list[int]:
        return [s.usage[name].rss for s in self if name in s.usage and start <= s.at <= end]


@contextmanager
def watched(processes: Mapping[str, int]) -> Iterator[Samples]:
    """Sample the processes, by name, for the length of the block."""
    samples, ended = Samples(), threading.Event()

    def watch() -> None:
        while not ended.is_set():
            samples.append(_sample(processes))
            ended.wait(_INTERVAL_SECONDS)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield samples
    finally:
        ended.set()
        thread.join()


def _sample(processes: Mapping[str, int]) -> Sample:
    found = {MACHINE: machine()}
    for name, pid in processes.items():
        with suppress(OSError):
            found[name] = usage(pid)
    return Sample(time.time(), found)
