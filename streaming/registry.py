"""The contracts in use, kept in `streaming.streams`: those of the package and registered ones.

A loader or producer asks for `registry_revision` now and then, and reads the contracts anew when
it has moved.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psycopg
from psycopg import sql

from insight.database import Connection, DatabaseEndpoint, connect
from insight.errors import InputError, ServiceError
from streaming import tables
from streaming.contract import Contract, document_text, read_contract_text
from streaming.evolution import Change, check_evolution, version_number

Origin = Literal["file", "registered"]

_PLACE = Path("streaming.streams")


@dataclass(frozen=True)
class Registration:
    """What registering a contract did; `previous` is the version that was in use, if any."""

    stream: str
    version: str
    previous: str | None
    changes: tuple[Change, ...]
    revision: int

    @property
    def is_new(self) -> bool:
        return self.previous is None

    @property
    def is_unchanged(self) -> bool:
        return self.previous == self.version


@dataclass(frozen=True)
class RegisteredStream:
    """A row of `streaming.streams`; `contract` is None when its text was never stored."""

    stream: str
    topic: str
    table: str
    contract: Contract | None
    document: str | None
    origin: str
    paused: bool
    revision: int


def open_registry(database: DatabaseEndpoint, files: Sequence[Contract]) -> list[Contract]:
    """Create what is missing, register the package's contracts and tell which are in use.

    What a loader or producer calls first. Raises InputError when a file's contract cannot follow
    the one in use.
    """
    tables.create_tables(database, ())
    with connect(database) as connection:
        register_files(connection, files)
        active = active_contracts(connection, files)
        for contract in active:
            tables.create_raw_table(connection, contract)
    return active


def register_files(connection: Connection, files: Sequence[Contract]) -> None:
    """Register the contracts of the package that are new or higher than those in use.

    Raises InputError when one cannot follow, or has changed while its version has not.
    """
    lock_registry(connection)
    known = {each.stream: each for each in registered_streams(connection)}
    for contract in files:
        stored = known.get(contract.stream)
        if stored is None or stored.contract is None or _is_ahead(contract, stored.contract):
            register(connection, contract, document_text(contract.file), "file")
        elif not _is_ahead(stored.contract, contract):
            check_evolution(stored.contract, contract)


def register(
    connection: Connection, contract: Contract, document: str, origin: Origin = "registered"
) -> Registration:
    """Put a contract, read from `document`, into use; loaders see it when this commits.

    The same contract again changes nothing. Raises InputError when it cannot follow the one in
    use, or its topic or table belongs to another stream.
    """
    lock_registry(connection)
    _refuse_taken(connection, contract)
    stored = registered_stream(connection, contract.stream)
    previous = None if stored is None else stored.contract
    changes = [] if previous is None else check_evolution(previous, contract)
    if stored and previous and previous.version == contract.version:
        return Registration(contract.stream, contract.version, contract.version, (),
                            stored.revision)  # fmt: skip
    _extend_table(connection, contract)
    revision = _store(connection, contract, document, origin)
    before = None if previous is None else previous.version
    return Registration(contract.stream, contract.version, before, tuple(changes), revision)


def active_contracts(connection: Connection, files: Sequence[Contract]) -> list[Contract]:
    """What loader and producers work by: the package's contracts and the registered ones.

    Of one stream the higher version counts. Paused streams are in it.
    """
    active = {each.stream: each for each in files}
    for stored in registered_streams(connection):
        if stored.contract is None:
            continue
        ours = active.get(stored.stream)
        # Without the second half a stream whose file is gone would be loaded for ever.
        if ours is None and stored.origin != "registered":
            continue
        if ours is None or _is_ahead(stored.contract, ours):
            active[stored.stream] = stored.contract
    return list(active.values())


def registered_streams(connection: Connection) -> list[RegisteredStream]:
    """All rows of `streaming.streams`, by name; none before the table exists."""
    if connection.execute("select to_regclass('streaming.streams')").fetchone() == (None,):
        return []
    rows = connection.execute(
        """select stream, topic, table_name, contract, origin, paused, revision
           from streaming.streams order by stream"""
    ).fetchall()
    return [_registered(row) for row in rows]


def registered_stream(connection: Connection, stream: str) -> RegisteredStream | None:
    """One row of `streaming.streams`, or None."""
    return next((each for each in registered_streams(connection) if each.stream == stream), None)


def known_stream(connection: Connection, stream: str) -> RegisteredStream:
    """One row of `streaming.streams`. Raises InputError when there is no such stream."""
    found = registered_streams(connection)
    for each in found:
        if each.stream == stream:
            return each
    known = ", ".join(each.stream for each in found) or "none yet"
    raise InputError(f"there is no stream {stream!r}", next_step=f"Known are {known}")


def registry_revision(connection: Connection) -> int:
    """A number that grows with every change of the registry; cheap enough for every second."""
    row = connection.execute("select coalesce(max(revision), 0) from streaming.streams").fetchone()
    assert row is not None
    return int(str(row[0]))


def paused_streams(connection: Connection) -> set[str]:
    """Streams that an operator has paused: their messages wait in Kafka."""
    return {str(name) for (name,) in connection.execute(
        "select stream from streaming.streams where paused")}  # fmt: skip


def lock_registry(connection: Connection) -> None:
    """One change at a time, until the transaction ends.

    A revision that commits after a higher one would go unseen.
    """
    connection.execute("select pg_advisory_xact_lock(%s)", (tables.SCHEMA_LOCK,))


def _registered(row: Sequence[object]) -> RegisteredStream:
    stream, topic, table, document, origin, paused, revision = row
    contract = None
    if document is not None:
        contract = read_contract_text(str(document), _PLACE / str(stream)).on_topic(str(topic))
    return RegisteredStream(
        stream=str(stream),
        topic=str(topic),
        table=str(table),
        contract=contract,
        document=None if document is None else str(document),
        origin=str(origin),
        paused=bool(paused),
        revision=int(str(revision)),
    )


def _is_ahead(one: Contract, other: Contract) -> bool:
    return version_number(one) > version_number(other)


def _refuse_taken(connection: Connection, contract: Contract) -> None:
    row = connection.execute(
        """select stream, topic from streaming.streams
           where stream <> %s and (topic = %s or table_name = %s) order by stream limit 1""",
        (contract.stream, contract.topic, contract.table),
    ).fetchone()
    if row is not None:
        owner, topic = row
        what = "topic" if topic == contract.topic else "table"
        name = contract.topic if what == "topic" else contract.table
        raise InputError(f"{what} {name!r} is taken by stream {owner}", where=str(contract.file))
    _refuse_other_relation(connection, contract)


def _refuse_other_relation(connection: Connection, contract: Contract) -> None:
    """A table named like one of the loader's own would be extended and filled with messages."""
    row = connection.execute(
        """select bool_or(attname = '_partition_id') from pg_attribute
           where attrelid = to_regclass(%s)""",
        (f"{tables.SCHEMA}.{contract.table}",),
    ).fetchone()
    if row == (False,):
        raise InputError(
            f"streaming.{contract.table} exists and is no table of messages",
            where=f"{contract.file}: schema.name",
            next_step="Give the table another name",
        )


