"""Segments by rule: written in versions, tried, activated, and their members with the reasons.

An edit names the version it began from in `If-Match`; when another one is the newest by now, it is
a 409.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, cast

from fastapi import APIRouter, Header, Path
from psycopg import sql
from pydantic import JsonValue, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from insight.database import Connection, DatabaseEndpoint
from segmentation.queries import run
from segmentation.queries.plan import make_plan
from segmentation.rules.lint import lint
from segmentation.rules.schema import schema_text
from segmentation.rules.sentences import rule_sentence
from segmentation.rules.spec import Rule
from segmentation.runtime import membership
from segmentation.runtime.cache import cache_key
from segmentation.store import versions as store
from segmentation.store.differences import differences
from segmentation.store.versions import Author, SegmentVersion
from serving.access.permissions import Permission, Principal
from serving.api.gate import Needs
from serving.api.models.segments import (
    Activation,
    CheckedRule,
    ConditionCount,
    ConditionReason,
    MembershipChange,
    MembershipReason,
    Memberships,
    Question,
    Reversion,
    RuleDifference,
    RuleDifferences,
    RuleExplanation,
    RuleFinding,
    RuleMovement,
    RulePreview,
    SegmentByRule,
    SegmentDraft,
    SegmentMember,
    SegmentsByRule,
    SharedMembers,
    SharedMembersList,
    VersionOfSegment,
    VersionsOfSegment,
)
from serving.api.pages import Cursor, Filter, Limit, Listing, Page, json_answer
from serving.api.problems import InvalidPart, Problem
from serving.api.redis_link import RedisAwayError
from serving.api.repetition import IdempotencyKey
from serving.api.routes.identifiers import CustomerPath, SegmentPath
from serving.api.rules import Work, ask, change, read_rule
from serving.api.state import Serving, serving_of

router = APIRouter(prefix="/segments", tags=["segments by rule"])
# Beside them, because below a segment could have the name.
rules_router = APIRouter(tags=["segments by rule"])

Reader = Annotated[Principal, Needs(Permission.segments_read)]
Writer = Annotated[Principal, Needs(Permission.segments_write)]
Activator = Annotated[Principal, Needs(Permission.segments_activate)]
Finder = Annotated[Principal, Needs(Permission.customers_read)]

Version = Annotated[int, Path(ge=1, le=2**31 - 1, description="A version's number.", examples=[1])]
IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=20,
        pattern='^"[0-9]{1,9}"$',
        description="Number of the version that was edited.",
        examples=['"2"'],
    ),
]

SOURCE = "X-Source"
_MEMBERS = Listing("segmentation", "current_members", SegmentMember, key=("customer_id",))
_CHANGES = Listing(
    "segmentation", "membership_changes", MembershipChange, key=("change_id",), is_descending=True
)
_KNOWN = sql.SQL("select segment from segmentation.segments where segment = %s")
_MEMBERSHIPS = sql.SQL(
    """select member.segment, pipeline.version, member.since
       from segmentation.current_members as member
       join segmentation.pipelines as pipeline using (segment)
       where member.customer_id = %s order by member.segment"""
)
_SHARED = sql.SQL(
    """with sizes as (
           select segment, count(*) as customers
           from segmentation.current_members group by segment
       ),
       shared as (
           select one.segment, two.segment as other, count(*) as customers
           from segmentation.current_members as one
           join segmentation.current_members as two
               on two.customer_id = one.customer_id and two.segment > one.segment
           group by one.segment, two.segment
       )
       select shared.segment, other, one.customers, two.customers as other_customers,
           shared.customers as shared,
           round(shared.customers::numeric / (one.customers + two.customers - shared.customers), 4)
               as jaccard
       from shared join sizes as one on one.segment = shared.segment
       join sizes as two on two.segment = shared.other
       order by shared.segment, other"""
)


@router.get("", response_model=SegmentsByRule)
async def segments_by_rule(request: Request, _: Reader) -> Response:
    """All segments by rule, with their versions and sizes."""
    found = await ask(_reader(request), membership.list_segments)
    items = [SegmentByRule.model_validate(each, from_attributes=True) for each in found]
    return json_answer(SegmentsByRule(items=items))


@rules_router.get("/rules/schema", response_model=dict[str, JsonValue])
async def rule_schema(_: Reader) -> Response:
    """The JSON Schema of a rule."""
    return Response(schema_text(), media_type="application/json")


@rules_router.get("/segment-overlap", response_model=SharedMembersList)
async def shared_members(request: Request, _: Reader) -> Response:
    """Pairs of segments that share customers: counts, and Jaccard's index."""
    rows = await serving_of(request).warehouse.rows(_SHARED)
    return json_answer(SharedMembersList(items=[SharedMembers.model_validate(row) for row in rows]))


