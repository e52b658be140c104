"""The sale lines of the generated shop, day by day."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import accumulate
from random import Random

from batch.catalogue import Product
from batch.categories import CATEGORIES
from batch.shoppers import YEAR_DAYS, Shopper

SALE_LINES = 52_924
FIRST_TRANSACTION_ID = 16_679
LARGEST_LINE_CENTS = 841_000
SHARED_TRANSACTION_SHARE = 0.04
DEAR_CATEGORIES = frozenset({"Nest", "Nest-Canada", "Nest-USA"})
COUPON_STATUSES = ("Clicked", "Used", "Not Used")
COUPON_CUMULATIVE_SHARES = (0.51, 0.85, 1.0)
DELIVERY_CHARGES = ("6", "6.5", "12.99", "19.99", "8.7")
DELIVERY_SHARES = (0.52, 0.24, 0.08, 0.07, 0.04)
RARE_DELIVERY = 0.05


@dataclass(frozen=True)
class Shelf:
    """Products to choose from with the running sum of how often each is sold."""

    products: list[Product]
    cumulative: list[float]


@dataclass(slots=True)
class Order:
    """One order of one customer on one day (0 is the first of January)."""

    day: int
    shopper: Shopper
    lines: int


def build_orders(rng: Random, shoppers: list[Shopper], lines: int) -> list[Order]:
    """All orders by day; together they have exactly `lines` lines."""
    orders = [
        Order(day, shopper, 1 + int(rng.expovariate(1.0) * (shopper.behaviour.lines - 0.5)))
        for shopper in shoppers
        for day in shopper.order_days
    ]
    _meet_line_count(rng, orders, lines)
    rng.shuffle(orders)
    orders.sort(key=lambda order: order.day)
    return orders


def _meet_line_count(rng: Random, orders: list[Order], lines: int) -> None:
    missing = lines - sum(order.lines for order in orders)
    step = 1 if missing > 0 else -1
    while missing:
        order = rng.choice(orders)
        if order.lines + step >= 1:
            order.lines += step
            missing -= step


def sale_lines(
    rng: Random, orders: list[Order], catalogue: dict[str, list[Product]]
) -> Iterator[tuple[str, ...]]:
    """The rows of the sales file, in the order of its published columns."""
    dear, cheap = _shelf(catalogue, dear=True), _shelf(catalogue, dear=False)
    dates = _sale_dates()
    transaction = FIRST_TRANSACTION_ID
    previous: Order | None = None
    delivery = ""
    for order in orders:
        if not _shares_transaction(rng, previous, order):
            transaction += rng.choice((1, 1, 1, 2, 3, 5))
            delivery = _delivery(rng, order.lines)
        for _ in range(order.lines):
            shelf = dear if rng.random() < order.shopper.dear_share else cheap
            product = rng.choices(shelf.products, cum_weights=shelf.cumulative)[0]
            price = _price_cents(rng, product, order.day)
            yield (
                order.shopper.customer_id,
                str(transaction),
                dates[order.day],
                product.sku,
                product.name,
                product.category,
                str(_quantity(rng, product, price, order.shopper.behaviour.pieces)),
                money(price),
                delivery,
                rng.choices(COUPON_STATUSES, cum_weights=COUPON_CUMULATIVE_SHARES)[0],
            )
        previous = order


def _shelf(catalogue: dict[str, list[Product]], *, dear: bool) -> Shelf:
    """Within a category the k-th best seller sells in proportion to 1 / (k + 2)."""
    products: list[Product] = []
    weights: list[float] = []
    for category in CATEGORIES:
        if (category.name in DEAR_CATEGORIES) is not dear:
            continue
        ranked = [1 / (rank + 2) for rank in range(category.products)]
        products += catalogue[category.name]
        weights += [category.line_share * weight / sum(ranked) for weight in ranked]
    return Shelf(products, list(accumulate(weights)))


def _shares_transaction(rng: Random, previous: Order | None, order: Order) -> bool:
    """The published data has transactions whose lines belong to two customers."""
    if previous is None or previous.day != order.day or previous.shopper is order.shopper:
        return False
    return rng.random() < SHARED_TRANSACTION_SHARE


def _sale_dates() -> list[str]:
    return [f"{date(2019, 1, 1) + timedelta(day):%Y%m%d}" for day in range(YEAR_DAYS)]


def _delivery(rng: Random, lines: int) -> str:
    if rng.random() < RARE_DELIVERY:
        return money(round(rng.lognormvariate(3.2, 0.7) * (1 + lines / 10) * 100))
    return rng.choices(DELIVERY_CHARGES, DELIVERY_SHARES)[0]


def _price_cents(rng: Random, product: Product, day: int) -> int:
    price = product.price_cents[day * 4 // YEAR_DAYS]
    return price if rng.random() < 0.8 else max(39, round(price * rng.uniform(0.78, 1.02)))


def _quantity(rng: Random, product: Product, price_cents: int, pieces: float) -> int:
    """Mostly one; a few lines are bulk orders. No line exceeds the published largest one."""
    draw = rng.random()
    dear = product.category in DEAR_CATEGORIES
    if draw < product.bulk_share * pieces:
        quantity = round(rng.lognormvariate(3.1, 0.9))
    elif draw < (0.86 if dear else 0.70):
        quantity = 1
    else:
        quantity = 2 + int(rng.expovariate(0.9 if dear else 0.45))
    return max(1, min(quantity, LARGEST_LINE_CENTS // price_cents))


def money(cents: int) -> str:
    """An amount as the published files write it: 6.5, 20, 153.71."""
    return f"{cents / 100:.2f}".rstrip("0").rstrip(".")
