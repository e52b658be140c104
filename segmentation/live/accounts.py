"""What is known of each account, in whole numbers, and how movements change it.

Sums, counts, a newest time and the newest few movements: none of them depends on the order in
which movements come, nor on how they are cut into batches.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# How many of the newest movements of a customer say what it does now.
RECENT = 8
# The time of a movement that never was; as a date it would lie before all calendars.
NEVER = -(2**62)

CENTS_A_DOLLAR = 100
# Of what is moved the bank is taken to earn 1 %. Value is kept in 1/100 of a cent, so that this
# share of a cent is a whole number.
VALUE_UNITS_A_CENT = 100
VALUE_UNITS_A_DOLLAR = CENTS_A_DOLLAR * VALUE_UNITS_A_CENT


@dataclass(frozen=True)
class Movements:
    """Movements in their order: whose, cents (above 0 is money in), and two times.

    `at` is when it was booked, `landed` when the loader wrote it; microseconds since 1970.
    """

    customer: Sequence[str]
    cents: Integers
    at: Integers
    landed: Integers

    def __len__(self) -> int:
        return len(self.customer)

    def part(self, start: int, stop: int) -> "Movements":
        """The movements from `start` up to, not including, `stop`."""
        return Movements(*(getattr(self, each.name)[start:stop] for each in fields(self)))


def no_movements(rows: int) -> tuple[Integers, Integers]:
    """Times and cents of the newest movements of customers that have none."""
    return np.full((rows, RECENT), NEVER), np.zeros((rows, RECENT), np.int64)


@dataclass
class Accounts:
    """One row a customer.

    `balance` and `moved` (the sum of the sizes of all movements) are cents; `value` is customer
    lifetime value in units of 1/100 of a cent; `last` is the newest movement, in microseconds since
    1970. `recent_at` and `recent_cents` are the newest movements, newest first: time and size.
    """

    balance: Integers
    movements: Integers
    moved: Integers
    value: Integers
    last: Integers
    recent_at: Integers
    recent_cents: Integers

    def __len__(self) -> int:
        return len(self.balance)


def empty_accounts(rows: int) -> Accounts:
    """Customers of whom nothing is known."""
    balance, movements, moved, value = (np.zeros(rows, np.int64) for _ in range(4))
    at, cents = no_movements(rows)
    return Accounts(balance, movements, moved, value, np.full(rows, NEVER), at, cents)


def with_more(accounts: Accounts, more: Accounts) -> Accounts:
    """The rows of both, one after the other."""
    joined = [
        np.concatenate([getattr(accounts, each.name), getattr(more, each.name)])
        for each in fields(Accounts)
    ]
    return Accounts(*joined)


def add_movements(accounts: Accounts, row: Integers, cents: Integers, at: Integers) -> Integers:
    """Add movements to the accounts, in place; the rows that they changed, ascending.

    `row` is the row of each movement's customer, the others are as in `Movements`.
    """
    size = np.abs(cents)
    np.add.at(accounts.balance, row, cents)
    np.add.at(accounts.movements, row, 1)
    np.add.at(accounts.moved, row, size)
    np.add.at(accounts.value, row, size)
    np.maximum.at(accounts.last, row, at)
    rows, owner = np.unique(row, return_inverse=True)
    accounts.recent_at[rows], accounts.recent_cents[rows] = newest_movements(
        accounts.recent_at[rows], accounts.recent_cents[rows], owner, at, size
    )
    touched: Integers = rows
    return touched


def newest_movements(
    known_at: Integers, known_cents: Integers, owner: Integers, at: Integers, cents: Integers
) -> tuple[Integers, Integers]:
    """The newest `RECENT` of known and new movements of each customer, newest first.

    `known_*` have shape (customers, RECENT); `owner` is the customer of each new one. Of movements
    at the same moment the larger counts as newer, so that the result does not depend on the order.
    """
    customers = len(known_at)
    owners = np.concatenate([np.repeat(np.arange(customers), RECENT), owner])
    times = np.concatenate([known_at.ravel(), at])
    sizes = np.concatenate([known_cents.ravel(), cents])
    order = np.lexsort((-sizes, -times, owners))
    counts = np.bincount(owners, minlength=customers)
    starts = np.cumsum(counts) - counts
    newest = order[starts[:, None] + np.arange(RECENT)]
    return times[newest], sizes[newest]


@dataclass
class CustomerNumbers:
    """The row of each customer: in the order of the start file, then as they first appear."""

    ids: list[str] = field(default_factory=list)
    _rows: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self._rows = {customer: row for row, customer in enumerate(self.ids)}

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, customers: Sequence[str]) -> Integers:
        """The row of each customer; one never seen gets the next."""
        for customer in customers:
            if customer not in self._rows:
                self._rows[customer] = len(self.ids)
                self.ids.append(customer)
        known = self._rows
        return np.array([known[customer] for customer in customers], np.int64)
