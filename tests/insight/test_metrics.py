"""Metrics over real HTTP, read with the Prometheus parser."""

import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from insight.errors import ServiceError
from insight.services.ports import free_port
from segmentation.live.meter import LiveMeter
from streaming.metrics import (
    LoaderMeter,
    Phase,
    ProducerMeter,
    SchedulerMeter,
    bottleneck,
    serve_metrics,
)
from streaming.producing.status import ProducerReport

Scraped = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scrape(port: int) -> Scraped:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@contextmanager
def served(meter: Collector) -> Iterator[int]:
    with serve_metrics(meter, free_port()) as port:
        yield port


def of(scraped: Scraped, name: str, **labels: str) -> float:
    return scraped[(f"insight_{name}", tuple(sorted(labels.items())))]


def load(meter: LoaderMeter, rows: int, **quarantined: int) -> None:
    meter.batch(
        "refunds",
        1,
        rows=rows,
        quarantined=quarantined,
        characters=100 * rows,
        commit_seconds=0.02,
        newest_event_at=datetime.fromtimestamp(1_000, UTC),
    )


def test_a_loader_tells_what_it_consumed_loaded_and_set_aside() -> None:
    meter = LoaderMeter(now=lambda: 1_030.0)
    with served(meter) as port:
        load(meter, 7, empty=2, invalid_json=1)
        load(meter, 20_001)
        meter.lags({("refunds", 1): 42})
        meter.add_seconds(Phase.copy, 1.5)
        with meter.phase(Phase.idle):
            pass
        seen = scrape(port)
    place = {"stream": "refunds", "partition": "1"}
    assert of(seen, "loader_consumed_total", **place) == 20_011
    assert of(seen, "loader_loaded_total", **place) == 20_008
    assert of(seen, "loader_quarantined_total", stream="refunds", code="empty") == 2
    assert of(seen, "loader_row_characters_total", stream="refunds") == 2_000_800
    assert of(seen, "loader_lag", **place) == 42
    assert of(seen, "loader_freshness_seconds", stream="refunds") == 30
    assert of(seen, "loader_phase_seconds_total", phase="copy") == 1.5
    assert of(seen, "loader_phase_seconds_total", phase="idle") > 0
    assert of(seen, "loader_batch_rows_bucket", le="10.0") == 1
    assert of(seen, "loader_batch_rows_bucket", le="+Inf") == 2
    assert of(seen, "loader_batch_rows_count") == 2
    assert of(seen, "loader_commit_seconds_sum") == pytest.approx(0.04)
    assert seen[("process_resident_memory_bytes", ())] > 0


def test_a_partition_that_went_to_another_loader_has_no_lag_here() -> None:
    meter = LoaderMeter()
    meter.lags({("refunds", 0): 5, ("refunds", 1): 6})
    meter.lags({("refunds", 1): 6})
    with served(meter) as port:
        lags = {key: value for key, value in scrape(port).items() if key[0] == "insight_loader_lag"}
    assert list(lags.values()) == [6]


def test_ten_thousand_partitions_do_not_make_ten_thousand_series() -> None:
    meter = LoaderMeter()
    for partition in range(10_000):
        meter.batch("many", partition, rows=1, quarantined={}, characters=1, commit_seconds=0.001)
    with served(meter) as port:
        consumed = {
            k: v for k, v in scrape(port).items() if k[0] == "insight_loader_consumed_total"
        }
    assert len(consumed) <= 501
    assert sum(consumed.values()) == 10_000


def test_a_producer_tells_its_polls_events_and_rate() -> None:
    now = 100.0
    meter = ProducerMeter("refunds", now=lambda: now)
    for second in range(100, 140):
        now = float(second)
        meter.delivered(50)
    meter.report = ProducerReport(
        "refunds", "simulator", polled=40, delivered=2_000, failed_polls=1, spilled=3
    )
    with served(meter) as port:
        seen = scrape(port)
    assert of(seen, "producer_polled_total", stream="refunds") == 40
    assert of(seen, "producer_failed_polls_total", stream="refunds") == 1
    assert of(seen, "producer_delivered_total", stream="refunds") == 2_000
    assert of(seen, "producer_spilled_total", stream="refunds") == 3
    assert of(seen, "producer_rate", stream="refunds") == 50


def test_a_scheduler_tells_its_refreshes_failures_and_failing_tests() -> None:
    meter = SchedulerMeter()
    meter.refreshed(0.7)
    meter.failed()
    meter.tested(2)
    with served(meter) as port:
        seen = scrape(port)
    assert of(seen, "scheduler_refreshes_total") == 1
    assert of(seen, "scheduler_failures_total") == 1
    assert of(seen, "scheduler_failing_tests") == 2
    assert of(seen, "scheduler_refresh_seconds_count") == 1


def test_every_metric_says_what_it_means() -> None:
    for meter in (LoaderMeter(), ProducerMeter("a"), SchedulerMeter(), LiveMeter()):
        for metric in meter.collect():
            assert metric.documentation.count(".") >= 2, metric.name
            assert metric.name.startswith("insight_")


def test_port_0_serves_nothing_and_a_taken_port_is_told() -> None:
    with serve_metrics(SchedulerMeter(), 0) as port:
        assert port == 0
    with served(SchedulerMeter()) as taken:
        with pytest.raises(ServiceError, match="--metrics-port"):
            with serve_metrics(SchedulerMeter(), taken):
                pass
    with serve_metrics(SchedulerMeter(), taken):
        scrape(taken)


@pytest.mark.parametrize(
    ("shares", "word"),
    [
        ({}, "idle"),
        ({"idle": 0.9, "consume": 0.05, "copy": 0.05}, "idle"),
        ({"consume": 0.6, "decode": 0.3, "copy": 0.1}, "broker-bound"),
        ({"consume": 0.1, "decode": 0.7, "copy": 0.3, "commit": 0.3}, "cpu-bound"),
        ({"consume": 0.1, "decode": 0.7, "copy": 0.4, "commit": 0.4}, "db-bound"),
    ],
)
def test_the_bottleneck_is_where_most_of_the_time_goes(shares: dict[str, float], word: str) -> None:
    assert bottleneck(shares) == word


@given(st.dictionaries(st.sampled_from([str(each) for each in Phase]), st.floats(0, 2)))
def test_a_bottleneck_has_time_spent_in_it(shares: dict[str, float]) -> None:
    parts = {"broker-bound": ["consume"], "cpu-bound": ["decode"], "db-bound": ["copy", "commit"]}
    word = bottleneck(shares)
    if word != "idle":
        assert sum(shares.get(each, 0.0) for each in parts[word]) > shares.get("idle", 0.0)
