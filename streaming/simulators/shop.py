"""An invented chain of three shops: baskets of sales as a function of time, seed and volume."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from streaming.simulators.anomalies import planted_factors
from streaming.simulators.arrivals import (
    SECOND,
    START_US,
    Arrivals,
    Flow,
    Rhythm,
    Rows,
    lateness,
)
from streaming.simulators.counter_random import Bits, Floats, Integers, bits, choice, key_of, places
from streaming.simulators.counter_random import uniform as drawn
from streaming.simulators.shoppers import home_stores, shoppers, tastes

PRODUCTS = ("P001", "P002", "P003", "P004", "P005", "P006")
STORES = ("S001", "S002", "S003")

# Laptop, smartphone, tablet, headphones, phone case, USB-C charger: as in dbt's pos_products.
_BASE_CENTS = np.array([119_900, 79_900, 44_900, 14_900, 2_900, 3_900])

# What a basket is bought for, from dear to cheap, and what else goes with it.
_LEAD_SHARES = np.array([0.14, 0.28, 0.22, 0.18, 0.12, 0.06])
_ALSO_BOUGHT = np.array(
    [
        [1.00, 0.00, 0.00, 0.50, 0.00, 0.50],
        [0.00, 1.00, 0.00, 0.06, 0.60, 0.58],
        [0.00, 0.00, 1.00, 0.08, 0.00, 0.12],
        [0.00, 0.00, 0.00, 1.00, 0.03, 0.03],
        [0.00, 0.00, 0.00, 0.02, 1.00, 0.04],
        [0.00, 0.00, 0.00, 0.02, 0.04, 1.00],
    ]
)
# Measured over customers of all tastes: sales in a mean basket.
SALES_A_BASKET = 1.52

_DISCOUNTS = np.array([0.0, 0.05, 0.10, 0.20])
_DISCOUNT_SHARES = np.array([0.65, 0.15, 0.12, 0.08])

_AWAY_SHARE = 0.1
_SECONDS_BETWEEN_SALES = 4

# Open from 9 to midnight; few night buyers. The weekend of the cities is Friday and Saturday.
_RHYTHM = Rhythm(
    hours=(0.25, 0.12, 0.06, 0.04, 0.04, 0.05, 0.1, 0.25, 0.5, 0.9, 1.2, 1.4,
           1.3, 1.1, 1.0, 1.1, 1.4, 1.7, 1.9, 2.1, 2.2, 2.0, 1.4, 0.7),
    weekdays=(0.9, 0.9, 0.95, 1.15, 1.2, 1.15, 0.85),
)  # fmt: skip

# Fields of a basket's place; 0 is its moment, and the customer takes three.
_CUSTOMER, _LEAD, _AWAY, _STORE, _LATE, _LATE_BY, _ALSO = 1, 4, 5, 6, 7, 8, 10
# Fields of a sale's place.
_ID_HIGH, _ID_LOW, _DISCOUNT = 0, 1, 2


@dataclass(frozen=True)
class Sales:
    """Sales, one a row: indexes of product and store, number of the customer, amount in cents.

    `number` is that of the basket in its slot.
    `moment` is when it arrives and `sold` when it was sold, in microseconds; both halves of the
    id are 64 bits.
    """

    slot: Integers
    number: Integers
    place: Bits
    product: Integers
    store: Integers
    customer: Integers
    cents: Integers
    moment: Integers
    sold: Integers

    def __len__(self) -> int:
        return len(self.slot)

    def ids(self) -> list[str]:
        return hex_ids(self.place, _ID_HIGH, _ID_LOW)

    def only(self, wanted: Rows) -> "Sales":
        """The rows that a mask or a list of indexes chooses, in its order."""
        return Sales(*(getattr(self, name)[wanted] for name in self.__dataclass_fields__))


def sales_flow(seed: int, sales_a_day: float) -> Flow:
    """The baskets behind so many sales on a mean day."""
    return Flow(seed, "shop baskets", sales_a_day / SALES_A_BASKET, partial(sales_intensity, seed))


def sales_intensity(seed: int, slots: Integers) -> Floats:
    """How many times the mean number of sales each minute has."""
    return _RHYTHM.at(slots) * planted_factors(seed, slots)


def sales_between(seed: int, sales_a_day: float, first: int, last: int) -> Sales:
    """Sales that arrive at or after `first` and before `last` (microseconds), oldest first."""
    return sales_of(seed, sales_flow(seed, sales_a_day).between(first, last))


def sales_of(seed: int, baskets: Arrivals) -> Sales:
    """All sales of each basket."""
    place = baskets.place
    customers = shoppers(seed, baskets.slot, place, _CUSTOMER)
    basket, product = _contents(seed, place, customers)
    sale = places(key_of(seed, "sales"), place[basket].view(np.int64), product)
    late = lateness(drawn(place, _LATE), drawn(place, _LATE_BY))
    to_end = (len(PRODUCTS) - 1 - product) * _SECONDS_BETWEEN_SALES * SECOND
    moment = baskets.moment[basket]
    return Sales(
        slot=baskets.slot[basket],
        number=baskets.number[basket],
        place=sale,
        product=product,
        store=_stores(seed, place, customers)[basket],
        customer=customers[basket],
        cents=_cents(sale, product),
        moment=moment,
        # Nothing was sold before the simulated world began.
        sold=np.maximum(moment - late[basket] - to_end, START_US),
    )


def hex_ids(place: Bits, high: int, low: int) -> list[str]:
    """32 hex digits for each place."""
    pairs = zip(bits(place, high).tolist(), bits(place, low).tolist(), strict=True)
    return [f"{first:016x}{second:016x}" for first, second in pairs]


def _contents(seed: int, place: Bits, customers: Integers) -> tuple[Integers, Integers]:
    """(row of the basket, product) of each sale, basket by basket."""
    # A power above 1 moves draws towards 0, where the dear products are.
    draw = drawn(place, _LEAD) ** tastes(seed, customers)
    chance = _ALSO_BOUGHT[choice(draw, _LEAD_SHARES)]
    columns = [drawn(place, _ALSO + each) for each in range(len(PRODUCTS))]
    basket, product = np.nonzero(np.stack(columns, axis=1) < chance)
    return basket, product


def _stores(seed: int, place: Bits, customers: Integers) -> Integers:
    elsewhere = (drawn(place, _STORE) * len(STORES)).astype(np.int64)
    return np.where(drawn(place, _AWAY) < _AWAY_SHARE, elsewhere, home_stores(seed, customers))


def _cents(sale: Bits, product: Integers) -> Integers:
    discount = _DISCOUNTS[choice(drawn(sale, _DISCOUNT), _DISCOUNT_SHARES)]
    cents: Integers = np.rint(_BASE_CENTS[product] * (1 - discount)).astype(np.int64)
    return cents
