"""The parts of the stream benchmark that compute; the servers are the benchmark's own test."""

import os
import subprocess
import sys
from itertools import islice

import pytest

from benchmarks.readme import between_markers, table
from benchmarks.streams.commits import Commit, window
from benchmarks.streams.messages import Sale, contract, message, sales
from benchmarks.streams.plan import CONTENDERS, Options, contenders
from benchmarks.streams.processes import Sample, Samples, Usage, usage
from benchmarks.streams.workers.sale import decode
from benchmarks.target import Target
from streaming.messages.codec import Codec


def test_every_sale_keeps_the_contract_and_has_its_own_id():
    codec, made = Codec(contract()), list(sales(2_000))
    assert Sale._fields == tuple(contract().column_names)
    for sale in made:
        codec.copy_line(message(sale))
    assert len({sale.transaction_id for sale in made}) == len(made)


def test_sales_are_the_same_each_time_however_many_are_made():
    assert list(sales(50)) == list(islice(sales(500), 50))


def test_the_plain_consumers_decode_a_sale_unchanged():
    sale = next(sales(1))
    decoded = decode(message(sale))
    assert tuple(getattr(decoded, name) for name in Sale._fields) == tuple(sale)


def test_rows_of_the_first_commit_do_not_count():
    found = window([Commit(10.0, 500), Commit(12.0, 100), Commit(15.0, 200)])
    assert (found.start, found.end, found.rows, found.rate) == (10.0, 15.0, 300, 60.0)


def test_a_window_waits_for_warm_rows_and_for_a_time():
    made = [Commit(float(at), 100) for at in range(10)]
    assert window(made, warm_rows=250).start == 2.0
    assert window(made, not_before=4.5) == window(made[5:])


def test_one_commit_is_no_window():
    with pytest.raises(ValueError, match="too few commits"):
        window([Commit(1.0, 100)])


def test_cpu_is_interpolated_between_samples_and_added_over_processes():
    made = Samples(
        Sample(float(at), {"a": Usage(at * 2.0, 10), "b": Usage(1.0, 20 + at)}) for at in range(5)
    )
    assert made.cpu_between(["a"], 0.5, 2.0) == pytest.approx(3.0)
    assert made.cpu_between(["a", "b"], 1.0, 3.0) == pytest.approx(4.0)
    assert made.peak_rss(["a", "b"]) == 24


def test_memory_that_grows_is_told():
    made = Samples(Sample(float(at), {"a": Usage(0.0, 100 + at)}) for at in range(101))
    assert made.rss_growth("a", 0.0, 100.0) == pytest.approx(187.5 / 137.5, rel=0.01)
    assert len(made.rss_over_time("a", 0.0, 100.0)) == 10


def test_usage_counts_children_that_run_and_those_that_have_ended():
    busy = "import time\nwhile time.process_time() < 0.3: pass\n"
    before = usage(os.getpid()).cpu
    subprocess.run([sys.executable, "-c", busy], check=True)
    assert usage(os.getpid()).cpu - before >= 0.25


def test_only_the_text_between_the_markers_of_its_name_is_replaced():
    text = "a <!-- x: begin -->old<!-- x: end --> b <!-- y: begin -->kept<!-- y: end -->"
    written = between_markers(text, "x", "new")
    assert "old" not in written
    assert "kept" in written
    assert between_markers(written, "x", "new") == written
    with pytest.raises(ValueError, match="z: begin"):
        between_markers(text, "z", "new")


def test_a_table_has_a_rule_and_a_line_for_each_row():
    assert table(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | ---: |\n| 1 | 2 |"


@pytest.mark.parametrize(
    ("value", "at_most", "verdict"),
    [(1.0, False, "met"), (0.99, False, "missed"), (1.0, True, "met"), (1.01, True, "missed")],
)
def test_a_target_is_met_at_its_limit(value, at_most, verdict):
    assert Target("rate", 1.0, value, at_most=at_most).verdict == verdict


def test_no_consumer_waits_for_more_than_its_topic_holds():
    for options in (
        Options(messages=500_000, peer_messages=900_000),
        Options(messages=100_000, peer_messages=300_000, only=CONTENDERS),
    ):
        assert all(each.messages <= each.topic.messages for each in contenders(options))


def test_unknown_parts_and_too_few_messages_are_refused():
    with pytest.raises(ValueError, match="choose from ours, loop"):
        Options(only=["theirs"])
    with pytest.raises(ValueError, match="at least 100,000"):
        Options(messages=1_000)
    with pytest.raises(ValueError, match="scaling needs"):
        Options(messages=200_000)
