"""The invented bank: movements of its customers' accounts."""

from streaming.simulators.accounts import account_id, movements_between, movements_intensity
from streaming.sources.interface import Event
from streaming.sources.message_text import dollars, timestamps
from streaming.sources.simulated import SimulatedStream, Simulation

_MOVEMENT = (
    '{"transaction_id":"%s","customer_id":"%s","transaction_amt":%s,"transaction_time":"%s"}'
)


def _movements(seed: int, movements_a_day: float, first: int, last: int) -> list[Event]:
    found = movements_between(seed, movements_a_day, first, last)
    rows = zip(
        found.ids(),
        [account_id(each) for each in found.customer.tolist()],
        dollars(found.cents),
        timestamps(found.booked),
        strict=True,
    )
    return [Event(row[1], (_MOVEMENT % row).encode()) for row in rows]


SIMULATION = Simulation(
    name="account_simulator",
    streams={"account-transactions": SimulatedStream(500.0, _movements, movements_intensity)},
)
