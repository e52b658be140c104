"""Invented customers of the simulated bank, as of the day on which its movements begin.

Their past fits their kind, and the movements of `streaming.simulators.accounts` carry on from it.
"""

import csv
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt

from segmentation.live.start_file import COLUMNS
from streaming.simulators.accounts import CUSTOMERS, KINDS, account_id, planted_kinds
from streaming.simulators.arrivals import START
from streaming.simulators.counter_random import (
    Bits,
    Floats,
    Integers,
    key_of,
    normal,
    places,
    uniform,
)

# By kind, in the order of KINDS. Median size in dollars; movements in 30 days; the fewest and most
# days of silence; medians of balance, income and debt in dollars.
_SIZE = np.array([3200.0, 55.0, 260.0])
_PACE = np.array([75.0, 62.0, 3.0])
_SILENCE = np.array([[0.0, 1.5], [0.0, 1.5], [38.0, 54.0]])
_BALANCE = np.array([60_000.0, 1_500.0, 4_000.0])
_INCOME = np.array([160_000.0, 42_000.0, 55_000.0])
_DEBT = np.array([30_000.0, 6_000.0, 9_000.0])
_DEFAULT_SHARE = np.array([0.01, 0.04, 0.12])
_ENGAGEMENT = np.array([75.0, 60.0, 25.0])
_PRODUCTS = np.array([4.0, 2.0, 1.0])
_EARNED_SHARE = 0.01

_SIZES, _PACES, _SILENCES, _BALANCES, _INCOMES, _DEBTS, _TENURES, _DEFAULTS, _CLICKS, _OWNED = (
    range(10)
)


def write_sample(path: Path, seed: int) -> None:
    """Write the file of customers that goes with the simulator's movements."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_text(sample_csv(seed))
    part.replace(path)


def sample_csv(seed: int, customers: int = CUSTOMERS) -> str:
    """The file's text. Those beyond the simulator's customers have kinds in turn."""
    place = places(key_of(seed, "start of accounts"), np.arange(customers))
    kind = _kinds(seed, customers)
    size = _SIZE[kind] * np.exp(0.15 * normal(place, _SIZES))
    pace = _PACE[kind] * np.exp(0.15 * normal(place, _PACES))
    tenure = 6 + np.floor(114 * uniform(place, _TENURES))
    movements = np.maximum(np.rint(pace * tenure), 1)
    low, high = _SILENCE[kind].T
    silence = low + (high - low) * uniform(place, _SILENCES)
    columns = [
        [account_id(number + 1) for number in range(customers)],
        _money(_INCOME[kind], place, _INCOMES),
        _money(_BALANCE[kind], place, _BALANCES),
        _texts(_EARNED_SHARE * size * movements, 2),
        _money(_DEBT[kind], place, _DEBTS),
        _texts(tenure, 0),
        _texts(uniform(place, _DEFAULTS) < _DEFAULT_SHARE[kind], 0),
        _texts(silence, 3),
        _texts(size, 2),
        _texts(movements, 0),
        _texts(np.clip(_ENGAGEMENT[kind] + 10 * normal(place, _CLICKS), 0, 100), 1),
        _texts(np.maximum(np.rint(_PRODUCTS[kind] + normal(place, _OWNED)), 1), 0),
        _texts(pace, 2),
        [START.isoformat()] * customers,
    ]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(zip(*columns, strict=True))
    return text.getvalue()


def _kinds(seed: int, customers: int) -> Integers:
    planted = planted_kinds(seed, START)
    known = [KINDS.index(planted[account_id(number + 1)]) for number in range(CUSTOMERS)]
    return np.resize(np.array(known, np.int64), customers)


def _money(median: Floats, place: Bits, field: int) -> list[str]:
    return _texts(median * np.exp(0.4 * normal(place, field)), 2)


def _texts(values: Floats | npt.NDArray[np.bool_], digits: int) -> list[str]:
    return [f"{each:.{digits}f}" for each in values.astype(float).tolist()]
