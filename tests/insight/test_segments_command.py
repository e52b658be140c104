"""`insight segments`, as it is typed."""

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from random_rules import CATALOGUE, START
from rule_worlds import add
from typer.testing import CliRunner, Result

from insight.cli.app import app
from insight.database import DatabaseEndpoint, connect
from insight.errors import InputError
from insight.services import Services
from segmentation.rules import yaml_form
from segmentation.runtime.arrivals import create_indexes, create_tables
from segmentation.runtime.workers import announce
from segmentation.store.configuration import TOPIC
from streaming.contract import load_contracts
from streaming.registry import open_registry
from streaming.topics import ensure_topic

Insight = Callable[..., Result]
EXAMPLE = Path(yaml_form.__file__).parent / "examples" / "big_recent_spenders.yaml"
BAD = """version: 1
name: bad
rule:
  kind: all
  conditions:
    - {kind: trait, field: shoe_size, op: gt, value: 40}
    - {kind: bucket, salt: a, percent: 100}
"""


@pytest.fixture
def insight(
    database: DatabaseEndpoint,
    services: Services,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Insight:
    """Runs a command; an expected error is raised, since `main` would only print it."""
    password = database.password.get_secret_value()
    monkeypatch.setenv(
        "DATABASE_URL",
        f"postgresql://{database.user}:{password}@{database.host}:{database.port}/{database.dbname}",
    )
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", services.kafka.bootstrap_servers)
    monkeypatch.setenv("REDIS_URL", services.redis.url.get_secret_value())
    monkeypatch.setenv("INSIGHT_HOME", str(tmp_path))

    def run(*arguments: str) -> Result:
        result = CliRunner().invoke(app, ["segments", *arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def _sale(number: int, customer: str, at: datetime) -> dict[str, object]:
    return {"transaction_id": f"t{number}", "product_id": "P1", "store_id": "S1",
            "customer_id": customer, "amount": 200, "timestamp": at,
            "_partition_id": 1, "_offset": number, "_load_id": 1}  # fmt: skip


@pytest.fixture
def shop(database: DatabaseEndpoint) -> DatabaseEndpoint:
    """C1 bought seven times, C2 six times of which one is a repetition, C3 long ago."""
    open_registry(database, load_contracts())
    sales = [_sale(n, "C1", START + timedelta(days=n)) for n in range(7)]
    sales += [_sale(n, "C2", START + timedelta(days=n - 6)) for n in range(7, 12)]
    sales.append({**sales[-1], "_offset": 12})
    sales += [_sale(n, "C3", START - timedelta(days=90)) for n in range(13, 20)]
    with connect(database) as connection:
        add(connection, {"transactions": sales})
        connection.execute(
            """insert into streaming.stream_progress (stream, cluster_id, topic, partition,
                   first_offset, next_offset, epoch, owner, high_watermark, last_event_at)
               values ('transactions', 'c', 'transactions', 0, 0, 20, 1, 'me', 20, %s)""",
            (START + timedelta(days=6),),
        )
    return database


def test_preview_counts_the_rule_and_each_condition(insight: Insight, shop: object) -> None:
    printed = insight("preview", str(EXAMPLE)).stdout
    assert "1 customers in big_recent_spenders as of 2019-12-26T00:00:01Z" in printed
    assert "For example: C1" in printed
    found = json.loads(insight("preview", str(EXAMPLE), "--format", "json").stdout)
    assert found["customers"] == 1
    assert [each["customers"] for each in found["conditions"]] == [1, 1]
    later = insight("preview", str(EXAMPLE), "--as-of", "2020-03-01", "-f", "csv").stdout
    assert "(the rule),0" in later


def test_preview_is_the_same_with_the_notes_of_a_runtime(
    insight: Insight, shop: DatabaseEndpoint
) -> None:
    before = insight("preview", str(EXAMPLE), "--format", "json").stdout
    with connect(shop) as connection:
        create_tables(connection)
    for stream in CATALOGUE.streams.values():
        create_indexes(shop, stream)
        create_indexes(shop, stream)
    assert insight("preview", str(EXAMPLE), "--format", "json").stdout == before
    with connect(shop) as connection:
        noted = connection.execute("select count(*) from segmentation.repeated_rows").fetchone()
    assert noted == (1,)
    assert "repeated_rows" in insight("explain", str(EXAMPLE)).stdout


def test_explain_prints_sentence_sql_parameters_and_plan(insight: Insight, shop: object) -> None:
    printed = insight("explain", str(EXAMPLE)).stdout
    assert printed.startswith("Customers for whom the total of amount over transactions")
    for part in ("-- SQL for Postgres", "-- SQL for Spark", "%(w0_start)s", ":w0_start",
                 "p0 = 1000", "w0_start = 2019-11-26T00:00:01Z", "Scan on transactions_raw",
                 "customers of retail"):  # fmt: skip
        assert part in printed


def test_validate_tells_all_findings_with_their_lines(insight: Insight, tmp_path: Path) -> None:
    assert insight("validate", str(EXAMPLE)).stdout.startswith("Customers for whom")
    bad = tmp_path / "bad.yaml"
    bad.write_text(BAD)
    with pytest.raises(InputError, match=r"bad.yaml: has an error"):
        insight("validate", str(bad))
    with pytest.raises(InputError, match=r"bad.yaml:6: .*there is no trait 'shoe_size'"):
        insight("preview", str(bad))
    bad.write_text(BAD.replace("shoe_size", "customer_tenure_months"))
    assert (
        "bad.yaml:7: warning: /rule/conditions/1: always holds"
        in insight("validate", str(bad)).stdout
    )
    bad.write_text("version: 1\nname: B\n")
    with pytest.raises(InputError, match="has 2 errors"):
        insight("validate", str(bad))


def test_a_warehouse_without_events_says_what_to_do(insight: Insight) -> None:
    with pytest.raises(InputError, match=r"no event of transactions has arrived. Run: insight run"):
        insight("preview", str(EXAMPLE))
    with pytest.raises(InputError, match=r"has not all that the rule reads .* Run: insight run"):
        insight("preview", str(EXAMPLE), "--as-of", "2020-01-01")


def test_schema_prints_the_published_one(insight: Insight) -> None:
    assert json.loads(insight("schema").stdout)["title"] == "Rule of a segment"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """The example, but from 1,300 on: C1 spent 1,400."""
    path = tmp_path / "small.yaml"
    path.write_text(EXAMPLE.read_text().replace("value: 1000", "value: 1300"))
    return path


def test_a_segment_is_created_activated_kept_and_explained(
    insight: Insight, shop: object, services: Services, small: Path
) -> None:
    # The embedded broker makes topics for producers only, and the command takes it for another.
    ensure_topic(services.kafka, TOPIC, 4, 3600)
    made = insight("create", str(EXAMPLE), "-m", "for the sale").stdout
    assert "version 1 is a draft. Put it into use: insight segments activate big_rec" in made
    assert "is active" in insight("activate", "big_recent_spenders").stdout
    preview = insight("preview", str(small)).stdout
    assert "Against the active version:\n  0 would enter\n  0 would leave\n" in preview
    kept = CliRunner().invoke(app, ["segment-rules", "--until-caught-up"]).stdout
    assert "20 new rows, 0 customers asked again, 1 entered or left, 1 told in Kafka" in kept
    listed = json.loads(insight("list", "--format", "json").stdout)
    assert [(e["segment"], e["active"], e["running"], e["members"]) for e in listed] == [
        ("big_recent_spenders", 1, 1, 1)
    ]
    assert "big_recent_spenders" in insight("list").stdout
    assert insight("members", "big_recent_spenders", "-f", "csv").stdout.splitlines() == [
        "customer_id,since",
        "C1,2019-12-26T00:00:01Z",
    ]
    history = insight("history", "big_recent_spenders", "--customer", "C1").stdout
    assert "entered" in history
    assert "yes 1400.0; yes 7" in history
    reason = insight("why", "big_recent_spenders", "C2").stdout
    assert "C2 does not fit big_recent_spenders version 1 as of 2019-12-26T00:00:01Z" in reason
    found = json.loads(insight("why", "big_recent_spenders", "C1", "-f", "json").stdout)
    assert (found["matches"], found["is_member"]) == (True, True)
    assert [each["found"] for each in found["conditions"]] == ["1400.00", 7]
    assert found["changes_at"] == "2020-01-20T00:00:00.000001+00:00"
    assert insight("rebuild").stdout.startswith("1 customers who are in a segment")


def test_list_says_which_worker_runs_which_version_and_what_it_refuses(
    insight: Insight, shop: DatabaseEndpoint, small: Path
) -> None:
    insight("create", str(EXAMPLE), "--activate")
    assert json.loads(insight("list", "-f", "json").stdout)[0]["workers"] == []
    with connect(shop) as connection:
        for worker, state, version in [("one", "at work", 1), ("two", "waiting", 3)]:
            announce(connection, worker, state)
            connection.execute(
                """insert into segmentation.rule_worker_versions
                       (worker, segment, version, refused_version, reason)
                   values (%s, 'big_recent_spenders', %s, 2, 'no such stream')""",
                (worker, version),
            )
    (listed,) = json.loads(insight("list", "-f", "json").stdout)
    (worker,) = listed["workers"]
    assert worker.pop("seen_at").startswith("20")
    assert worker == {
        "worker": "one", "version": 1, "refused_version": 2, "reason": "no such stream",
    }  # fmt: skip
    assert listed["refused"] == "no such stream"
    printed = insight("list").stdout
    assert re.search(r"one runs 1, refuses 2, seen 20\d\d-.*Z\n", printed)
    assert "big_recent_spenders: no such stream" in printed
    assert "two" not in printed
    assert "one runs 1, refuses 2" in insight("list", "-f", "csv").stdout


def test_the_clock_is_a_setting_that_the_option_overrides(
    insight: Insight, shop: object, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure_topic(services.kafka, TOPIC, 4, 3600)
    insight("create", str(EXAMPLE), "--activate")
    monkeypatch.setenv("INSIGHT_SEGMENT_CLOCK", "wall")
    role = ["segment-rules", "--until-caught-up"]
    kept = CliRunner().invoke(app, [*role, "--event-clock"]).stdout
    assert "1 entered or left" in kept
    assert insight("members", "big_recent_spenders", "-f", "csv").stdout.count("C1") == 1
    assert "1 entered or left" in CliRunner().invoke(app, role).stdout
    assert "C1" not in insight("members", "big_recent_spenders", "-f", "csv").stdout


def test_versions_are_shown_with_what_changed(insight: Insight, shop: object, small: Path) -> None:
    insight("create", str(EXAMPLE), "--activate")
    with pytest.raises(InputError, match=r"version 2 is not the newest: version 1 is there"):
        insight("create", str(small), "--base", "2")
    insight("create", str(small), "--base", "1", "--activate")
    shown = insight("show", "big_recent_spenders").stdout
    assert "big_recent_spenders version 2, active" in shown
    assert "/rule/conditions/0/value: 1000 became 1300" in shown
    assert "version 3 is active" in insight("revert", "big_recent_spenders", "--to", "1").stdout
    found = json.loads(insight("show", "big_recent_spenders", "-f", "json").stdout)
    assert (found["version"], found["status"], found["versions"]) == (3, "active", [3, 2, 1])
    assert found["configuration"]["sources"][0]["kind"] == "stream"
    assert "retired" in insight("retire", "big_recent_spenders").stdout
    with pytest.raises(InputError, match=r"there is no segment 'other'\. Run: insight segments li"):
        insight("members", "other")


def test_preview_says_who_would_enter_and_leave(
    insight: Insight, shop: object, tmp_path: Path
) -> None:
    insight("create", str(EXAMPLE), "--activate")
    more = tmp_path / "more.yaml"
    text = EXAMPLE.read_text().replace("value: 5", "value: 4")
    more.write_text(text.replace("value: 1000", "value: 900"))
    assert "  1 would enter: C2\n  0 would leave\n" in insight("preview", str(more)).stdout
    fewer = tmp_path / "fewer.yaml"
    fewer.write_text(EXAMPLE.read_text().replace("value: 5", "value: 50"))
    found = json.loads(insight("preview", str(fewer), "-f", "json").stdout)["change"]
    assert found == {"entering": 0, "leaving": 1, "would_enter": [], "would_leave": ["C1"]}
    assert "(would leave),1" in insight("preview", str(fewer), "-f", "csv").stdout


def test_a_rule_without_streams_finds_the_customers_nobody_has_noted_yet(
    insight: Insight, shop: DatabaseEndpoint, tmp_path: Path
) -> None:
    everyone = tmp_path / "everyone.yaml"
    everyone.write_text(
        "{version: 1, name: everyone, population: [retail],"
        " rule: {kind: bucket, salt: a, percent: 100}}"
    )
    with connect(shop) as connection:
        create_tables(connection)
    found = json.loads(insight("preview", str(everyone), "-f", "json").stdout)
    assert found["customers"] == 3
