"""Two owners of one partition: a loader stopped by SIGSTOP, and the one that took over."""

import signal

import pytest

from streaming.loading.load_batch import Step


# Before a transaction, in the middle of a statement, and between two.
@pytest.mark.parametrize("step", [Step.CONSUMED, Step.COPYING, Step.BEFORE_COMMIT])
def test_stopped_owner_writes_nothing_once_another_has_taken_over(
    configured_kafka,
    configured_broker,
    prices,
    message,
    start_loader,
    load,
    eventually,
    all_arrived,
    ask,
    step,
) -> None:
    configured_broker.put(prices, [message(prices, number) for number in range(300)])
    stopped = start_loader(
        configured_kafka, [prices], step=step, nth=2, signal="SIGSTOP", stall_seconds=1.0
    )
    eventually(lambda: stopped.is_stopped)
    assert ask("select next_offset from streaming.stream_progress where partition = 0") != [(300,)]
    load(configured_kafka, [prices], stall_seconds=1.0)
    [(epoch,)] = ask("select epoch from streaming.stream_progress where partition = 0")
    stopped.send(signal.SIGCONT)
    # It goes on, finds that the partition is not its own, and takes it when nothing moves there.
    claimed = "select epoch from streaming.stream_progress where partition = 0"
    eventually(lambda: ask(claimed)[0][0] > epoch)
    configured_broker.put(prices, [message(prices, number) for number in range(300, 350)])
    eventually(lambda: ask("select sum(next_offset) from streaming.stream_progress") == [(350,)])
    assert stopped.end() == 0
    all_arrived(configured_kafka, prices, range(350))


def test_member_stopped_past_its_session_is_replaced_and_joins_again(
    kafka, prices, start_loader, producing, eventually, loaded, all_arrived, ask
) -> None:
    with producing(kafka, prices) as production:
        # It may be stopped inside a transaction, which has to end before the other can take over.
        first = start_loader(kafka, [prices], in_group=True, stall_seconds=1.0)
        eventually(lambda: loaded(prices) > 20)
        first.send(signal.SIGSTOP)
        second = start_loader(kafka, [prices], in_group=True, stall_seconds=1.0)
        owners = "select distinct owner from streaming.stream_progress"
        known = ask(owners)
        eventually(lambda: ask(owners) and not set(ask(owners)) & set(known))
        first.send(signal.SIGCONT)
        eventually(lambda: len(ask(owners)) == 2, 60)
    assert (first.end(), second.end()) == (0, 0)
    all_arrived(kafka, prices, production.numbers)
