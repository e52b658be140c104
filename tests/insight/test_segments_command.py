"""`insight segments`, as it is typed."""

import json
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
from streaming.contract import load_contracts
from streaming.registry import open_registry

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