@rules_router.post("/rules/validate", response_model=CheckedRule)
async def validate(request: Request, _: Writer, question: Question) -> Response:
    """A rule in words, with errors and warnings; nothing is counted."""
    rule = read_rule(question.rule)

    def work(connection: Connection) -> CheckedRule:
        catalogue = run.open_catalogue(connection, store.active_rules(connection))
        return CheckedRule(
            sentence=rule_sentence(rule),
            findings=[
                RuleFinding.model_validate(each, from_attributes=True)
                for each in lint(rule, catalogue)
            ],
        )

    return json_answer(await ask(_owner(request), work))


@rules_router.post("/rules/preview", response_model=RulePreview)
async def preview(request: Request, _: Writer, question: Question) -> Response:
    """How many customers a rule has, for each condition too, and against the active version."""
    rule = read_rule(question.rule)
    answer = await ask(
        _owner(request), lambda connection: _preview(connection, rule, _utc(question.as_of))
    )
    return json_answer(answer)


@rules_router.post("/rules/explain", response_model=RuleExplanation)
async def explain(request: Request, _: Writer, question: Question) -> Response:
    """A rule in words, its SQL for Postgres and Spark, parameters and plan; nothing is counted."""
    rule = read_rule(question.rule)
    answer = await ask(
        _owner(request), lambda connection: _explain(connection, rule, _utc(question.as_of))
    )
    return json_answer(answer)


@router.post("", response_model=VersionOfSegment, status_code=201)
async def create(
    request: Request, principal: Writer, draft: SegmentDraft, idempotency_key: IdempotencyKey = None
) -> Response:
    """Keep a rule as the first version of a new segment. It counts once it is activated."""
    rule = read_rule(draft.rule)
    return await _kept(request, principal, rule, draft.message, None, idempotency_key)


@router.get("/{segment}", response_model=VersionOfSegment)
async def segment_version(request: Request, principal: Reader, segment: SegmentPath) -> Response:
    """The newest version of a segment; an edit names its number in `If-Match`."""
    found = await ask(_reader(request), lambda connection: store.read_version(connection, segment))
    return _answer(request, principal, found)


@router.get("/{segment}/versions", response_model=VersionsOfSegment)
async def versions(request: Request, principal: Reader, segment: SegmentPath) -> Response:
    """All versions of a segment, the newest first."""
    found = await ask(_reader(request), lambda connection: store.versions(connection, segment))
    items = [_shown(request, principal, each) for each in found]
    return json_answer(VersionsOfSegment(items=items))


@router.get("/{segment}/versions/{version}", response_model=VersionOfSegment)
async def version(
    request: Request, principal: Reader, segment: SegmentPath, version: Version
) -> Response:
    """One version of a segment."""
    found = await ask(
        _reader(request), lambda connection: store.read_version(connection, segment, version)
    )
    return _answer(request, principal, found)


@router.get("/{segment}/versions/{version}/differences", response_model=RuleDifferences)
async def version_differences(
    request: Request, principal: Reader, segment: SegmentPath, version: Version
) -> Response:
    """Where a version differs from the one that it was made from; none for a first version."""

    def shown(found: SegmentVersion) -> Rule:
        # A masked rule is a rule; of a difference alone nobody could say what is a customer's id.
        return Rule.model_validate(_shown(request, principal, found).rule)

    def work(connection: Connection) -> RuleDifferences:
        found = store.read_version(connection, segment, version)
        if found.base_version is None:
            return RuleDifferences(items=[])
        base = store.read_version(connection, segment, found.base_version)
        return RuleDifferences(
            items=[
                RuleDifference.model_validate(each, from_attributes=True)
                for each in differences(shown(base), shown(found))
            ]
        )

    return json_answer(await ask(_reader(request), work))


