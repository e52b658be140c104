"""Streams over HTTP: a contract is put into use, the stream is followed, paused and resumed."""

import json
from collections.abc import Callable, Iterator

import httpx
import pytest
import yaml
from running_api import RunningApi
from typer.testing import CliRunner

from insight.audit import verify
from insight.cli.app import app
from insight.database import DatabaseEndpoint, connect
from serving.access.permissions import Role
from serving.api.problems import MEDIA_TYPE
from streaming.contract import load_contracts

YAML = {"Content-Type": "application/yaml"}


@pytest.fixture
def contract() -> str:
    """A contract of a stream that the package does not have."""
    text = next(each for each in load_contracts() if each.stream == "refunds").file.read_text()
    for old, new in (
        ("name: refunds\n", "name: returns\n"),
        ("name: refunds_raw", "name: returns_raw"),
        ("value: refunds\n", "value: returns\n"),
    ):
        text = text.replace(old, new)
    return text


@pytest.fixture
def ops(
    clients: Callable[[Role | None], httpx.Client], warehouse: DatabaseEndpoint
) -> Iterator[httpx.Client]:
    yield clients(Role.ops)
    with connect(warehouse) as connection:
        connection.execute("delete from streaming.streams where stream = 'returns'")
        connection.execute("drop table if exists streaming.returns_raw")
        connection.execute("truncate streaming.stream_progress, streaming.load_ledger")
        connection.execute("drop schema if exists staging cascade")


def problem(answer: httpx.Response, status: int, kind: str) -> list[dict[str, str]]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert answer.json()["type"] == f"urn:insight:problem:{kind}"
    found: list[dict[str, str]] = answer.json().get("errors", [])
    return found


def actions(warehouse: DatabaseEndpoint) -> list[tuple[object, ...]]:
    with connect(warehouse) as connection:
        return connection.execute(
            """select action, object, detail->>'version' from access.audit_log
               where object = 'stream:returns' order by seq"""
        ).fetchall()


def test_a_contract_is_put_into_use_once(
    ops: httpx.Client, contract: str, warehouse: DatabaseEndpoint
) -> None:
    before = len(actions(warehouse))
    made = ops.post("/v1/streams", content=contract, headers=YAML)
    assert made.status_code == 201, made.text
    assert made.json() == {
        "stream": "returns",
        "version": "1.0.0",
        "previous": None,
        "is_unchanged": False,
        "changes": [],
        "topic": "returns",
        "table_name": "returns_raw",
    }
    again = ops.post("/v1/streams", content=contract, headers=YAML)
    assert (again.status_code, again.json()["is_unchanged"]) == (200, True)
    as_json = ops.post("/v1/streams", json=yaml.safe_load(contract))
    assert (as_json.status_code, as_json.json()["is_unchanged"]) == (200, True)
    assert ops.get("/v1/streams/returns").json()["state"] == "registered"
    newer = contract.replace("version: 1.0.0", "version: 1.1.0").replace(
        "\nslaProperties:",
        "\n      - name: note\n        logicalType: string\n        description: A remark.\n"
        "        examples: [late]\nslaProperties:",
    )
    grown = ops.post("/v1/streams", content=newer, headers=YAML).json()
    assert (grown["previous"], grown["changes"]) == ("1.0.0", ["note is new"])
    with connect(warehouse) as connection:
        assert connection.execute("select note from streaming.returns_raw").fetchall() == []
    assert actions(warehouse)[before:] == [
        ("stream.register", "stream:returns", "1.0.0"),
        ("stream.register", "stream:returns", "1.1.0"),
    ]
    assert verify(warehouse).breaks == ()


def test_another_contract_of_the_same_version_is_a_conflict(
    ops: httpx.Client, contract: str
) -> None:
    assert ops.post("/v1/streams", content=contract, headers=YAML).status_code == 201
    other = contract.replace("value: 7\n", "value: 9\n", 1)
    assert other != contract
    errors = problem(ops.post("/v1/streams", content=other, headers=YAML), 409, "another-contract")
    assert errors[0]["message"] == "retention_seconds changes"
    raised = other.replace("version: 1.0.0", "version: 1.0.1")
    assert ops.post("/v1/streams", content=raised, headers=YAML).status_code == 201