def _extend_table(connection: Connection, contract: Contract) -> None:
    # A long query on the table would let everybody else's wait behind ours.
    connection.execute("set local lock_timeout = '2s'")
    try:
        tables.create_raw_table(connection, contract)
        for name in _needlessly_required(connection, contract):
            connection.execute(
                sql.SQL("alter table {} alter column {} drop not null").format(
                    tables.raw_table(contract), sql.Identifier(name)
                )
            )
    except psycopg.errors.LockNotAvailable as error:
        raise ServiceError(
            "is in use by a long query, so that no column can be added",
            where=f"{tables.SCHEMA}.{contract.table}",
            next_step="Try again in a minute",
        ) from error


def _needlessly_required(connection: Connection, contract: Contract) -> list[str]:
    """Columns that take no NULL though the contract lets their field be absent."""
    optional = [each.name for each in contract.columns if not each.required]
    rows = connection.execute(
        """select attname from pg_attribute
           where attrelid = to_regclass(%s) and attnotnull and attname = any(%s)""",
        (f"{tables.SCHEMA}.{contract.table}", optional),
    )
    return [str(name) for (name,) in rows]


def _store(connection: Connection, contract: Contract, document: str, origin: Origin) -> int:
    row = connection.execute(
        """insert into streaming.streams as known
               (stream, topic, table_name, contract_version, event_time, freshness_seconds,
                contract, origin, revision)
           values (%(stream)s, %(topic)s, %(table)s, %(version)s, %(event_time)s, %(freshness)s,
                   %(document)s, %(origin)s, nextval('streaming.streams_revision'))
           on conflict (stream) do update set
               contract_version = excluded.contract_version,
               freshness_seconds = excluded.freshness_seconds, contract = excluded.contract,
               origin = excluded.origin, revision = excluded.revision, registered_at = now()
           returning revision""",
        {
            "stream": contract.stream,
            "topic": contract.topic,
            "table": contract.table,
            "version": contract.version,
            "event_time": contract.event_time,
            "freshness": contract.freshness_seconds,
            "document": document,
            "origin": origin,
        },
    ).fetchone()
    assert row is not None
    return int(str(row[0]))
