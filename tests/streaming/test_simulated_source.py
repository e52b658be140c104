"""Simulated time: where it goes on, how fast it passes, and where it ends."""

import json
import logging
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.contract import Contract, load_contracts
from streaming.messages.codec import Codec, Rejection
from streaming.polling import StreamOptions, poll_interval, source_of
from streaming.simulators.arrivals import END, START
from streaming.sources import Cursor, Event, Poll
from streaming.sources.account_simulator import SIMULATION as BANK
from streaming.sources.misbehaving import MisbehavingSource, Misbehaviour
from streaming.sources.pos_simulator import SIMULATION as SHOP
from streaming.sources.simulated import SimulatedSource, Simulation, Volume

STREAMS = [(SHOP, "transactions"), (SHOP, "refunds"), (BANK, "account-transactions")]
CONTRACTS = {each.stream: each for each in load_contracts()}


def _source(simulation: Simulation, stream: str, **changes) -> SimulatedSource:
    arguments = {"volume": Volume(600.0), "seed": 2019, "paced": False, **changes}
    return SimulatedSource(simulation, stream, arguments.pop("volume"), **arguments)


def _until_end(source, cursor: Cursor | None = None) -> list[Event]:
    events: list[Event] = []
    while (poll := source.poll(cursor)).cursor != cursor:
        events += poll.events
        cursor = poll.cursor
    assert poll.events == []
    return events


@pytest.mark.parametrize(("simulation", "stream"), STREAMS)
def test_events_keep_their_contract_and_have_ids_of_their_own(simulation, stream) -> None:
    contract = CONTRACTS[stream]
    events = _until_end(_source(simulation, stream))
    codec = Codec(contract)
    times = [codec.copy_line(event.value)[1] for event in events]
    assert START <= min(times) <= max(times) <= END
    assert len({json.loads(event.value)[contract.key] for event in events}) == len(events)
    per_day = {"transactions": 1500, "refunds": 150, "account-transactions": 500}[stream]
    assert 0.9 <= len(events) / 30 / per_day <= 1.1


@settings(max_examples=6, deadline=None)
@given(days=st.floats(15, 29.9), step=st.floats(500, 30_000))
def test_a_restart_anywhere_tells_the_same_events(days: float, step: float) -> None:
    cursor = {"position": {"until": (START + timedelta(days=days)).isoformat()}}
    clock = [0.0]
    paced = _source(SHOP, "refunds", paced=True, clock=lambda: clock[0], volume=Volume(step))
    rest = _until_end(_source(SHOP, "refunds"), cursor)
    told: list[Event] = []
    while cursor["position"]["until"] < END.isoformat():
        # A restart loses everything but the cursor, as JSON.
        cursor = json.loads(json.dumps(cursor))
        poll = paced.poll(cursor)
        told += poll.events
        cursor = poll.cursor
        clock[0] += 40
    assert told[: len(rest)] == rest


def test_other_seeds_are_other_worlds() -> None:
    events = [_source(SHOP, "transactions", seed=seed).poll(None).events for seed in (1, 2, 1)]
    assert events[0] == events[2] != events[1]


def test_paced_time_passes_at_its_speed_and_goes_past_the_window() -> None:
    clock = [100.0]
    source = _source(SHOP, "transactions", paced=True, clock=lambda: clock[0])
    cursor: Cursor | None = {"position": {"until": (END - timedelta(minutes=20)).isoformat()}}
    for _ in range(10):
        clock[0] += 1.0
        cursor = source.poll(cursor).cursor
    # A tick before the first poll belongs to it.
    assert cursor["position"]["until"] == (END + timedelta(minutes=80)).isoformat()


@pytest.mark.parametrize(("simulation", "stream"), STREAMS)
@pytest.mark.parametrize("speed", [1.0, 86_400.0])
def test_rate_is_held_by_night_too(simulation, stream, speed) -> None:
    clock = [0.0]
    volume = Volume(speed, rate=5000.0)
    source = _source(simulation, stream, paced=True, volume=volume, clock=lambda: clock[0])
    # A week after the opening refunds of all waits have begun.
    cursor: Cursor = {"position": {"until": (START + timedelta(days=8)).isoformat()}}
    told = []
    for _ in range(20):
        clock[0] += 0.2
        poll = source.poll(cursor)
        told.append(len(poll.events))
        cursor = poll.cursor
    assert sum(told) == pytest.approx(20_000, rel=0.12)
    assert max(told) < 2 * 1000
    assert min(told) > 1000 / 2


