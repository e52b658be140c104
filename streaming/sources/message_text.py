"""Columns of a simulation as they are written in a message."""

import numpy as np

from streaming.simulators.counter_random import Integers


def dollars(cents: Integers) -> list[str]:
    """Whole cents as JSON numbers, without a detour over binary fractions."""
    signs = np.where(cents < 0, "-", "").tolist()
    whole, rest = np.divmod(np.abs(cents), 100)
    rows = zip(signs, whole.tolist(), rest.tolist(), strict=True)
    return [f"{sign}{dollars}.{part:02d}" for sign, dollars, part in rows]


def timestamps(microseconds: Integers) -> list[str]:
    """Microseconds since 1970 as RFC 3339 in UTC, to the millisecond below."""
    moments = (microseconds // 1000).astype("datetime64[ms]")
    return [f"{text}Z" for text in np.datetime_as_string(moments).tolist()]