def test_a_contract_that_cannot_be_used_says_why(ops: httpx.Client, contract: str) -> None:
    bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"
    for text, where in (
        ("", "contract"),
        ("[]", "contract"),
        ("a: [", "contract"),
        ("\x00", "contract"),
        (bomb, "contract"),
        ("[" * 5_000, "contract"),
        (contract.replace("version: 1.0.0", "version: one"), "version"),
        (contract.replace("name: returns_raw", 'name: "x; drop table y"'), "schema.name"),
        (contract.replace("name: returns_raw", "name: stream_progress"), "schema.name"),
        (contract.replace("value: returns\n", "value: transactions\n"), "contract"),
        (contract.replace("domain: retail", "domain: Retail"), "domain"),
    ):
        errors = problem(
            ops.post("/v1/streams", content=text, headers=YAML), 422, "invalid-contract"
        )
        assert [error["where"] for error in errors] == [where], text[:50]
        assert errors[0]["message"]
    assert ops.post("/v1/streams", content=contract, headers=YAML).status_code == 201
    shrunk = contract.replace("version: 1.0.0", "version: 2.0.0").replace(
        "name: reason\n", "name: cause\n"
    )
    errors = problem(ops.post("/v1/streams", content=shrunk, headers=YAML), 422,
                     "invalid-contract")  # fmt: skip
    assert "incompatible" in errors[0]["message"]
    problem(ops.post("/v1/streams", content="a: " + "b" * 70_000, headers=YAML), 413,
            "body-too-large")  # fmt: skip
    problem(ops.post("/v1/streams", content=contract), 415, "unsupported-media-type")
    nested = b'{"a":' * 900 + b"1" + b"}" * 900
    for body in (nested, b"[]", b'"x"', b"null", b'{"a": 1e999}'):
        answer = ops.post("/v1/streams", content=body, headers={"Content-Type": "application/json"})
        problem(answer, 422, "invalid-contract")
    problem(ops.post("/v1/streams", content=b"{", headers={"Content-Type": "application/json"}),
            422, "invalid-contract")  # fmt: skip


def test_only_who_may_write_streams_changes_them(
    clients: Callable[[Role | None], httpx.Client], contract: str
) -> None:
    for role in (Role.viewer, Role.analyst):
        client = clients(role)
        problem(client.post("/v1/streams", content=contract, headers=YAML), 403, "not-allowed")
        problem(client.post("/v1/streams/refunds/pause"), 403, "not-allowed")
        problem(client.get("/v1/streams/returns/progress"), 404, "no-such-stream")


def progress(ops: httpx.Client) -> dict[str, object]:
    answer = ops.get("/v1/streams/returns/progress")
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()
    return found


def load(warehouse: DatabaseEndpoint, rows: int, quarantined: int) -> None:
    """A batch of the loader, as far as its books go."""
    with connect(warehouse) as connection:
        connection.execute(
            """insert into streaming.stream_progress as known
                   (stream, cluster_id, topic, partition, first_offset, next_offset, epoch, owner,
                    high_watermark, rows_total, quarantined_total, last_commit_at)
               values ('returns', 'c', 'returns', 0, 0, %(size)s, 1, 'o', %(size)s, %(rows)s,
                       %(bad)s, now())
               on conflict (cluster_id, topic, partition) do update set
                   rows_total = known.rows_total + excluded.rows_total,
                   quarantined_total = known.quarantined_total + excluded.quarantined_total,
                   next_offset = known.next_offset + excluded.next_offset,
                   high_watermark = known.next_offset + excluded.next_offset,
                   last_commit_at = now()""",
            {"size": rows + quarantined, "rows": rows, "bad": quarantined},
        )
        if rows + quarantined:
            connection.execute(
                """insert into streaming.load_ledger
                       (stream, partition_id, cluster_id, topic, partition, lo, hi, rows,
                        quarantined)
                   select stream, partition_id, cluster_id, topic, partition,
                       next_offset - %(size)s, next_offset - 1, %(rows)s, %(bad)s
                   from streaming.stream_progress where stream = 'returns'""",
                {"size": rows + quarantined, "rows": rows, "bad": quarantined},
            )


def test_progress_goes_from_registered_to_flowing(
    ops: httpx.Client, contract: str, warehouse: DatabaseEndpoint
) -> None:
    ops.post("/v1/streams", content=contract, headers=YAML)
    first = progress(ops)
    assert (first["is_topic_made"], first["first_message_at"], first["is_flowing"]) == (
        False, None, False,
    )  # fmt: skip
    assert first["now"] == "waits for a loader, which makes the topic"
    load(warehouse, 0, 0)
    assert progress(ops)["now"] == "waits for the first message"
    load(warehouse, 0, 2)
    quarantined = progress(ops)
    assert quarantined["now"] == "waits for a message that keeps the contract"
    assert (quarantined["rows_total"], quarantined["quarantined_total"]) == (0, 2)
    assert quarantined["first_message_at"] is not None
    load(warehouse, 7, 0)
    flowing = progress(ops)
    assert (flowing["rows_total"], flowing["is_flowing"], flowing["is_modelled"]) == (
        7, True, False,
    )  # fmt: skip
    assert flowing["now"] == "flows; no dbt model reads it yet"
    assert flowing["first_message_at"] == quarantined["first_message_at"]
    with connect(warehouse) as connection:
        connection.execute("create schema staging")
        connection.execute(
            """create table staging.stream_reads as
               select 'stg_returns' as model, partition_id from streaming.stream_progress"""
        )
    modelled = progress(ops)
    assert (modelled["models"], modelled["now"]) == (["stg_returns"], "flows")
    with connect(warehouse) as connection:
        connection.execute(
            "update streaming.stream_progress set last_commit_at = now() - interval '9 days'"
        )
    assert "none for longer than the contract allows" in str(progress(ops)["now"])
    (partition,) = ops.get("/v1/streams/returns/partitions").json()["items"]
    assert partition["next_offset"] == 9


