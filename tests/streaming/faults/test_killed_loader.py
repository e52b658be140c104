"""SIGKILL of a loader at every step, and a COMMIT whose outcome is not known."""

import pytest

from streaming.loading.load_batch import Step

BAD = 10
GOOD = [number for number in range(400) if number % 40 != 7]


@pytest.fixture
def filled(broker, prices, message):
    """400 messages in one partition, every fortieth of them bad."""
    broker.put(
        prices, [b"bad" if number % 40 == 7 else message(prices, number) for number in range(400)]
    )
    return prices


@pytest.mark.parametrize("step", list(Step))
def test_loader_killed_at_any_step_goes_on_where_it_was(
    kafka, filled, start_loader, all_arrived, ask, books_balance, step
) -> None:
    loader = start_loader(kafka, [filled], until_caught_up=True, step=step, nth=3, signal="SIGKILL")
    assert loader.wait() == -9
    books_balance()
    assert 0 < ask("select next_offset from streaming.stream_progress")[0][0] < 400
    all_arrived(kafka, filled, GOOD, BAD)


@pytest.mark.parametrize("arrives", [True, False], ids=["reply_lost", "commit_lost"])
def test_commit_without_an_answer_neither_loses_nor_doubles(
    configured_kafka,
    configured_broker,
    prices,
    message,
    database_proxy,
    proxied_database,
    load,
    all_arrived,
    arrives,
) -> None:
    """Three of eight batches: Postgres commits and nobody hears of it, or it is never asked."""
    configured_broker.put(prices, [message(prices, number) for number in range(400)])
    steps, lost = [], []

    def loses_answer(piece: bytes) -> bool:
        is_of_batch = bool(steps) and steps[-1] == Step.BEFORE_COMMIT
        if not is_of_batch or b"COMMIT\0" not in piece or len(lost) >= 3:
            return False
        lost.append(piece)
        if not arrives:
            database_proxy.cut()
        return arrives

    database_proxy.loses_answer = loses_answer
    load(
        configured_kafka,
        [prices],
        at=proxied_database,
        batch_messages=50,
        on_step=steps.append,
    )
    assert len(lost) == 3
    all_arrived(configured_kafka, prices, range(400))
