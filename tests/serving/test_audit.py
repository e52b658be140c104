"""The audit log: append-only, in a chain, and a change of it is found."""

import threading

import psycopg
import pytest

from insight.audit import AuditEvent, Head, record, verify
from insight.database import Connection, DatabaseEndpoint, connect
from insight.errors import InputError
from serving.access.tables import create_tables


@pytest.fixture
def log(database: DatabaseEndpoint) -> DatabaseEndpoint:
    """A log of five rows."""
    create_tables(database)
    for number in range(5):
        write(database, number)
    return database


def write(database: DatabaseEndpoint, number: int) -> None:
    detail = {"number": number, "text": "é \" \\ ' \n", "none": None, "deep": {"a": [1, 2.5]}}
    with connect(database) as connection:
        record(connection, AuditEvent("cli:ada", "key.create", f"key:{number}", detail, "r", "::1"))


def tamper(database: DatabaseEndpoint, *statements: str) -> None:
    """As somebody who may switch the triggers off, and switches them on again."""
    with connect(database) as connection:
        connection.execute("alter table access.audit_log disable trigger all")
        for statement in statements:
            connection.execute(statement)  # type: ignore[call-overload]
        connection.execute("alter table access.audit_log enable trigger all")


def test_an_untouched_log_is_unbroken(log: DatabaseEndpoint) -> None:
    report = verify(log)
    assert (report.rows, report.head.seq, report.breaks) == (5, 5, ())


@pytest.mark.parametrize(
    "statement",
    [
        "update access.audit_log set actor = 'bob' where seq = 3",
        "update access.audit_log set actor = 'bob' where false",
        "delete from access.audit_log where seq = 5",
        "truncate access.audit_log",
    ],
)
def test_a_change_is_refused_even_of_the_owner(log: DatabaseEndpoint, statement: str) -> None:
    with connect(log) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
            connection.execute(statement)  # type: ignore[call-overload]
    assert verify(log).breaks == ()


@pytest.mark.parametrize(
    "column_value",
    [
        "actor = 'bob'",
        "action = 'key.revoke'",
        "object = 'key:9'",
        "detail = detail || '{\"number\": 7}'",
        "request_id = null",
        "client = '10.0.0.1'",
        "recorded_at = recorded_at + interval '1 microsecond'",
    ],
)
def test_a_changed_value_is_found(log: DatabaseEndpoint, column_value: str) -> None:
    tamper(log, f"update access.audit_log set {column_value} where seq = 3")
    assert verify(log).breaks == ("row 3 was changed",)


def test_a_removed_row_is_found(log: DatabaseEndpoint) -> None:
    tamper(log, "delete from access.audit_log where seq in (2, 3)")
    assert verify(log).breaks == ("rows 2 to 3 are missing",)


def test_exchanged_rows_are_found(log: DatabaseEndpoint) -> None:
    tamper(
        log,
        "update access.audit_log set seq = 99 where seq = 2",
        "update access.audit_log set seq = 2 where seq = 3",
        "update access.audit_log set seq = 3 where seq = 99",
    )
    assert "row 2 was changed" in verify(log).breaks


def test_a_row_whose_own_hash_was_made_anew_no_longer_fits_the_next(log: DatabaseEndpoint) -> None:
    from insight.audit import AUDITED_TEXT

    hashed = f"sha256(convert_to({AUDITED_TEXT.format(row='audit_log')}, 'UTF8'))"
    tamper(
        log,
        "update access.audit_log set actor = 'bob' where seq = 3",
        f"update access.audit_log set hash = {hashed} where seq = 3",
    )
    assert verify(log).breaks == ("row 4 does not follow row 3",)


def test_rows_cut_off_at_the_end_are_found_with_the_head_of_before(log: DatabaseEndpoint) -> None:
    head = verify(log).head
    tamper(log, "delete from access.audit_log where seq > 3")
    assert verify(log).breaks == ()
    assert verify(log, head).breaks == ("rows 4 to 5 were cut off",)


def test_a_log_that_grew_still_has_the_head_of_before(log: DatabaseEndpoint) -> None:
    head = verify(log).head
    write(log, 6)
    assert verify(log, head).breaks == ()
    assert verify(log, Head(5, "0" * 64)).breaks == ("row 5 is not the one that was expected",)


def test_switched_off_triggers_are_found(log: DatabaseEndpoint) -> None:
    with connect(log) as connection:
        connection.execute("alter table access.audit_log disable trigger refuse_audit_change")
    assert verify(log).breaks == ("the trigger refuse_audit_change is switched off or gone",)


def test_what_a_writer_says_of_hash_number_and_time_does_not_count(log: DatabaseEndpoint) -> None:
    with connect(log) as connection:
        connection.execute(
            """insert into access.audit_log
                   (seq, recorded_at, actor, action, object, previous_hash, hash)
               values (77, '2001-01-01', 'a', 'b', 'c', 'x', 'y')"""
        )
    report = verify(log)
    assert (report.head.seq, report.breaks) == (6, ())


def test_writers_at_once_make_one_chain(log: DatabaseEndpoint) -> None:
    threads = [threading.Thread(target=lambda: [write(log, 1) for _ in range(5)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report = verify(log)
    assert (report.rows, report.breaks) == (25, ())


def test_a_rolled_back_change_leaves_no_row_and_no_gap(log: DatabaseEndpoint) -> None:
    def change_and_fail(connection: Connection) -> None:
        record(connection, AuditEvent("cli:ada", "key.create", "key:9"))
        raise LookupError

    with pytest.raises(LookupError), connect(log) as connection:
        change_and_fail(connection)
    write(log, 6)
    assert (verify(log).rows, verify(log).breaks) == (6, ())


def test_a_head_is_read_as_it_is_printed() -> None:
    head = Head(12, "ab" * 32)
    assert Head.parse(str(head)) == head
    for text in ("", "12", "12:xyz", "-1:" + "a" * 64, "12:" + "A" * 64):
        with pytest.raises(InputError, match="head"):
            Head.parse(text)


def test_no_log_is_told(database: DatabaseEndpoint) -> None:
    with pytest.raises(InputError, match="no audit log yet"):
        verify(database)
