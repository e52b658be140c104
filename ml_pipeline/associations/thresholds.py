"""What a rule must reach, as exact fractions."""

import math
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from insight.errors import InputError

Number = Fraction | Decimal | float | int | str


@dataclass(frozen=True)
class Thresholds:
    """Smallest support and confidence (shares of baskets) and lift of a rule, each inclusive.

    `count` is the smallest number of baskets behind a rule, whatever share of all they are.
    """

    support: Fraction
    confidence: Fraction
    lift: Fraction = Fraction(0)
    count: int = 1

    @classmethod
    def of(
        cls, *, support: Number, confidence: Number, lift: Number = 0, count: int = 1
    ) -> "Thresholds":
        """Thresholds as they are written: 0.1 is one tenth, not the binary number beside it.

        Raises InputError for a share outside of (0, 1], a negative lift, or what is no number.
        """
        if count < 1:
            raise InputError(
                f"the smallest number of baskets is {count}", next_step="Choose 1 or more"
            )
        return cls(_share("support", support), _share("confidence", confidence), _lift(lift), count)

    def least_count(self, basket_count: int) -> int:
        """In how many of so many baskets an itemset must be at least."""
        return max(self.count, math.ceil(self.support * basket_count))


def _share(name: str, value: Number) -> Fraction:
    share = _fraction(name, value)
    if not 0 < share <= 1:
        raise InputError(
            f"the smallest {name} is {value}, no share above 0 and up to 1",
            next_step="Write 1 % as 0.01",
        )
    return share


def _lift(value: Number) -> Fraction:
    lift = _fraction("lift", value)
    if lift < 0:
        raise InputError(
            f"the smallest lift is {value}, and no lift is below 0",
            next_step="Choose 0 for no limit, or 1.2 for 1.2 times as often as in all baskets",
        )
    return lift


def _fraction(name: str, value: Number) -> Fraction:
    try:
        # Through text: the float 0.1 is a little more than one tenth.
        return Fraction(value) if isinstance(value, Fraction) else Fraction(str(value))
    except ValueError:
        raise InputError(
            f"the smallest {name} is {value!r}, which is no number", next_step="Write it as 0.01"
        ) from None