def test_the_command_prints_the_same_progress(
    ops: httpx.Client,
    contract: str,
    warehouse: DatabaseEndpoint,
    api: RunningApi,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ops.post("/v1/streams", content=contract, headers=YAML)
    load(warehouse, 1_234, 5)
    password = warehouse.password.get_secret_value()
    monkeypatch.setenv(
        "DATABASE_URL",
        f"postgresql://{warehouse.user}:{password}@{warehouse.host}:{warehouse.port}/{warehouse.dbname}",
    )
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "localhost:1")
    monkeypatch.setenv("REDIS_URL", api.options.redis.url.get_secret_value())
    result = CliRunner().invoke(app, ["streams", "progress", "returns"])
    assert result.exit_code == 0, result.output
    words = " ".join(result.output.split())
    assert "1,234 rows" in words
    assert "quarantined yes 5 messages, 0 open" in words
    assert "modelled in dbt no" in words
    assert f"Now: {progress(ops)['now']}" in words


def test_a_stream_is_paused_and_goes_on(
    ops: httpx.Client, contract: str, warehouse: DatabaseEndpoint
) -> None:
    ops.post("/v1/streams", content=contract, headers=YAML)
    before = len(actions(warehouse))
    for _ in range(2):
        assert ops.post("/v1/streams/returns/pause").json()["state"] == "paused"
    assert progress(ops)["now"] == "paused"
    for _ in range(2):
        assert ops.post("/v1/streams/returns/resume").json()["state"] == "registered"
    assert [row[0] for row in actions(warehouse)[before:]] == ["stream.pause", "stream.resume"]
    problem(ops.post("/v1/streams/nothing/pause"), 404, "no-such-stream")
    load(warehouse, 1, 0)
    with connect(warehouse) as connection:
        connection.execute("update streaming.stream_progress set state = 'halted_gap'")
    problem(ops.post("/v1/streams/returns/resume"), 409, "messages-lost")


def test_a_repeated_change_of_a_stream_is_answered_again_and_not_done(
    ops: httpx.Client, contract: str, warehouse: DatabaseEndpoint
) -> None:
    before = len(actions(warehouse))
    key = {"Idempotency-Key": "returns-registered"}
    made = [ops.post("/v1/streams", content=contract, headers=YAML | key) for _ in range(2)]
    # Without the key the second one would be a 200: it is in use already.
    assert [each.status_code for each in made] == [201, 201]
    assert made[0].json() == made[1].json()
    assert made[1].headers["idempotency-replayed"] == "true"
    key = {"Idempotency-Key": "returns-paused"}
    assert ops.post("/v1/streams/returns/pause", headers=key).json()["state"] == "paused"
    assert ops.post("/v1/streams/returns/resume").json()["state"] == "registered"
    again = ops.post("/v1/streams/returns/pause", headers=key)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
    assert ops.get("/v1/streams/returns").json()["state"] == "registered"
    other = ops.post("/v1/streams/returns/resume", headers=key)
    problem(other, 422, "idempotency-key-reused")
    assert [row[0] for row in actions(warehouse)[before:]] == [
        "stream.register", "stream.pause", "stream.resume",
    ]  # fmt: skip


def test_overlap_of_segments_is_of_the_same_customers(analyst: httpx.Client) -> None:
    pairs = analyst.get("/v1/segmentation/overlap").json()["items"]
    assert {pair["rfm_segment"] for pair in pairs} == {"Champions"}
    (first,) = [pair for pair in pairs if pair["segment_name"] == "Segment 1"]
    # Five customers each; c-001 is of Segment 1 and has no scores.
    assert (first["segment_customers"], first["rfm_customers"]) == (5, 24)
    assert (first["shared_customers"], first["jaccard"]) == (4, "0.1600")
    assert (first["segment_share"], first["rfm_share"]) == ("0.8000", "0.1667")


def test_insights_are_the_newest_and_the_strongest(analyst: httpx.Client) -> None:
    found = analyst.get("/v1/insights").json()
    assert [each["window_start"][14:16] for each in found["anomalies"]] == ["03", "02", "01", "00"]
    lifts = [float(each["lift"]) for each in found["associations"]]
    assert lifts == sorted(lifts, reverse=True)
    assert len(lifts) == 5
    assert len(found["segments"]) == 5
    json.dumps(found)
