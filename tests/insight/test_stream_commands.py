"""`insight streams`, `insight quarantine` and `insight verify`, as they are typed."""

import json
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from typer.testing import CliRunner, Result

from insight.cli.app import app
from insight.cli.author import me
from insight.database import DatabaseEndpoint, connect
from insight.errors import InputError, IntegrityError
from insight.services import KafkaEndpoint
from streaming.contract import Contract, load_contracts, read_contract
from streaming.loading.bad_limit import BadLimit
from streaming.loading.loader import load_streams
from streaming.loading.options import LoaderOptions
from streaming.topics import ensure_topics

Insight = Callable[..., Result]


@pytest.fixture
def refunds() -> Contract:
    return next(each for each in load_contracts() if each.stream == "refunds")


@pytest.fixture
def insight(
    database: DatabaseEndpoint,
    real_kafka: KafkaEndpoint,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Insight:
    """Runs a command; an expected error is raised, since `main` would only print it."""
    password = database.password.get_secret_value()
    monkeypatch.setenv(
        "DATABASE_URL",
        f"postgresql://{database.user}:{password}@{database.host}:{database.port}/{database.dbname}",
    )
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", real_kafka.bootstrap_servers)
    monkeypatch.setenv("INSIGHT_HOME", str(tmp_path))

    def run(*arguments: str, typed: str | None = None) -> Result:
        result = CliRunner().invoke(app, list(arguments), input=typed)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def put(real_kafka: KafkaEndpoint) -> Callable[..., None]:
    def send(contract: Contract, values: list[bytes]) -> None:
        ensure_topics(real_kafka, [contract])
        producer = Producer({"bootstrap.servers": real_kafka.bootstrap_servers})
        for value in values:
            producer.produce(contract.topic, value=value, partition=0)
        assert producer.flush(30) == 0

    return send


@pytest.fixture
def returns(refunds: Contract, tmp_path: Path, database: DatabaseEndpoint) -> Path:
    """A contract of a stream that the package does not have, on a topic of this test."""
    text = refunds.file.read_text()
    text = text.replace("name: refunds\n", "name: returns\n")
    text = text.replace("name: refunds_raw", "name: returns_raw")
    text = text.replace("value: refunds\n", f"value: returns-{database.dbname}\n")
    file = tmp_path / "returns.odcs.yaml"
    file.write_text(text)
    return file


def _with_note(file: Path) -> Path:
    note = """
      - name: note
        logicalType: string
        description: A remark.
        examples: [late]
slaProperties:"""
    text = file.read_text().replace("version: 1.0.0", "version: 1.1.0")
    newer = file.with_name("newer.odcs.yaml")
    newer.write_text(text.replace("\nslaProperties:", note))
    return newer


def _load(
    database: DatabaseEndpoint, kafka: KafkaEndpoint, contract: Contract, limit: int = 500
) -> None:
    options = LoaderOptions(bad_limit=BadLimit(count=limit))
    load_streams(database, kafka, [contract], until_caught_up=True, options=options)


@pytest.fixture
def contract(returns: Path, insight: Insight) -> Contract:
    """The contract of `returns`, registered."""
    assert insight("streams", "register", str(returns)).exit_code == 0
    return read_contract(returns)


def message(contract: Contract, number: int, **more: object) -> bytes:
    return json.dumps({**contract.example_event(), contract.key: f"r{number}", **more}).encode()


def test_nothing_is_there_yet(insight: Insight) -> None:
    assert "Nothing has been streamed yet" in insight("verify").output
    assert "No stream is registered yet" in insight("streams", "list").output
    assert "No message waits in quarantine." in insight("quarantine", "list").output
    with pytest.raises(InputError, match="no quarantined message 1"):
        insight("quarantine", "show", "1")
    with pytest.raises(InputError, match=r"no stream 'x'\. Known are none yet"):
        insight("streams", "show", "x")


@pytest.fixture
def audited(database: DatabaseEndpoint) -> Callable[[], list[tuple[str, dict[str, object]]]]:
    """Takes action and detail of what was audited since the last call, of stream returns by me."""
    last = 0

    def call() -> list[tuple[str, dict[str, object]]]:
        nonlocal last
        with connect(database) as connection:
            rows = connection.execute(
                """select seq, actor, object, action, detail
                   from access.audit_log where seq > %s order by seq""",
                (last,),
            ).fetchall()
        assert {(actor, target) for _, actor, target, *_ in rows} <= {
            (me().actor, "stream:returns")
        }
        last += len(rows)
        return [(action, detail) for *_, action, detail in rows]

    return call


def test_stream_is_registered_changed_and_shown(insight: Insight, audited, returns: Path) -> None:
    dry = insight("streams", "register", str(returns), "--dry-run").output
    assert "returns 1.0.0 would be registered." in dry
    assert "returns" not in insight("streams", "list").output
    assert "returns 1.0.0 is registered." in insight("streams", "register", str(returns)).output
    assert "in use already" in insight("streams", "register", str(returns)).output
    newer = insight("streams", "register", str(_with_note(returns))).output
    assert "returns 1.1.0 is registered, after 1.0.0." in newer
    assert "note is new" in newer
    listed = next(
        line for line in insight("streams", "list").output.splitlines() if "returns" in line
    )
    assert listed.split()[:4] == ["returns", "registered", "1.1.0", "registered"]
    shown = insight("streams", "show", "returns").output
    assert "note " in shown
    assert "refund_id " in shown
    with pytest.raises(InputError, match=r"version 1\.0\.0 is lower than 1\.1\.0"):
        insight("streams", "register", str(returns))
    assert audited() == [
        ("stream.register", {"version": "1.0.0", "previous": None}),
        ("stream.register", {"version": "1.1.0", "previous": "1.0.0"}),
    ]
    assert me().actor.startswith("cli:")
    assert "2 rows, unbroken." in insight("audit", "verify").output


def test_stream_is_paused_and_resumed(insight: Insight, contract: Contract, audited) -> None:
    audited()
    assert insight("streams", "pause", "returns").output == "returns is paused.\n"
    assert insight("streams", "pause", "returns").output == "returns was paused already.\n"
    assert "paused" in insight("streams", "list").output
    assert insight("streams", "resume", "returns").output == "returns goes on.\n"
    assert "neither paused nor halted" in insight("streams", "resume", "returns").output
    assert audited() == [("stream.pause", {}), ("stream.resume", {})]


def test_what_cannot_be_audited_is_not_done(
    insight: Insight, database, real_kafka, contract: Contract, put
) -> None:
    put(contract, [b"bad"])
    _load(database, real_kafka, contract)
    number = insight("quarantine", "list").output.splitlines()[1].split()[0]
    with connect(database) as connection:
        connection.execute("alter table access.audit_log add check (action = '') not valid")
    for command in (
        ["streams", "pause", "returns"],
        ["streams", "register", str(_with_note(contract.file))],
        ["quarantine", "ignore", number, "--reason", "a test"],
    ):
        with pytest.raises(psycopg.errors.CheckViolation):
            insight(*command)
    shown = insight("streams", "show", "returns").output
    assert "1.1.0" not in shown
    assert "paused" not in shown
    assert "open" in insight("quarantine", "list").output


def test_gap_is_shown_and_accepted(
    insight: Insight, database, real_kafka, contract: Contract, put, audited
) -> None:
    put(contract, [message(contract, each) for each in range(3)])
    _load(database, real_kafka, contract)
    assert "returns is not halted by a loss." in insight("streams", "accept-gap", "returns").output
    put(contract, [message(contract, each) for each in range(3, 20)])
    admin = AdminClient({"bootstrap.servers": real_kafka.bootstrap_servers})
    for future in admin.delete_records([TopicPartition(contract.topic, 0, 10)]).values():
        future.result(10)
    _load(database, real_kafka, contract)
    assert "halted_gap" in insight("streams", "show", "returns").output
    with pytest.raises(InputError, match="insight streams accept-gap returns"):
        insight("streams", "resume", "returns")
    refused = insight("streams", "accept-gap", "returns", typed="n\n")
    assert refused.exit_code == 1
    row = next(line for line in refused.output.splitlines() if line.startswith(contract.topic))
    assert row.split()[1:] == ["0", "3", "9", "7", "10"]
    accepted = insight("streams", "accept-gap", "returns", "--yes").output
    assert "7 messages are recorded as lost" in accepted
    action, detail = audited()[-1]
    assert (action, detail["messages"]) == ("stream.accept-gap", 7)
    assert {"partition": 0, "first": 3, "end": 10} in detail["gaps"]
    _load(database, real_kafka, contract)
    assert "All stream invariants hold." in insight("verify").output


def test_quarantined_messages_are_shown_mended_replayed_and_ignored(
    insight: Insight, database, real_kafka, contract: Contract, put, returns: Path, tmp_path: Path,
    audited,
) -> None:  # fmt: skip
    put(
        contract,
        [message(contract, 0), b"\xff[red]\x00", message(contract, 2, note="x"), b"worse", b"w"],
    )
    _load(database, real_kafka, contract)
    listed = insight("quarantine", "list", "--stream", "returns").output.splitlines()
    ids = [line.split()[0] for line in listed[1:]][::-1]
    assert len(ids) == 4
    assert "unknown_field" in insight("quarantine", "list", "--code", "unknown_field").output
    assert "hex ff5b7265645d00" in insight("quarantine", "show", ids[0]).output
    assert '"note": "x"' in insight("quarantine", "show", ids[1]).output

    insight("streams", "register", str(_with_note(returns)))
    audited()
    by_stream = insight("quarantine", "replay", "--stream", "returns")
    assert by_stream.exit_code == 1
    assert "1 loaded, 3 still bad" in by_stream.output
    mended = tmp_path / "mended.json"
    mended.write_bytes(message(contract, 1))
    replayed = insight("quarantine", "replay", ids[0], "--value", str(mended), "--reason", "typo")
    assert "1 loaded, 0 still bad" in replayed.output
    again = insight("quarantine", "replay", ids[0], "--value", str(mended))
    assert "0 loaded, 0 still bad, 1 were replayed before" in again.output
    shown = insight("quarantine", "show", ids[0]).output
    assert "mended" in shown
    assert "typo (under contract 1.1.0)" in shown
    ignored = insight("quarantine", "ignore", *ids[2:], "--reason", "a test").output
    assert "2 ignored, 0 were not open" in ignored
    first, other, *rest = map(int, ids)
    assert audited() == [
        ("quarantine.replay", {"quarantine_ids": [other], "reason": "replayed"}),
        ("quarantine.replay", {"quarantine_ids": [first], "reason": "typo"}),
        ("quarantine.ignore", {"quarantine_ids": rest, "reason": "a test"}),
    ]
    assert "No message waits in quarantine." in insight("quarantine", "list").output
    assert len(insight("quarantine", "list", "--status", "all").output.splitlines()) == 5
    with connect(database) as connection:
        rows = connection.execute(
            "select _offset, note from streaming.returns_raw order by 1"
        ).fetchall()
    assert rows == [(0, None), (1, None), (2, "x")]
    assert "All stream invariants hold." in insight("verify").output


def test_replay_needs_to_know_which_messages(insight: Insight, tmp_path: Path) -> None:
    for arguments in ([], ["1", "--stream", "returns"]):
        with pytest.raises(InputError, match="name the messages"):
            insight("quarantine", "replay", *arguments)
    with pytest.raises(InputError, match="belongs to one id"):
        insight("quarantine", "replay", "1", "2", "--value", str(tmp_path / "x"))
    with pytest.raises(InputError, match="cannot be read"):
        insight("quarantine", "replay", "1", "--value", str(tmp_path / "x"))


def test_verify_fails_with_the_row_that_breaks(
    insight: Insight, database, real_kafka, contract: Contract, put
) -> None:
    put(contract, [message(contract, each) for each in range(3)])
    _load(database, real_kafka, contract)
    with connect(database) as connection:
        connection.execute("delete from streaming.returns_raw where _offset = 1")
    with pytest.raises(IntegrityError, match="violations of the stream invariants"):
        insight("verify")
