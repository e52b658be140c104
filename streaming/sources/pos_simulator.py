"""Tills of the invented shops: their sales and their refunds."""

from streaming.simulators.refunds import (
    REASONS,
    REFUNDS_A_SALE,
    refunds_between,
    refunds_intensity,
)
from streaming.simulators.shop import PRODUCTS, STORES, sales_between, sales_intensity
from streaming.sources.interface import Event
from streaming.sources.message_text import dollars, timestamps
from streaming.sources.simulated import SimulatedStream, Simulation

_SALES_A_DAY = 1500.0

_SALE = (
    '{"transaction_id":"%s","product_id":"%s","store_id":"%s","customer_id":"%s",'
    '"amount":%s,"timestamp":"%s"}'
)
_REFUND = (
    '{"refund_id":"%s","original_transaction_id":"%s","product_id":"%s","store_id":"%s",'
    '"customer_id":"%s","refund_amount":%s,"reason":"%s","timestamp":"%s"}'
)


def _sales(seed: int, sales_a_day: float, first: int, last: int) -> list[Event]:
    sales = sales_between(seed, sales_a_day, first, last)
    customers = _customers(sales.customer.tolist())
    rows = zip(
        sales.ids(),
        [PRODUCTS[each] for each in sales.product.tolist()],
        [STORES[each] for each in sales.store.tolist()],
        customers,
        dollars(sales.cents),
        timestamps(sales.sold),
        strict=True,
    )
    return [Event(row[3], (_SALE % row).encode()) for row in rows]


def _refunds(seed: int, refunds_a_day: float, first: int, last: int) -> list[Event]:
    found = refunds_between(seed, refunds_a_day / REFUNDS_A_SALE, first, last)
    rows = zip(
        found.ids(),
        found.sale.ids(),
        [PRODUCTS[each] for each in found.sale.product.tolist()],
        [STORES[each] for each in found.sale.store.tolist()],
        _customers(found.sale.customer.tolist()),
        dollars(found.cents),
        [REASONS[each] for each in found.reason.tolist()],
        timestamps(found.refunded),
        strict=True,
    )
    return [Event(row[4], (_REFUND % row).encode()) for row in rows]


def _customers(numbers: list[int]) -> list[str]:
    return [f"C{each:04d}" for each in numbers]


SIMULATION = Simulation(
    name="pos_simulator",
    streams={
        "transactions": SimulatedStream(_SALES_A_DAY, _sales, sales_intensity),
        "refunds": SimulatedStream(_SALES_A_DAY * REFUNDS_A_SALE, _refunds, refunds_intensity),
    },
)
