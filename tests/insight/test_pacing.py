"""Work in the background."""

from collections.abc import Iterator

import pytest

from insight import pacing


class _Clock:
    """Seconds that pass by work and by rest."""

    def __init__(self) -> None:
        self.now = 0.0
        self.rested: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.rested.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    clock = _Clock()
    monkeypatch.setattr(pacing, "time", clock)
    return clock


def test_it_rests_after_each_piece_as_long_as_the_work_on_it_took(clock: _Clock) -> None:
    done = []
    for piece in pacing.at_half_speed([3.0, 0.5, 2.0]):
        clock.now += piece
        done.append(piece)
    assert done == [3.0, 0.5, 2.0]
    assert clock.rested == done


def test_pieces_are_fetched_when_their_turn_comes(clock: _Clock) -> None:
    fetched = []

    def pieces() -> Iterator[int]:
        for number in range(3):
            fetched.append(number)
            yield number

    paced = pacing.at_half_speed(pieces())
    assert next(paced) == 0
    assert fetched == [0]
    assert list(paced) == [1, 2]
