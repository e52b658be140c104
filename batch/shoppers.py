"""The customers of the generated shop and when each of them orders."""

from dataclasses import dataclass
from random import Random

YEAR_DAYS = 365
CUSTOMERS = 1_468
FIRST_CUSTOMER_ID = 12_346
CUSTOMER_ID_SPAN = 5_938

LOCATIONS = ("California", "Chicago", "New York", "New Jersey", "Washington DC")
LOCATION_SHARES = (31.6, 31.1, 22.1, 10.1, 5.1)
FEMALE_SHARE = 0.636
# How much a customer who still buys orders by month, January first. It grows as customers
# lapse, so that the shop's sales stay level, with a busy summer and December.
MONTH_TRAFFIC = (0.42, 0.42, 0.55, 0.62, 0.75, 0.75, 0.95, 1.2, 1.05, 1.3, 1.75, 4.0)


@dataclass(frozen=True)
class Behaviour:
    """How one natural group of customers buys.

    Orders of a customer are lognormal with this median and sigma. `lines` is the mean number of
    lines an order, `dear_share` the share of lines that are Nest devices, `pieces` multiplies
    quantities, and the last order lies `last_days` (from, to, most likely) before the year's end.
    """

    name: str
    share: float
    orders_median: float
    orders_sigma: float
    lines: float
    dear_share: float
    pieces: float
    last_days: tuple[int, int, int]


BEHAVIOURS = (
    Behaviour("champion", 0.12, 38, 0.66, 2.35, 0.36, 1.1, (-6, 64, 2)),
    Behaviour("loyal", 0.22, 19, 0.30, 2.2, 0.29, 1.0, (5, 160, 50)),
    Behaviour("occasional", 0.26, 4.0, 0.35, 2.0, 0.23, 0.8, (20, 190, 75)),
    Behaviour("lapsing", 0.30, 8.0, 0.45, 2.2, 0.32, 1.0, (215, 350, 290)),
    Behaviour("big_spender", 0.10, 3.0, 0.40, 6.0, 0.54, 2.7, (15, 330, 90)),
)


@dataclass(frozen=True)
class Shopper:
    """One customer; `order_days` counts from 0 for the first of January."""

    customer_id: str
    gender: str
    location: str
    tenure_months: int
    behaviour: Behaviour
    dear_share: float
    order_days: tuple[int, ...]


def build_shoppers(rng: Random, scale: int) -> list[Shopper]:
    """All customers, each with at least one order, in no particular order."""
    ids = rng.sample(
        range(FIRST_CUSTOMER_ID, FIRST_CUSTOMER_ID + CUSTOMER_ID_SPAN * scale), CUSTOMERS * scale
    )
    traffic = _cumulative_traffic()
    # Exact shares: with drawn ones, few champions more or less would move the shop's total a lot.
    groups = [group for group in BEHAVIOURS for _ in range(round(group.share * len(ids)))]
    groups += [BEHAVIOURS[-1]] * (len(ids) - len(groups))
    rng.shuffle(groups)
    return [
        _shopper(rng, str(number), group, traffic)
        for number, group in zip(ids, groups[: len(ids)], strict=True)
    ]


def _shopper(rng: Random, customer_id: str, group: Behaviour, traffic: list[float]) -> Shopper:
    return Shopper(
        customer_id=customer_id,
        gender="F" if rng.random() < FEMALE_SHARE else "M",
        location=rng.choices(LOCATIONS, LOCATION_SHARES)[0],
        tenure_months=rng.randint(2, 50),
        behaviour=group,
        dear_share=min(0.95, group.dear_share * rng.lognormvariate(-0.06, 0.35)),
        order_days=_order_days(rng, group, traffic),
    )


def _order_days(rng: Random, group: Behaviour, traffic: list[float]) -> tuple[int, ...]:
    low, high, mode = group.last_days
    last = YEAR_DAYS - 1 - max(0, round(rng.triangular(low, high, mode)))
    orders = max(1, round(group.orders_median * rng.lognormvariate(0.0, group.orders_sigma)))
    earlier = rng.choices(range(last + 1), cum_weights=traffic[: last + 1], k=orders - 1)
    return (*sorted(earlier), last)


def _cumulative_traffic() -> list[float]:
    total = 0.0
    cumulative = []
    for day in range(YEAR_DAYS):
        total += MONTH_TRAFFIC[day * 12 // YEAR_DAYS]
        cumulative.append(total)
    return cumulative
