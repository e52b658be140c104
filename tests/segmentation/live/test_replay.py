"""Live segments on a real Postgres: killed anywhere, cut anyhow, the state is the same."""

import threading
from decimal import Decimal
from pathlib import Path

import pytest
from account_movements import movement, simulated

from insight.database import connect
from insight.errors import InputError, IntegrityError, ServiceError
from segmentation.live.order import Place, horizon, next_spans
from segmentation.live.run import LiveOptions, Start, Step, run_live_segments
from streaming.contract import load_contracts
from streaming.operating.quarantine import Resolution
from streaming.operating.replay import replay

_FIRST_MOMENTS = (Step.STARTING, Step.STARTED)


@pytest.mark.parametrize("step", list(Step))
def test_killed_at_any_step_it_goes_on_to_the_same_bits(
    loader, segment, killed_at, everything, step
) -> None:
    loader.land_all(simulated(2))
    assert killed_at(step, 1 if step in _FIRST_MOMENTS else 4) == -9
    assert segment().movements > 0
    after_kill = everything()
    segment(over=True, rows=10_000)
    assert everything() == after_kill


def test_how_loader_and_reader_take_turns_makes_no_difference(
    loader, segment, everything, ask
) -> None:
    bodies = simulated(4)
    for number, start in enumerate(range(0, len(bodies), 400)):
        loader.land_all(bodies[start : start + 400], piece=53)
        segment(rows=(7, 90, 1_000)[number % 3])
    in_turns = everything()
    assert ask("select events from segmentation.live_state") == [(len(bodies),)]
    segment(over=True, rows=333)
    assert everything() == in_turns


def test_whose_rows_a_transaction_has_changed_is_noted(loader, segment, ask) -> None:
    segment()
    loader.land(0, [movement(1, customer_id="A00001"), movement(2, customer_id="A00002")])
    segment()
    loader.land(0, [movement(1, customer_id="A00001")])
    segment()
    rows = ask(
        """select revision, customers, customer_ids from segmentation.live_change_log
           order by revision"""
    )
    # Revision 0 is the start itself. A movement that comes again changes nobody.
    assert [row[0] for row in rows] == [1, 2]
    assert ask("select revision from segmentation.live_state") == [(2,)]
    assert {"A00001", "A00002"} <= set(rows[0][2])
    assert rows[0][1] == len(rows[0][2])
    assert rows[1][1:] == (0, [])
    segment(over=True)
    assert ask("select max(revision) from segmentation.live_change_log") == [(1,)]


def test_a_movement_that_comes_again_counts_once(loader, segment, ask) -> None:
    segment()
    before = ask("select balance, num_transactions from segmentation.live_customers"
                 " where customer_id = 'A00001'")[0]  # fmt: skip
    loader.land(0, [movement(1), movement(2), movement(1)])
    first = segment()
    loader.land(1, [movement(2), movement(3, customer_id="A00001", transaction_amt=100.25)])
    second = segment()
    assert (first.movements, first.duplicates) == (2, 1)
    assert (second.movements, second.duplicates) == (1, 1)
    after = ask("select balance, num_transactions from segmentation.live_customers"
                " where customer_id = 'A00001'")[0]  # fmt: skip
    assert float(after[0] - before[0]) == pytest.approx(-12.5 * 2 + 100.25)
    assert after[1] - before[1] == 3
    assert ask("select duplicates from segmentation.live_state") == [(2,)]
    assert ask("select count(*) from segmentation.live_transactions") == [(3,)]


def test_nothing_is_read_past_a_load_that_is_still_under_way(
    database, loader, segment, everything, ask
) -> None:
    """A load with a lower id commits after one with a higher id in another partition."""
    loader.land(0, [movement(1)])
    loader.land(1, [movement(2)])
    segment()
    with connect(database, autocommit=True) as slow:
        with slow.transaction():
            loader.land(0, [movement(3, transaction_time="2019-12-11T00:00:00Z")], slow)
            loader.land(1, [movement(4)])
            loader.land(2, [movement(5)])
            with connect(database, autocommit=True) as connection:
                until = horizon(connection, "account-transactions")
                read = Place(*ask('select load_id, partition_id, "offset"'
                                  " from segmentation.live_state")[0])  # fmt: skip
                assert next_spans(connection, "account-transactions", read, until.load_id, 9) == []
                assert not until.is_all
    segment()
    assert ask("select events from segmentation.live_state") == [(5,)]
    in_turns = everything()
    segment(over=True)
    assert everything() == in_turns


def test_a_message_replayed_from_quarantine_counts_once_where_it_landed(
    database, loader, segment, everything, ask
) -> None:
    loader.land(0, [movement(1), b"broken", movement(2)])
    segment()
    assert ask("select events from segmentation.live_state") == [(2,)]
    with connect(database, autocommit=True) as connection:
        ids = [each for (each,) in connection.execute(
            "select quarantine_id from streaming.quarantine").fetchall()]  # fmt: skip
        report = replay(
            connection, load_contracts(), ids, Resolution("test", "mended"), movement(9)
        )
    assert report.landed == ids
    loader.land(0, [movement(3)])
    assert segment().movements == 2
    in_turns = everything()
    segment(over=True)
    assert everything() == in_turns
    assert ask("select events from segmentation.live_state") == [(4,)]