def test_break_is_made_up_for_and_a_long_one_is_not() -> None:
    clock = [0.0]
    source = _source(BANK, "account-transactions", paced=True, clock=lambda: clock[0])
    cursor = source.poll(None).cursor
    clock[0] += 30
    cursor = source.poll(cursor).cursor
    assert cursor["position"]["until"] == (START + timedelta(seconds=31 * 600)).isoformat()
    clock[0] += 3600
    cursor = source.poll(cursor).cursor
    assert cursor["position"]["until"] == (START + timedelta(seconds=32 * 600)).isoformat()


def test_poll_that_was_not_delivered_is_told_again() -> None:
    clock = [0.0]
    source = _source(SHOP, "transactions", paced=True, clock=lambda: clock[0])
    cursor = source.poll(None).cursor
    clock[0] += 20
    first = source.poll(cursor)
    assert source.poll(cursor) == first
    clock[0] += 20
    assert source.poll(cursor).events[: len(first.events)] == first.events


def test_simulated_time_never_passes_the_real_time() -> None:
    today = datetime.now(UTC)
    cursor = {"position": {"until": (today - timedelta(minutes=3)).isoformat()}}
    source = _source(SHOP, "transactions", paced=True, now=lambda: today)
    assert source.poll(cursor).cursor == {"position": {"until": today.isoformat()}}
    again = source.poll(source.poll(cursor).cursor)
    assert again == Poll([], {"position": {"until": today.isoformat()}})


@pytest.mark.parametrize("until", ["2999-01-01T00:00:00+00:00", "yesterday", None])
def test_cursor_that_cannot_be_right_starts_anew_and_is_told(until, caplog) -> None:
    source = _source(SHOP, "transactions")
    with caplog.at_level(logging.WARNING):
        assert source.poll({"position": {"until": until}}) == _source(SHOP, "transactions").poll(
            None
        )
    assert "starts anew" in caplog.text


def test_busy_streams_are_told_more_often(tmp_path) -> None:
    assert Volume(600.0).tick_seconds(SHOP.streams["transactions"]) == 1.0
    assert Volume(600.0, 10_000.0).tick_seconds(SHOP.streams["transactions"]) == 0.2
    options = StreamOptions(tmp_path, simulation_speed=6000.0)
    assert poll_interval(CONTRACTS["transactions"], options, live=True) == 0.2


@pytest.mark.parametrize("stream", ["transactions", "refunds", "account-transactions"])
def test_there_is_no_live_shop_or_bank(stream, tmp_path) -> None:
    source = source_of(
        CONTRACTS[stream], {}, StreamOptions(tmp_path), live=True, paced=False, stop=None
    )
    assert isinstance(source, SimulatedSource)
    assert source.name == CONTRACTS[stream].source


def _verdicts(contract: Contract, events: list[Event]) -> Counter[str]:
    codec, found = Codec(contract), Counter()
    for event in events:
        try:
            codec.check_version(event.headers)
            codec.copy_line(event.value)
            found["good"] += 1
        except Rejection as rejection:
            found[rejection.code] += 1
    return found


def test_misbehaving_source_adds_and_leaves_nothing_out() -> None:
    contract = CONTRACTS["transactions"]
    plain = _source(SHOP, "transactions").poll(None).events
    source = MisbehavingSource(
        _source(SHOP, "transactions"), contract, Misbehaviour(duplicates=0.1, bad=0.2)
    )
    told = source.poll(None)
    assert source.poll(None) == told
    values = [each.value for each in plain]
    known = set(values)
    assert list(dict.fromkeys(each.value for each in told.events if each.value in known)) == values
    verdicts = _verdicts(contract, told.events)
    twice = verdicts["good"] - len(plain)
    bad = sum(verdicts.values()) - verdicts["good"]
    assert 0.05 < twice / len(plain) < 0.15
    assert 0.15 < bad / len(plain) < 0.25
    assert len(verdicts) >= 8
