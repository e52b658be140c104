"""What the runtime has found, for those who ask: members, changes, segments of one customer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from insight.database import Connection
from segmentation.queries.due import next_due
from segmentation.queries.evaluator import LeafResult, evaluate
from segmentation.queries.plan import make_plan
from segmentation.queries.run import default_as_of, open_catalogue, read_customer
from segmentation.rules.sentences import condition_sentence
from segmentation.store.versions import SegmentVersion, active_rules, read_version

MOST = 1_000


@dataclass(frozen=True)
class Member:
    """A customer in a segment, and as of when they entered."""

    customer_id: str
    since: datetime


@dataclass(frozen=True)
class Change:
    """A customer entered or left; evidence has an object per condition of that version's rule."""

    change_id: int
    segment: str
    customer_id: str
    version: int
    change: str
    as_of: datetime
    recorded_at: datetime
    evidence: Sequence[Mapping[str, object]] | None


@dataclass(frozen=True)
class SegmentWorker:
    """A process of the role and a segment: the version that it runs, one that it refuses and why.

    Both are one version when its rule cannot be answered now. One that was killed stays for an
    hour, `seen_at` long ago.
    """

    worker: str
    version: int | None
    refused_version: int | None
    reason: str | None
    seen_at: datetime


@dataclass(frozen=True)
class SegmentState:
    """A segment at a glance.

    `active` is the version that counts, `running` the one whose members are there, `as_of` when
    they were asked; `refused` says why the runtime does not run the active one. `workers` are
    those at work, the one seen last first; those that wait run nothing.
    """

    segment: str
    newest: int
    active: int | None
    running: int | None
    members: int
    as_of: datetime | None
    refused: str | None
    workers: tuple[SegmentWorker, ...]


@dataclass(frozen=True)
class Reason:
    """Why a customer is in a segment or not: the result, and each condition with what was found.

    `is_member` is what the runtime says; `changes_at` when the result changes without new events.
    """

    version: SegmentVersion
    customer_id: str
    as_of: datetime
    matches: bool
    is_member: bool
    conditions: tuple[tuple[str, LeafResult], ...]
    changes_at: datetime | None


def list_segments(connection: Connection) -> list[SegmentState]:
    """All segments by rule, by name."""
    rows = connection.execute(
        """select
               segment,
               max(version.version),
               max(version.version) filter (where version.status = 'active'),
               pipeline.version,
               (select count(*) from segmentation.current_members as member
                where member.segment = version.segment),
               pipeline.as_of
           from segmentation.segment_versions as version
           left join segmentation.pipelines as pipeline using (segment)
           group by version.segment, pipeline.version, pipeline.as_of
           order by segment"""
    ).fetchall()
    workers = _workers(connection)
    found = []
    for row in rows:
        at_work = tuple(workers.get(str(row[0]), ()))
        refused = at_work[0].reason if at_work else None
        found.append(SegmentState(*row, refused, at_work))  # type: ignore[arg-type, call-arg]
    return found


def _workers(connection: Connection) -> dict[str, list[SegmentWorker]]:
    """Of each segment, the one seen last first."""
    # What one that lost its session told before stands there while it waits to be at work again.
    rows = connection.execute(
        """select segment, worker, version, refused_version, reason, seen_at
           from segmentation.rule_worker_versions
           join segmentation.rule_workers as process using (worker)
           where process.state = 'at work' order by seen_at desc, worker"""
    )
    found: dict[str, list[SegmentWorker]] = {}
    for segment, *told in rows:
        found.setdefault(str(segment), []).append(SegmentWorker(*told))  # type: ignore[arg-type]
    return found


def list_members(
    connection: Connection, segment: str, *, after: str = "", limit: int = 100
) -> list[Member]:
    """Members in the order of their ids, those after `after`; at most `MOST`.

    Raises UnknownSegmentError.
    """
    read_version(connection, segment)
    rows = connection.execute(
        """select customer_id, since from segmentation.current_members
           where segment = %s and customer_id > %s order by customer_id limit %s""",
        (segment, after, min(limit, MOST)),
    )
    return [Member(*row) for row in rows]  # type: ignore[arg-type]


def list_changes(
    connection: Connection,
    segment: str | None = None,
    *,
    customer: str | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[Change]:
    """Who entered and left, the newest first, those before the id `before`; at most `MOST`.

    Raises UnknownSegmentError.
    """
    if segment is not None:
        read_version(connection, segment)
    conditions = {
        "segment = %(segment)s": segment,
        "customer_id = %(customer)s": customer,
        "change_id < %(before)s": before,
    }
    where = " and ".join(text for text, value in conditions.items() if value is not None)
    rows = connection.execute(
        f"""select change_id, segment, customer_id, version, change, as_of, recorded_at, evidence
            from segmentation.membership_changes where {where or "true"}
            order by change_id desc limit %(limit)s""".encode(),  # noqa: S608 (constants)
        {
            "segment": segment,
            "customer": customer,
            "before": before,
            "limit": min(limit, MOST),
        },
    )
    return [Change(*row) for row in rows]  # type: ignore[arg-type]


def segments_of_customer(connection: Connection, customer: str) -> list[tuple[str, datetime]]:
    """The segments that a customer is in, by name, and as of when they entered."""
    rows = connection.execute(
        """select segment, since from segmentation.current_members
           where customer_id = %s order by segment""",
        (customer,),
    )
    return [(str(segment), cast(datetime, since)) for segment, since in rows]


def why(
    connection: Connection,
    segment: str,
    customer: str,
    *,
    version: int | None = None,
    as_of: datetime | None = None,
) -> Reason:
    """Why a customer is in a segment or not, by the plain evaluator.

    By default of the version that runs, as of when it was asked last; of one that never ran as of
    the newest event. Raises UnknownSegmentError, InputError for errors of meaning.
    """
    place = connection.execute(
        "select version, as_of from segmentation.pipelines where segment = %s", (segment,)
    ).fetchone()
    running = None if place is None else cast(int, place[0])
    found = read_version(connection, segment, version or running)
    catalogue = open_catalogue(connection, active_rules(connection))
    if as_of is None:
        runs = place is not None and found.version == running
        as_of = (
            cast(datetime, place[1])
            if place is not None and runs
            else default_as_of(connection, found.rule, catalogue)
        )
    plan = make_plan(found.rule, catalogue)
    known = read_customer(connection, plan, catalogue, customer)
    result = evaluate(plan, catalogue, known, as_of)
    return Reason(
        version=found,
        customer_id=customer,
        as_of=as_of,
        matches=result.matches,
        is_member=segment in {name for name, _ in segments_of_customer(connection, customer)},
        conditions=tuple((condition_sentence(each.leaf), each) for each in result.leaves),
        changes_at=next_due(plan, catalogue, known, as_of),
    )
