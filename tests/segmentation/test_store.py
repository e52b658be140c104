"""Segments and their versions in a real Postgres: what is kept, what is refused, what is told."""

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from random_rules import rule_of

from insight.audit import verify
from insight.database import Connection, DatabaseEndpoint, connect
from insight.errors import InputError, IntegrityError
from segmentation.rules.spec import Rule
from segmentation.store import versions as store
from segmentation.store.configuration import FORMAT, TOPIC
from segmentation.store.differences import Difference, differences
from segmentation.store.tables import CHANNEL, create_tables
from segmentation.store.versions import (
    Author,
    ConflictError,
    InvalidSegmentError,
    UnknownSegmentError,
)
from streaming.contract import load_contracts
from streaming.registry import open_registry

ADA = Author("cli:ada", "request-1", "127.0.0.1")


def spenders(limit: int = 100, name: str = "spenders") -> Rule:
    leaf = {"kind": "aggregate", "stream": "transactions", "function": "sum", "field": "amount",
            "where": [{"field": "store_id", "op": "eq", "value": "S1"}],
            "window": "last 30d", "op": "gt", "value": limit}  # fmt: skip
    return rule_of(leaf, name=name)


def reader_of(*segments: str, name: str) -> Rule:
    leaves = [{"kind": "member", "segment": each} for each in segments]
    return rule_of({"kind": "all", "conditions": leaves}, name=name)


@pytest.fixture
def connection(database: DatabaseEndpoint) -> Any:
    open_registry(database, load_contracts())
    create_tables(database)
    create_tables(database)
    with connect(database, autocommit=True) as opened:
        yield opened


@pytest.fixture
def audited(connection: Connection) -> Callable[[], list[tuple[object, ...]]]:
    return lambda: connection.execute(
        """select actor, action, object, detail ->> 'version', request_id
           from access.audit_log order by seq"""
    ).fetchall()


def make_active(connection: Connection, rule: Rule) -> None:
    base = store.newest_version(connection, rule.name)
    store.create_version(connection, rule, ADA, base_version=base)
    store.activate(connection, rule.name, ADA)


def test_a_segment_goes_from_draft_over_active_to_retired(
    connection: Connection, database: DatabaseEndpoint, audited: Any
) -> None:
    first = store.create_version(connection, spenders(), ADA, message="for the spring sale")
    assert (first.version, first.status, first.author) == (1, "draft", "cli:ada")
    assert store.active_rules(connection) == {}
    assert store.activate(connection, "spenders", ADA).status == "active"
    assert store.active_rules(connection) == {"spenders": spenders()}
    second = store.create_version(connection, spenders(200), ADA, base_version=1)
    assert store.active_rules(connection) == {"spenders": spenders()}
    assert (second.version, second.base_version) == (2, 1)
    store.activate(connection, "spenders", ADA, version=2)
    assert [(e.version, e.status) for e in store.versions(connection, "spenders")] == [
        (2, "active"), (1, "retired"),
    ]  # fmt: skip
    assert store.retire(connection, "spenders", ADA).status == "retired"
    assert store.active_rules(connection) == {}
    assert audited() == [
        ("cli:ada", "segment.create", "segment:spenders", "1", "request-1"),
        ("cli:ada", "segment.activate", "segment:spenders", "1", "request-1"),
        ("cli:ada", "segment.create", "segment:spenders", "2", "request-1"),
        ("cli:ada", "segment.activate", "segment:spenders", "2", "request-1"),
        ("cli:ada", "segment.retire", "segment:spenders", "2", "request-1"),
    ]
    assert verify(database).breaks == ()


def test_to_revert_is_a_new_version_with_the_old_rule(connection: Connection, audited: Any) -> None:
    make_active(connection, spenders())
    make_active(connection, spenders(200))
    back = store.revert(connection, "spenders", ADA, to_version=1)
    assert (back.version, back.status, back.base_version) == (3, "active", 2)
    assert back.rule == spenders()
    assert back.message == "Back to version 1"
    assert back.spec_sha == store.read_version(connection, "spenders", 1).spec_sha
    assert [each[1] for each in audited()][-2:] == ["segment.revert", "segment.activate"]
    with pytest.raises(InputError, match=r"version 1 was retired\. Run: insight segments revert"):
        store.activate(connection, "spenders", ADA, version=1)
    with pytest.raises(ConflictError, match="version 2 is not the newest"):
        store.revert(connection, "spenders", ADA, to_version=2, base_version=2)


