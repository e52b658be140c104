"""Series of a value a minute in which nothing is odd, of many kinds."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

DAY = 1440
SOME_DAYS = 14
KINDS = (
    "rare", "rare exponential", "mostly zero", "mostly zero exponential", "mostly zero lognormal",
    "seasonal counts", "level", "seasonal level", "walk", "heavy tails",
)  # fmt: skip


def minutes_of(days: int) -> Floats:
    """Seconds since 1970 of every minute of so many days, from a Monday on."""
    return 1_575_244_800.0 + 60.0 * np.arange(days * DAY)


def noise(kind: str, seed: int, days: int, *, series: int = 1) -> Floats:
    """Values (minutes, series) of one of `KINDS`."""
    draw = np.random.default_rng(seed)
    shape = (days * DAY, series)
    wave = np.sin(np.arange(days * DAY) / DAY * 2 * np.pi)[:, None]
    rare, often = draw.random(shape) < 0.002, draw.random(shape) < 0.1
    made = {
        "rare": lambda: 100.0 * rare,
        "rare exponential": lambda: rare * draw.exponential(50.0, shape),
        "mostly zero": lambda: 100.0 * often,
        "mostly zero exponential": lambda: often * draw.exponential(50.0, shape),
        "mostly zero lognormal": lambda: often * draw.lognormal(3.0, 1.0, shape),
        "seasonal counts": lambda: 30.0 * draw.poisson(0.2 + 0.19 * wave, shape),
        "level": lambda: draw.normal(0.0, 1.0, shape),
        "seasonal level": lambda: 10.0 + 9.0 * wave + draw.normal(0.0, 1.0, shape),
        "walk": lambda: draw.normal(0.0, 1.0, shape).cumsum(axis=0),
        "heavy tails": lambda: draw.standard_t(3, shape),
    }
    values: Floats = made[kind]()
    return values