def test_offsets_say_how_far_each_partition_was_read(loader, segment, ask) -> None:
    loader.land(0, [movement(1), movement(2), movement(3)])
    loader.land(2, [movement(4)])
    segment(rows=2)
    assert ask("select partition, next_offset from segmentation.live_offsets order by 1") == [
        (0, 3),
        (2, 1),
    ]


def test_a_large_load_is_read_in_pieces(database, loader) -> None:
    loader.land(0, [movement(number) for number in range(10)])
    loader.land(1, [movement(number) for number in range(10, 15)])
    with connect(database, autocommit=True) as connection:
        until = horizon(connection, "account-transactions").load_id
        place, sizes = Place(), []
        while spans := next_spans(connection, "account-transactions", place, until, 4):
            sizes.append(sum(each.hi - each.lo + 1 for each in spans))
            place = spans[-1].end
    assert sizes == [4, 4, 4, 3]


def test_rows_carry_when_the_movement_landed_that_changed_them(loader, segment, ask) -> None:
    loader.land(0, [movement(1)])
    segment()
    assert ask(
        """select last_updated = ingestion_timestamp from segmentation.live_customers
           join streaming.account_transactions_raw using (customer_id)"""
    ) == [(True,)]
    assert ask(
        "select count(*) from segmentation.live_customers where last_updated = '2019-12-02Z'"
    ) == [(299,)]


def test_customers_that_the_file_does_not_know_are_added(loader, segment, ask) -> None:
    loader.land(0, [movement(1, customer_id="B\\1\ttab", transaction_amt=10)])
    segment()
    segment(over=True)
    assert ask(
        """select customer_id, customer_number, income, balance, num_transactions,
               avg_transaction_amt, customer_lifetime_value, segment is not null
           from segmentation.live_customers where income is null"""
    ) == [("B\\1\ttab", 300, None, 10, 1, 10, Decimal("0.1"), True)]


def test_a_second_one_waits_and_until_caught_up_it_says_so(database, loader, segment) -> None:
    loader.land(0, [movement(1)])
    told: list[str] = []
    stop = threading.Event()
    with connect(database, autocommit=True) as other:
        other.execute("select pg_advisory_lock(7207002)")
        with pytest.raises(ServiceError, match="another `insight segment-live` is at work"):
            segment()

        def tell(text: str) -> None:
            told.append(text)
            stop.set()

        never_read = Start(Path("/nonexistent/never-read.csv"))
        run_live_segments(database, load_contracts(), never_read, stop=stop, on_progress=tell)
    assert told == ["waits while another one is at work"]
    assert segment().movements == 1


def test_another_start_file_needs_an_order_to_start_over(
    database, loader, segment, start_file, tmp_path
) -> None:
    segment()
    other = tmp_path / "other.csv"
    other.write_text(start_file.read_text() + start_file.read_text().splitlines()[1].replace(
        "A00001", "Z1") + "\n")  # fmt: skip

    def run(path, *, over):  # type: ignore[no-untyped-def]
        run_live_segments(
            database, load_contracts(), Start(start_file, path, over=over),
            stop=threading.Event(), until_caught_up=True, options=LiveOptions(),
        )  # fmt: skip

    run(start_file, over=False)
    with pytest.raises(InputError, match=r"other\.csv: is not the file .* add --start-over"):
        run(other, over=False)
    run(other, over=True)
    with connect(database) as connection:
        assert connection.execute(
            """select count(*), max(start_file)
               from segmentation.live_customers, segmentation.live_state"""
        ).fetchone() == (301, "other.csv")


def test_without_a_file_one_is_generated_where_it_can_be_seen(database, loader, tmp_path) -> None:
    sample = tmp_path / "data" / "customer_segments_full.csv"
    run_live_segments(
        database, load_contracts(), Start(sample), stop=threading.Event(), until_caught_up=True
    )
    assert sample.read_text().startswith("customer_id,income,balance,")
    with connect(database) as connection:
        assert connection.execute(
            "select count(*), count(distinct segment) from segmentation.live_customers"
        ).fetchone() == (300, 3)


def test_a_state_that_lost_customers_is_refused(database, loader, segment) -> None:
    segment()
    with connect(database) as connection:
        connection.execute("delete from segmentation.live_customers where customer_number = 7")
    with pytest.raises(IntegrityError, match=r"has lost customers.*--start-over"):
        segment()
    segment(over=True)


def test_names_do_not_flip_when_it_is_restarted(loader, segment, ask) -> None:
    bodies = simulated(6)
    seen = set()
    for start in range(0, len(bodies), 700):
        loader.land_all(bodies[start : start + 700])
        segment()
        seen.add(str(ask("select names from segmentation.live_state")))
        assert ask(
            """select array_agg(segment order by amount)
               from (
                   select segment, avg(avg_transaction_amt) as amount
                   from segmentation.live_customers group by segment
               ) as means"""
        ) == [(["Budget-Conscious", "At Risk / Inactive", "High-Value"],)]
    assert len(seen) == 1
