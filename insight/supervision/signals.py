"""Ctrl-C and SIGTERM as events: the first asks for a clean stop, a later one hurries it."""

import signal
import threading
import time
from dataclasses import dataclass, field
from queue import SimpleQueue
from types import FrameType

# `timeout` and shells with job control deliver one request twice.
_SAME_REQUEST_SECONDS = 0.5


@dataclass(frozen=True)
class StopRequest:
    """`stop`: let everything drain and end; `hurry`: do not wait any longer."""

    stop: threading.Event = field(default_factory=threading.Event)
    hurry: threading.Event = field(default_factory=threading.Event)


def stop_requested_by_signal() -> StopRequest:
    """A request that SIGTERM, SIGHUP and Ctrl-C make from now on. Call it from the main thread."""
    request = StopRequest()
    # Setting an event inside a handler deadlocks when the main thread is just taking its lock;
    # this queue is made for it.
    arrivals: SimpleQueue[float] = SimpleQueue()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        arrivals.put(time.monotonic())

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, on_signal)
    threading.Thread(target=_pass_on, args=(arrivals, request), daemon=True).start()
    return request


def _pass_on(arrivals: "SimpleQueue[float]", request: StopRequest) -> None:
    first = arrivals.get()
    request.stop.set()
    while arrivals.get() - first <= _SAME_REQUEST_SECONDS:
        pass
    request.hurry.set()
