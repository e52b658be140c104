"""Who is in segments by rule, since when and why; and the segments of one customer."""

from datetime import UTC, datetime
from typing import cast

from fastapi import APIRouter
from psycopg import sql
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from insight.database import Connection
from segmentation.runtime import membership
from segmentation.runtime.cache import cache_key
from serving.access.permissions import Principal
from serving.api.models.segments import (
    ConditionReason,
    MembershipChange,
    MembershipReason,
    Memberships,
    SegmentMember,
    SharedMembers,
    SharedMembersList,
)
from serving.api.pages import Cursor, Filter, Limit, Listing, Page, json_answer
from serving.api.problems import Problem
from serving.api.redis_link import RedisAwayError
from serving.api.routes.identifiers import CustomerPath, SegmentPath
from serving.api.routes.segments.callers import TAGS, Finder, Reader, owner_of
from serving.api.routes.sources import FROM_POSTGRES, FROM_REDIS, SOURCE_IS_TOLD
from serving.api.rules import ask
from serving.api.state import Serving, serving_of

router = APIRouter(tags=TAGS)

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


@router.get("/segments/{segment}/members", response_model=Page[SegmentMember])
async def members(
    request: Request,
    principal: Reader,
    segment: SegmentPath,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Who is in a segment, by customer."""
    return await _page(request, principal, _MEMBERS, segment, limit, cursor)


@router.get("/segments/{segment}/history", response_model=Page[MembershipChange])
async def history(
    request: Request,
    principal: Reader,
    segment: SegmentPath,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Who entered and left, the newest first, with what was found of them."""
    return await _page(request, principal, _CHANGES, segment, limit, cursor)


@router.get("/segments/{segment}/customers/{customer_id}", response_model=MembershipReason)
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

    return json_answer(await ask(owner_of(request), work))


@router.get("/segment-overlap", response_model=SharedMembersList)
async def shared_members(request: Request, _: Reader) -> Response:
    """Pairs of segments that share customers: counts, and Jaccard's index."""
    rows = await serving_of(request).warehouse.rows(_SHARED)
    return json_answer(SharedMembersList(items=[SharedMembers.model_validate(row) for row in rows]))


@router.get(
    "/customers/{customer_id}/segments",
    response_model=Memberships,
    responses=SOURCE_IS_TOLD,
)
async def customer_segments(request: Request, _: Finder, customer_id: CustomerPath) -> Response:
    """The segments by rule of one customer: one read from Redis; without Redis, from Postgres."""
    serving = serving_of(request)
    cached = await _cached(serving, customer_id)
    if cached is not None:
        serving.meter.segment_read("redis")
        return json_answer(cached, headers=FROM_REDIS)
    rows = await serving.warehouse.rows(_MEMBERSHIPS, (customer_id,))
    serving.meter.segment_read("postgres")
    answer = Memberships.model_validate(
        {"customer_id": customer_id, "segments": rows, "updated_at": datetime.now(UTC)}
    )
    return json_answer(answer, headers=FROM_POSTGRES)


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