@router.post("/{segment}/versions", response_model=VersionOfSegment, status_code=201)
async def edit(
    request: Request,
    principal: Writer,
    segment: SegmentPath,
    draft: SegmentDraft,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Keep a rule as the next version: a draft. 409 when `If-Match` is not the newest any more."""
    rule = read_rule(draft.rule)
    if rule.name != segment:
        part = InvalidPart(where="rule/name", message=f"is not {segment}")
        raise Problem(422, "invalid-rule", "The rule has another name.", errors=[part])
    if if_match is None:
        detail = 'Say which version was edited, for instance If-Match: "2".'
        raise Problem(428, "no-if-match", detail)
    base = _number(if_match)
    return await _kept(request, principal, rule, draft.message, base, idempotency_key)


@router.post("/{segment}/activate", response_model=VersionOfSegment)
async def activate(
    request: Request,
    principal: Activator,
    segment: SegmentPath,
    activation: Activation,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Make a draft the version that counts; the runtime takes it up within two seconds."""
    author = _author(request, principal)

    def work(connection: Connection) -> SegmentVersion:
        return store.activate(connection, segment, author, version=activation.version)

    return await _changed(request, principal, work, idempotency_key)


@router.post("/{segment}/revert", response_model=VersionOfSegment)
async def revert(
    request: Request,
    principal: Activator,
    segment: SegmentPath,
    reversion: Reversion,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Make the rule of an old version count again, as a new version.

    409 when `If-Match` is given and not the newest any more.
    """
    author = _author(request, principal)

    def work(connection: Connection) -> SegmentVersion:
        return store.revert(
            connection,
            segment,
            author,
            to_version=reversion.to_version,
            base_version=_number(if_match),
            message=reversion.message,
        )

    return await _changed(request, principal, work, idempotency_key)


@router.post("/{segment}/retire", response_model=VersionOfSegment)
async def retire(
    request: Request,
    principal: Activator,
    segment: SegmentPath,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Take the active version out of use: everybody leaves. 409 while another segment reads it."""
    author = _author(request, principal)

    def work(connection: Connection) -> SegmentVersion:
        return store.retire(connection, segment, author)

    return await _changed(request, principal, work, idempotency_key)


@router.get("/{segment}/members", response_model=Page[SegmentMember])
async def members(
    request: Request,
    principal: Reader,
    segment: SegmentPath,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Who is in a segment, by customer."""
    return await _page(request, principal, _MEMBERS, segment, limit, cursor)


@router.get("/{segment}/history", response_model=Page[MembershipChange])
async def history(
    request: Request,
    principal: Reader,
    segment: SegmentPath,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Who entered and left, the newest first, with what was found of them."""
    return await _page(request, principal, _CHANGES, segment, limit, cursor)


@router.get("/{segment}/customers/{customer_id}", response_model=MembershipReason)
async def why(
    request: Request, _: Finder, segment: SegmentPath, customer_id: CustomerPath
) -> Response:
    """Why a customer is in a segment or not: each condition, with what was found."""

    def work(connection: Connection) -> MembershipReason:
        found = membership.why(connection, segment, customer_id)
        return MembershipReason(
            segment=segment,
            version=found.version.version,
            customer_id=customer_id,
            as_of=found.as_of,
            matches=found.matches,
            is_member=found.is_member,
            conditions=[
                ConditionReason(
                    condition=sentence,
                    holds=each.holds,
                    found=None if each.found is None else str(each.found),
                    events=each.events,
                )
                for sentence, each in found.conditions
            ],
            changes_at=found.changes_at,
        )

    return json_answer(await ask(_owner(request), work))


@rules_router.get(
    "/customers/{customer_id}/segments",
    response_model=Memberships,
    responses={
        200: {
            "headers": {
                SOURCE: {
                    "description": "redis, or postgres when Redis is away or lacks the customer.",
                    "schema": {"type": "string", "enum": ["redis", "postgres"]},
                    "required": True,
                }
            }
        }
    },
)
async def customer_segments(request: Request, _: Finder, customer_id: CustomerPath) -> Response:
    """The segments by rule of one customer: one read from Redis; without Redis, from Postgres."""
    serving = serving_of(request)
    cached = await _cached(serving, customer_id)
    if cached is not None:
        serving.meter.segment_read("redis")
        return json_answer(cached, headers={SOURCE: "redis"})
    rows = await serving.warehouse.rows(_MEMBERSHIPS, (customer_id,))
    serving.meter.segment_read("postgres")
    answer = Memberships.model_validate(
        {"customer_id": customer_id, "segments": rows, "updated_at": datetime.now(UTC)}
    )
    return json_answer(answer, headers={SOURCE: "postgres"})


async def _cached(serving: Serving, customer_id: str) -> Memberships | None:
    """What Redis has of this customer; None when that is nothing, or something else."""
    try:
        found = await serving.redis.read(cache_key(customer_id))
    except RedisAwayError:
        return None
    if found is None:
        return None
    try:
        memberships = Memberships.model_validate_json(found)
    except ValidationError:
        return None
    return memberships if memberships.customer_id == customer_id else None


async def _kept(
    request: Request,
    principal: Principal,
    rule: Rule,
    message: str,
    base_version: int | None,
    idempotency_key: str | None,
) -> Response:
    author = _author(request, principal)

    def work(connection: Connection) -> SegmentVersion:
        return store.create_version(
            connection, rule, author, base_version=base_version, message=message
        )

    return await _changed(request, principal, work, idempotency_key, status=201)


async def _changed(
    request: Request,
    principal: Principal,
    work: Work[SegmentVersion],
    idempotency_key: str | None,
    *,
    status: int = 200,
) -> Response:
    async def done() -> Response:
        found = await change(_owner(request), work)
        return _answer(request, principal, found, status=status)

    repetition = serving_of(request).repetition
    return await repetition.once_elsewhere(request, principal, idempotency_key, done)


def _number(if_match: str | None) -> int | None:
    return None if if_match is None else int(if_match.strip('"'))


async def _page(
    request: Request,
    principal: Principal,
    listing: Listing[SegmentMember] | Listing[MembershipChange],
    segment: str,
    limit: int,
    cursor: str | None,
) -> Response:
    serving = serving_of(request)
    if await serving.warehouse.row(_KNOWN, (segment,)) is None:
        raise Problem(404, "no-such-segment", f"there is no segment {segment!r}.")
    return await serving.pager.page(
        cast("Listing[SegmentMember]", listing),
        principal,
        limit=limit,
        cursor=cursor,
        filters=[Filter("segment", "=", segment)],
        may_be_empty=True,
    )


def _preview(connection: Connection, rule: Rule, as_of: datetime | None) -> RulePreview:
    active = store.active_rules(connection)
    catalogue = run.open_catalogue(connection, active)
    # The errors of a rule first: they say more than that nothing has arrived.
    make_plan(rule, catalogue)
    moment = as_of or run.default_as_of(connection, rule, catalogue)
    dedupe = run.notes_in_use(connection, rule, catalogue)
    found = run.preview(connection, rule, catalogue, moment, dedupe)
    return RulePreview(
        as_of=moment,
        customers=found.matched,
        conditions=[
            ConditionCount(condition=each.sentence, customers=each.customers)
            for each in found.leaves
        ],
        samples=list(found.samples),
        change=_movement(connection, rule, active.get(rule.name), moment),
    )


def _movement(
    connection: Connection, rule: Rule, before: Rule | None, as_of: datetime
) -> RuleMovement | None:
    if before is None:
        return None
    catalogue = run.open_catalogue(connection, store.active_rules(connection))
    dedupe = run.notes_in_use(connection, rule, catalogue)
    found = run.movement(connection, rule, before, catalogue, as_of, dedupe)
    (version,) = (
        each.version for each in store.active_versions(connection) if each.segment == rule.name
    )
    return RuleMovement(
        version=version,
        entering=found.entering,
        leaving=found.leaving,
        would_enter=list(found.would_enter),
        would_leave=list(found.would_leave),
    )


def _explain(connection: Connection, rule: Rule, as_of: datetime | None) -> RuleExplanation:
    catalogue = run.open_catalogue(connection, store.active_rules(connection))
    make_plan(rule, catalogue)
    moment = as_of or run.default_as_of(connection, rule, catalogue)
    dedupe = run.notes_in_use(connection, rule, catalogue)
    found = run.explain(connection, rule, catalogue, moment, dedupe)
    return RuleExplanation(
        sentence=found.sentence,
        conditions=list(found.leaves),
        population=list(found.population),
        spec_sha=found.spec_sha,
        as_of=moment,
        sql={dialect.value: query.sql for dialect, query in found.queries.items()},
        parameters={name: _plain(value) for name, value in found.parameters.items()},
        plan=list(found.plan),
    )


def _plain(value: object) -> JsonValue:
    """A parameter as JSON has it: decimals and moments in strings."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Sequence):
        return [_plain(each) for each in value]
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _answer(
    request: Request, principal: Principal, found: SegmentVersion, *, status: int = 200
) -> Response:
    return json_answer(_shown(request, principal, found), status=status)


def _shown(request: Request, principal: Principal, found: SegmentVersion) -> VersionOfSegment:
    document: dict[str, object] = {
        **{name: getattr(found, name) for name in VersionOfSegment.model_fields
           if name not in ("rule", "sentence")},
        "rule": found.rule.model_dump(mode="json", exclude_none=True),
        "sentence": rule_sentence(found.rule),
    }  # fmt: skip
    return VersionOfSegment.model_validate(serving_of(request).shown_rule(document, principal))


def _reader(request: Request) -> DatabaseEndpoint:
    return serving_of(request).options.database.reader


def _owner(request: Request) -> DatabaseEndpoint:
    return serving_of(request).options.owner


def _author(request: Request, principal: Principal) -> Author:
    client = request.client.host if request.client else None
    return Author(principal.actor, request.state.request_id, client)


def _utc(moment: datetime | None) -> datetime | None:
    """A moment without an offset is one in UTC."""
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
