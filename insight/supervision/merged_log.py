"""One log of many processes: each line whole and under the name of who wrote it."""

import threading
from collections.abc import Callable, Sequence
from typing import IO, TextIO

_COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)
_LONGEST_LINE_BYTES = 65_536
# A cursor movement or carriage return in a role's line would overwrite the lines of others.
_CONTROL = {code: "\ufffd" for code in [*range(32), *range(127, 160)] if code != 9}


class MergedLog:
    """Lines of several roles on one stream, from any number of threads.

    `on_closed` is called once when nobody reads the stream any more.
    """

    def __init__(
        self,
        stream: TextIO,
        names: Sequence[str],
        *,
        colour: bool = False,
        on_closed: Callable[[], None] = lambda: None,
    ):
        self._stream = stream
        self._width = max((len(name) for name in names), default=0)
        self._colours = (
            {name: _COLOURS[index % len(_COLOURS)] for index, name in enumerate(names)}
            if colour
            else {}
        )
        self._on_closed = on_closed
        self._is_open = True
        self._lock = threading.Lock()

    def write(self, name: str, text: str) -> None:
        """One line; trailing blanks go, as a log handler pads its lines to the terminal."""
        line = f"{self._prefix(name)} {text.rstrip().translate(_CONTROL)}".rstrip() + "\n"
        with self._lock:
            closes = self._is_open and not self._is_written(line)
            self._is_open = self._is_open and not closes
        if closes:
            self._on_closed()

    def _is_written(self, line: str) -> bool:
        try:
            self._stream.write(line)
            self._stream.flush()
        except OSError:
            return False
        return True

    def follow(self, name: str, output: IO[bytes]) -> None:
        """Write every line of `output` until its end, a last one without line break included."""
        with output:
            for line in iter(lambda: output.readline(_LONGEST_LINE_BYTES), b""):
                self.write(name, line.decode(errors="replace"))

    def _prefix(self, name: str) -> str:
        prefix = f"{name:<{self._width}} |"
        colour = self._colours.get(name)
        return f"\x1b[{colour}m{prefix}\x1b[0m" if colour else prefix