def test_who_edits_an_old_version_is_told_of_the_newer_one(connection: Connection) -> None:
    store.create_version(connection, spenders(), ADA)
    with pytest.raises(ConflictError, match="exists: version 1 is there"):
        store.create_version(connection, spenders(), ADA)
    store.create_version(connection, spenders(2), ADA, base_version=1)
    with pytest.raises(ConflictError, match=r"version 1 is not the newest: version 2 is there"):
        store.create_version(connection, spenders(3), ADA, base_version=1)
    with pytest.raises(UnknownSegmentError, match="there is no segment 'other'"):
        store.create_version(connection, spenders(name="other"), ADA, base_version=1)
    assert store.newest_version(connection, "spenders") == 2
    assert store.newest_version(connection, "other") is None


def test_of_two_who_edit_at_once_one_is_refused(
    connection: Connection, database: DatabaseEndpoint
) -> None:
    store.create_version(connection, spenders(), ADA)
    outcomes: list[object] = []

    def edit(limit: int) -> None:
        with connect(database, autocommit=True) as own:
            try:
                made = store.create_version(own, spenders(limit), ADA, base_version=1)
                outcomes.append(made.version)
            except ConflictError as error:
                outcomes.append(type(error))

    threads = [threading.Thread(target=edit, args=(limit,)) for limit in (7, 8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert set(outcomes) == {2, ConflictError}


def test_what_is_not_there_is_said(connection: Connection) -> None:
    with pytest.raises(UnknownSegmentError, match=r"no segment 'nobody'\. Run: insight"):
        store.activate(connection, "nobody", ADA)
    with pytest.raises(UnknownSegmentError):
        store.versions(connection, "nobody")
    with pytest.raises(UnknownSegmentError):
        store.retire(connection, "nobody", ADA)
    store.create_version(connection, spenders(), ADA)
    with pytest.raises(UnknownSegmentError, match="spenders: has no version 9"):
        store.read_version(connection, "spenders", 9)
    with pytest.raises(InputError, match="has no active version"):
        store.retire(connection, "spenders", ADA)


def test_an_invalid_rule_is_refused_with_its_places(connection: Connection) -> None:
    leaf = {"kind": "aggregate", "stream": "nowhere", "function": "count", "window": "lifetime",
            "op": "gt", "value": 1}  # fmt: skip
    bad = rule_of({"kind": "all", "conditions": [leaf, {"kind": "member", "segment": "none"}]})
    with pytest.raises(InvalidSegmentError, match=r"no stream 'nowhere'.*and 1 more") as caught:
        store.create_version(connection, bad, ADA)
    assert [(each.code, each.pointer) for each in caught.value.findings] == [
        ("unknown_stream", "/rule/conditions/0/stream"),
        ("unknown_segment", "/rule/conditions/1/segment"),
    ]
    assert connection.execute("select count(*) from segmentation.segments").fetchone() == (0,)


def test_segments_that_read_each_other_are_refused(connection: Connection) -> None:
    make_active(connection, spenders(name="a"))
    make_active(connection, reader_of("a", name="b"))
    make_active(connection, reader_of("b", name="c"))
    with pytest.raises(InvalidSegmentError, match="refer in a circle: a -> c -> b -> a"):
        store.create_version(connection, reader_of("c", name="a"), ADA, base_version=1)


def test_a_circle_that_closed_since_a_draft_was_made_is_refused(connection: Connection) -> None:
    make_active(connection, spenders(name="a"))
    make_active(connection, spenders(name="b"))
    store.create_version(connection, reader_of("b", name="a"), ADA, base_version=1)
    store.create_version(connection, reader_of("a", name="b"), ADA, base_version=1)
    store.activate(connection, "a", ADA)
    with pytest.raises(InvalidSegmentError, match="circle"):
        store.activate(connection, "b", ADA)
    assert store.active_rules(connection)["b"] == spenders(name="b")


def test_what_an_active_segment_reads_is_not_retired(connection: Connection) -> None:
    make_active(connection, spenders(name="a"))
    make_active(connection, reader_of("a", name="b"))
    with pytest.raises(ConflictError, match=r"a: is read by active segments: b\. Retire those"):
        store.retire(connection, "a", ADA)
    store.retire(connection, "b", ADA)
    store.retire(connection, "a", ADA)


@pytest.mark.parametrize(
    "change",
    [
        "update segmentation.segment_versions set spec = '{}'",
        "update segmentation.segment_versions set configuration = '{}' where version = 1",
        "update segmentation.segment_versions set message = 'another'",
        "update segmentation.segment_versions set author = 'eve', status = status",
        "update segmentation.segment_versions set status = 'draft', activated_at = null,"
        " retired_at = null where version = 1",
        "update segmentation.segment_versions set retired_at = now() where version = 1",
        "delete from segmentation.segment_versions",
        "truncate segmentation.segments cascade",
    ],
)
def test_versions_never_change(connection: Connection, change: str) -> None:
    make_active(connection, spenders())
    make_active(connection, spenders(7))
    before = store.versions(connection, "spenders")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="never change"):
        connection.execute(change.encode())
    assert store.versions(connection, "spenders") == before


def test_two_versions_are_never_active(connection: Connection) -> None:
    make_active(connection, spenders())
    store.create_version(connection, spenders(7), ADA, base_version=1)
    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute(
            """update segmentation.segment_versions set status = 'active', activated_at = now()
               where version = 2"""
        )


def test_a_change_of_what_is_active_is_told_when_it_commits(
    connection: Connection, database: DatabaseEndpoint
) -> None:
    with connect(database, autocommit=True) as listening:
        listening.execute(f"listen {CHANNEL}")
        before = store.configuration_sequence(connection)
        store.create_version(connection, spenders(), ADA)
        assert store.configuration_sequence(connection) == before
        store.activate(connection, "spenders", ADA)
        told = [each.payload for each in listening.notifies(timeout=5, stop_after=1)]
    assert store.configuration_sequence(connection) > before
    assert int(told[0]) == store.configuration_sequence(connection)


def test_nothing_is_kept_when_the_caller_gives_up(connection: Connection, audited: Any) -> None:
    with connection.transaction(force_rollback=True):
        store.create_version(connection, spenders(), ADA)
    assert store.newest_version(connection, "spenders") is None
    assert audited() == []


def test_the_configuration_says_what_is_read_reckoned_and_written(connection: Connection) -> None:
    make_active(connection, spenders(name="a"))
    both = rule_of(
        {"kind": "n_of", "at_least": 1, "conditions": [
            spenders(7).rule.model_dump(mode="json", exclude_none=True),
            {"kind": "member", "segment": "a"},
            {"kind": "trait", "field": "location", "op": "is_set"}]},
        name="b",
    )  # fmt: skip
    found: Any = store.create_version(connection, both, ADA).configuration
    assert (found["format"], found["segment"], found["version"]) == (FORMAT, "b", 1)
    assert [(e["kind"], e.get("name")) for e in found["sources"]] == [
        ("stream", "refunds"), ("stream", "transactions"), ("traits", None), ("segment", "a"),
    ]  # fmt: skip
    assert found["sources"][1]["table"] == "streaming.transactions_raw"
    assert [each["read_for"] for each in found["sources"][:2]] == ["customers", "events"]
    assert found["aggregations"] == [
        {"stream": "transactions", "function": "sum", "field": "amount",
         "where": [{"field": "store_id", "op": "eq", "value": "S1"}],
         "window": {"kind": "rolling", "last": "30d"}}
    ]  # fmt: skip
    assert found["logic"] == {"n_of": [0, 1, 2], "at_least": 1}
    assert [each["kind"] for each in found["outputs"]] == ["table", "kafka", "redis"]
    assert found["outputs"][1]["name"] == TOPIC
    assert found["job"]["most_customers"] > 0


def test_what_differs_is_told_by_place() -> None:
    before = reader_of("a", "b", name="x")
    after = reader_of("a", "c", "d", name="x")
    assert differences(before, before) == ()
    assert differences(before, after) == (
        Difference("/rule/conditions/1/segment", "b", "c"),
        Difference("/rule/conditions/2", None, {"kind": "member", "segment": "d"}),
    )
    assert [each.pointer for each in differences(before, spenders(name="x"))] == ["/rule"]


def test_a_row_that_holds_no_rule_is_named(connection: Connection) -> None:
    store.create_version(connection, spenders(), ADA)
    connection.execute(
        """insert into segmentation.segment_versions
               (segment, version, spec, spec_sha, configuration, author)
           values ('spenders', 2, '{}', '', '{}', 'eve')"""
    )
    with pytest.raises(IntegrityError, match="spenders version 2: holds no rule"):
        store.read_version(connection, "spenders")
