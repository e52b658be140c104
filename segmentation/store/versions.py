"""Segments and their versions: created, activated, reverted, retired, each in one transaction.

The audit log gets its row in the same transaction. Functions take any connection that may write
to `segmentation` and `access`, and commit nothing that they did not begin: within a transaction of
the caller they are a part of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from psycopg.types.json import Jsonb
from pydantic import ValidationError

from insight.audit import Author as Author
from insight.audit import record
from insight.database import Connection
from insight.errors import InputError, IntegrityError
from segmentation.queries.run import open_catalogue
from segmentation.rules.canonical import spec_sha
from segmentation.rules.catalogue import Catalogue
from segmentation.rules.checks import Finding, errors
from segmentation.rules.spec import Rule, segments_of
from segmentation.store.configuration import make_configuration
from segmentation.store.tables import lock_store

_COLUMNS = (
    "segment, version, status, spec, spec_sha, configuration, base_version, author, message,"
    " created_at, activated_at, retired_at"
)


class UnknownSegmentError(InputError):
    """There is no such segment, or no such version of it."""


class ConflictError(InputError):
    """Somebody else was quicker, or another segment stands in the way: look again."""


class InvalidSegmentError(InputError):
    """The rule does not fit what is known now; `findings` are all errors, with their places."""

    def __init__(self, rule: Rule, findings: Sequence[Finding]):
        self.findings = tuple(findings)
        more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
        super().__init__(
            f"{findings[0].message}{more}", where=f"{rule.name}: {findings[0].pointer}"
        )


@dataclass(frozen=True)
class SegmentVersion:
    """A row of `segmentation.segment_versions`."""

    segment: str
    version: int
    status: str
    rule: Rule
    spec_sha: str
    configuration: Mapping[str, object]
    base_version: int | None
    author: str
    message: str
    created_at: datetime
    activated_at: datetime | None
    retired_at: datetime | None


def create_version(
    connection: Connection,
    rule: Rule,
    by: Author,
    *,
    base_version: int | None = None,
    message: str = "",
) -> SegmentVersion:
    """Keep a rule as a draft: of a new segment, or after `base_version` of one that exists.

    Raises ConflictError when that is not the newest version, InvalidSegmentError for errors of
    meaning: other segments that it reads must be active.
    """
    with connection.transaction():
        lock_store(connection)
        newest = newest_version(connection, rule.name)
        _refuse_other_base(rule.name, newest, base_version)
        if newest is None:
            connection.execute(
                "insert into segmentation.segments (segment, created_by) values (%s, %s)",
                (rule.name, by.actor),
            )
        created = _insert(connection, rule, by, newest or 0, base_version, message)
        _audit(connection, by, "segment.create", created)
        return created


def activate(
    connection: Connection, segment: str, by: Author, *, version: int | None = None
) -> SegmentVersion:
    """Make a draft, by default the newest version, the one that counts; the active one retires.

    A version that is active already stays so. Raises UnknownSegmentError; InputError for one that
    was retired; InvalidSegmentError when it does not fit what is known now.
    """
    with connection.transaction():
        lock_store(connection)
        found = read_version(connection, segment, version)
        if found.status == "active":
            return found
        if found.status == "retired":
            raise InputError(
                f"version {found.version} was retired",
                where=segment,
                next_step=f"Run: insight segments revert {segment} --to {found.version}",
            )
        _refuse_invalid(connection, found.rule)
        before = _retire_active(connection, segment)
        connection.execute(
            """update segmentation.segment_versions set status = 'active', activated_at = now()
               where segment = %s and version = %s""",
            (segment, found.version),
        )
        active = read_version(connection, segment, found.version)
        _audit(connection, by, "segment.activate", active, before=before)
        return active


def revert(
    connection: Connection,
    segment: str,
    by: Author,
    *,
    to_version: int,
    base_version: int | None = None,
    message: str = "",
) -> SegmentVersion:
    """Make the rule of an old version count again: as a new version, which becomes active.

    Raises what `create_version` and `activate` raise; `base_version` is checked when it is given.
    """
    with connection.transaction():
        lock_store(connection)
        old = read_version(connection, segment, to_version)
        newest = newest_version(connection, segment)
        assert newest is not None
        if base_version is not None:
            _refuse_other_base(segment, newest, base_version)
        told = message or f"Back to version {to_version}"
        created = _insert(connection, old.rule, by, newest, newest, told)
        _audit(connection, by, "segment.revert", created, to_version=to_version)
        return activate(connection, segment, by, version=created.version)


def retire(connection: Connection, segment: str, by: Author) -> SegmentVersion:
    """Take the active version out of use: everybody leaves the segment, its versions stay.

    Raises ConflictError when an active segment reads it, InputError when no version is active.
    """
    with connection.transaction():
        lock_store(connection)
        read_version(connection, segment, None)
        active = active_rules(connection)
        if segment not in active:
            raise InputError("has no active version", where=segment)
        if readers := [name for name, rule in active.items() if segment in segments_of(rule.rule)]:
            raise ConflictError(
                f"is read by active segments: {', '.join(readers)}",
                where=segment,
                next_step="Retire those first, or activate versions that do not read it",
            )
        version = _retire_active(connection, segment)
        retired = read_version(connection, segment, version)
        _audit(connection, by, "segment.retire", retired)
        return retired


def newest_version(connection: Connection, segment: str) -> int | None:
    """The number of the newest version; None when there is no such segment."""
    row = connection.execute(
        "select max(version) from segmentation.segment_versions where segment = %s", (segment,)
    ).fetchone()
    return None if row is None or row[0] is None else int(str(row[0]))


def read_version(
    connection: Connection, segment: str, version: int | None = None
) -> SegmentVersion:
    """One version, by default the newest. Raises UnknownSegmentError."""
    row = connection.execute(
        f"""select {_COLUMNS} from segmentation.segment_versions
            where segment = %(segment)s and version = coalesce(%(version)s, version)
            order by version desc limit 1""",  # noqa: S608 (a constant)
        {"segment": segment, "version": version},
    ).fetchone()
    if row is not None:
        return _version(row)
    if version is not None and newest_version(connection, segment) is not None:
        raise UnknownSegmentError(
            f"has no version {version}",
            where=segment,
            next_step=f"Run: insight segments show {segment}",
        )
    raise UnknownSegmentError(
        f"there is no segment {segment!r}", next_step="Run: insight segments list"
    )


def versions(connection: Connection, segment: str) -> list[SegmentVersion]:
    """All versions of a segment, the newest first. Raises UnknownSegmentError."""
    rows = connection.execute(
        f"""select {_COLUMNS} from segmentation.segment_versions
            where segment = %s order by version desc""",  # noqa: S608 (a constant)
        (segment,),
    ).fetchall()
    return [_version(row) for row in rows] or [read_version(connection, segment)]


def active_versions(connection: Connection) -> list[SegmentVersion]:
    """The active version of each segment that has one, by name."""
    rows = connection.execute(
        f"""select {_COLUMNS} from segmentation.segment_versions
            where status = 'active' order by segment"""  # noqa: S608 (a constant)
    )
    return [_version(row) for row in rows]


def active_rules(connection: Connection) -> dict[str, Rule]:
    """The rules that count, by name; none before the store exists. What `open_catalogue` takes."""
    found = connection.execute("select to_regclass('segmentation.segment_versions')").fetchone()
    return {} if found == (None,) else {e.segment: e.rule for e in active_versions(connection)}


def configuration_sequence(connection: Connection) -> int:
    """A number that grows with every change of what is active; cheap enough for every second."""
    row = connection.execute(
        "select coalesce(max(configuration_sequence), 0) from segmentation.segments"
    ).fetchone()
    assert row is not None
    return int(str(row[0]))


def _insert(
    connection: Connection,
    rule: Rule,
    by: Author,
    newest: int,
    base_version: int | None,
    message: str,
) -> SegmentVersion:
    catalogue = _refuse_invalid(connection, rule)
    row = connection.execute(
        f"""insert into segmentation.segment_versions
                (segment, version, spec, spec_sha, configuration, base_version, author, message)
            values (%s, %s, %s, %s, %s, %s, %s, %s) returning {_COLUMNS}""",  # noqa: S608
        (
            rule.name,
            newest + 1,
            Jsonb(rule.model_dump(mode="json", exclude_none=True)),
            spec_sha(rule),
            Jsonb({"version": newest + 1, **make_configuration(rule, catalogue)}),
            base_version,
            by.actor,
            message,
        ),
    ).fetchone()
    assert row is not None
    return _version(row)


def _retire_active(connection: Connection, segment: str) -> int | None:
    row = connection.execute(
        """update segmentation.segment_versions set status = 'retired', retired_at = now()
           where segment = %s and status = 'active' returning version""",
        (segment,),
    ).fetchone()
    return None if row is None else int(str(row[0]))


def _refuse_other_base(segment: str, newest: int | None, base_version: int | None) -> None:
    if newest == base_version:
        return
    if newest is None:
        raise UnknownSegmentError(f"there is no segment {segment!r}, so it has no version to edit")
    edited = "exists" if base_version is None else f"version {base_version} is not the newest"
    raise ConflictError(
        f"{edited}: version {newest} is there",
        where=segment,
        next_step=f"Look at it with insight segments show {segment}, then edit that one",
    )


def _refuse_invalid(connection: Connection, rule: Rule) -> Catalogue:
    catalogue = open_catalogue(connection, active_rules(connection))
    if found := errors(rule, catalogue):
        raise InvalidSegmentError(rule, found)
    return catalogue


def _audit(
    connection: Connection, by: Author, action: str, version: SegmentVersion, **more: object
) -> None:
    detail = {
        "version": version.version,
        "spec_sha": version.spec_sha,
        "base_version": version.base_version,
        "message": version.message,
        **more,
    }
    record(connection, by.did(action, f"segment:{version.segment}", detail))


def _version(row: Sequence[object]) -> SegmentVersion:
    segment, number, status, spec, sha, configuration, base, author, message, *times = row
    created_at, activated_at, retired_at = (cast(datetime | None, each) for each in times)
    assert created_at is not None
    return SegmentVersion(
        segment=str(segment),
        version=int(str(number)),
        status=str(status),
        rule=_rule(spec, f"{segment} version {number}"),
        spec_sha=str(sha),
        configuration=cast(Mapping[str, object], configuration),
        base_version=None if base is None else int(str(base)),
        author=str(author),
        message=str(message),
        created_at=created_at,
        activated_at=activated_at,
        retired_at=retired_at,
    )


def _rule(spec: object, place: str) -> Rule:
    try:
        return Rule.model_validate(spec)
    except ValidationError as error:
        raise IntegrityError(
            f"holds no rule ({error.errors()[0]['msg']})",
            where=f"segmentation.segment_versions, {place}",
        ) from error
