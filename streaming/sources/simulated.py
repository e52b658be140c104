"""One source for all simulators: which time of the invented world comes next, and how fast.

What differs from simulator to simulator is a `Simulation`: its streams, and the events of each
between two moments.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from streaming.simulators.arrivals import END, SECOND, START, microseconds
from streaming.simulators.counter_random import Floats, Integers
from streaming.sources.interface import Cursor, Event, Poll, lies_ahead
from streaming.sources.simulated_time import SimulatedTime

_logger = logging.getLogger(__name__)

_DAY_SECONDS = 86_400.0
_DAY_US = 86_400 * SECOND

# A poll tells at most a day, and about so many events: enough to be quick, and held in memory.
_MOST_EVENTS = 20_000

# Real seconds between two polls: more often when much is to be told.
_TICK_SECONDS, _BUSY_TICK_SECONDS = 1.0, 0.2
_BUSY_EVENTS_A_SECOND = 100.0


@dataclass(frozen=True)
class SimulatedStream:
    """`between(seed, events_a_day, first, last)` are the events that arrive in that time.

    `first` is included, `last` is not; both are microseconds since 1970. More events a day hold
    all of fewer. `events_a_day` is the mean number when none is asked for, and
    `intensity(seed, slots)` says how many times the mean each minute has.
    """

    events_a_day: float
    between: Callable[[int, float, int, int], list[Event]]
    intensity: Callable[[int, Integers], Floats]


@dataclass(frozen=True)
class Simulation:
    """An invented world; `streams` by the names of their contracts."""

    name: str
    streams: Mapping[str, SimulatedStream]
    start: datetime = START
    end: datetime = END


@dataclass(frozen=True)
class Volume:
    """How much of the world is simulated.

    `rate` is events in a real second; without it the stream's own number of events a simulated
    day counts. `speed` is simulated seconds in a real one, a mean when there is a rate.
    """

    speed: float
    rate: float | None = None

    def events_a_day(self, stream: SimulatedStream) -> float:
        if self.rate is None:
            return stream.events_a_day
        return self.rate / self.speed * _DAY_SECONDS

    def tick_seconds(self, stream: SimulatedStream) -> float:
        """Real seconds between two polls."""
        events_a_second = self.events_a_day(stream) * self.speed / _DAY_SECONDS
        return _BUSY_TICK_SECONDS if events_a_second >= _BUSY_EVENTS_A_SECOND else _TICK_SECONDS


class SimulatedSource:
    """A Source that tells one stream of a simulation.

    With `paced` simulated time passes at the volume's speed and never ends; without, each poll
    tells a large piece, until the end of the simulation. It never passes the real time.
    """

    def __init__(
        self,
        simulation: Simulation,
        stream: str,
        volume: Volume,
        *,
        seed: int,
        paced: bool,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ):
        self._simulation = simulation
        self._stream = simulation.streams[stream]
        self._seed = seed
        self._events_a_day = volume.events_a_day(self._stream)
        self._now = now
        self._time = self._simulated_time(volume, clock) if paced else None

    @property
    def name(self) -> str:
        return self._simulation.name

    def poll(self, cursor: Cursor | None) -> Poll:
        """The events that arrived since the cursor; never raises."""
        first = self._position(cursor)
        last = min(self._target(first), microseconds(self._now()))
        if last <= first:
            return Poll([], cursor or _cursor(first))
        events = self._stream.between(self._seed, self._events_a_day, first, last)
        return Poll(events, _cursor(last))

    def _simulated_time(self, volume: Volume, clock: Callable[[], float]) -> SimulatedTime:
        # Whoever asks for a rate wants it by night too.
        intensity = None if volume.rate is None else partial(self._stream.intensity, self._seed)
        return SimulatedTime(volume.speed, volume.tick_seconds(self._stream), intensity, clock)

    def _position(self, cursor: Cursor | None) -> int:
        start = self._simulation.start
        if cursor is None:
            return microseconds(start)
        try:
            until = datetime.fromisoformat(cursor["position"]["until"])
            if not lies_ahead(until):
                return microseconds(max(until, start))
        except (KeyError, TypeError, ValueError, OverflowError):
            pass
        _logger.warning("the cursor of %s cannot be right, so it starts anew", self.name)
        return microseconds(start)

    def _target(self, position: int) -> int:
        most = _DAY_SECONDS * _MOST_EVENTS / self._events_a_day
        if self._time is None:
            longest = min(_DAY_US, int(most * SECOND))
            return min(position + longest, microseconds(self._simulation.end))
        return self._time.target(position, _DAY_US, most)


def _cursor(until: int) -> Cursor:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=until)
    return {"position": {"until": moment.isoformat()}}
