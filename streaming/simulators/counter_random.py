"""Random numbers that are functions of their place: no generator to carry from call to call.

What is drawn for number 7 of slot 12 does not depend on how many there are, so a larger volume
holds every event of a smaller one, and any moment can be simulated without those before it.
Counter-based as in Salmon et al. 2011, with the mixing step of SplitMix64 (Steele et al. 2014).
"""

import hashlib

import numpy as np
import numpy.typing as npt

Bits = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_TO_UNIT = 2.0**-53


def key_of(seed: int, purpose: str) -> int:
    """A key for `places`, different for each purpose."""
    digest = hashlib.sha256(f"{purpose}:{seed}".encode()).digest()
    return int.from_bytes(digest[:8], "little")


def places(key: int, *numbers: Integers) -> Bits:
    """One place for each row of the number columns, as 64 well-mixed bits."""
    state = np.full(1, key, dtype=np.uint64)
    for column in numbers:
        state = _mixed(state ^ (column.astype(np.uint64) * _GOLDEN))
    return state


def bits(place: Bits, field: int) -> Bits:
    """64 random bits of a field at each place."""
    return _mixed(place + np.uint64((field + 1) * int(_GOLDEN) % 2**64))


def uniform(place: Bits, field: int) -> Floats:
    """A number from 0 up to, not including, 1 for a field at each place."""
    return (bits(place, field) >> np.uint64(11)).astype(np.float64) * _TO_UNIT


def normal(place: Bits, field: int) -> Floats:
    """A standard normal number of a field at each place (Box and Muller 1958)."""
    radius = np.sqrt(-2.0 * np.log1p(-uniform(place, field)))
    turn: Floats = radius * np.cos(2.0 * np.pi * uniform(place, field + 1_000_000))
    return turn


def choice(draws: Floats, shares: Floats) -> Integers:
    """The index of the share that each draw falls into; shares sum to 1."""
    edges = np.cumsum(shares)[:-1]
    return np.searchsorted(edges, draws, side="right").astype(np.int64)


def _mixed(state: Bits) -> Bits:
    state = (state ^ (state >> np.uint64(30))) * _FIRST
    state = (state ^ (state >> np.uint64(27))) * _SECOND
    return state ^ (state >> np.uint64(31))
