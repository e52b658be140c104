"""Segments and their versions: listed, compared, written and edited.

An edit names the version it began from in `If-Match`; when another one is the newest by now, it is
a 409.
"""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from insight.database import Connection
from segmentation.rules.spec import Rule
from segmentation.runtime import membership
from segmentation.store import versions as store
from segmentation.store.differences import differences
from segmentation.store.versions import SegmentVersion
from serving.access.permissions import Principal
from serving.api.models.segments import (
    RuleDifference,
    RuleDifferences,
    SegmentByRule,
    SegmentDraft,
    SegmentsByRule,
    VersionOfSegment,
    VersionsOfSegment,
)
from serving.api.pages import json_answer
from serving.api.problems import InvalidPart, Problem
from serving.api.repetition import IdempotencyKey
from serving.api.routes.identifiers import SegmentPath
from serving.api.routes.segments.callers import TAGS, Reader, Version, Writer, reader_of
from serving.api.routes.segments.changes import IfMatch, changed, version_number
from serving.api.routes.segments.shown import version_answer, version_shown
from serving.api.rules import ask, read_rule
from serving.api.state import author_of

router = APIRouter(prefix="/segments", tags=TAGS)


@router.get("", response_model=SegmentsByRule)
async def segments_by_rule(request: Request, _: Reader) -> Response:
    """All segments by rule, with their versions and sizes."""
    found = await ask(reader_of(request), membership.list_segments)
    items = [SegmentByRule.model_validate(each, from_attributes=True) for each in found]
    return json_answer(SegmentsByRule(items=items))


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
    found = await ask(
        reader_of(request), lambda connection: store.read_version(connection, segment)
    )
    return version_answer(request, principal, found)


@router.get("/{segment}/versions", response_model=VersionsOfSegment)
async def versions(request: Request, principal: Reader, segment: SegmentPath) -> Response:
    """All versions of a segment, the newest first."""
    found = await ask(reader_of(request), lambda connection: store.versions(connection, segment))
    items = [version_shown(request, principal, each) for each in found]
    return json_answer(VersionsOfSegment(items=items))


@router.get("/{segment}/versions/{version}", response_model=VersionOfSegment)
async def version(
    request: Request, principal: Reader, segment: SegmentPath, version: Version
) -> Response:
    """One version of a segment."""
    found = await ask(
        reader_of(request), lambda connection: store.read_version(connection, segment, version)
    )
    return version_answer(request, principal, found)


@router.get("/{segment}/versions/{version}/differences", response_model=RuleDifferences)
async def version_differences(
    request: Request, principal: Reader, segment: SegmentPath, version: Version
) -> Response:
    """Where a version differs from the one that it was made from; none for a first version."""

    def shown(found: SegmentVersion) -> Rule:
        # A masked rule is a rule; of a difference alone nobody could say what is a customer's id.
        return Rule.model_validate(version_shown(request, principal, found).rule)

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

    return json_answer(await ask(reader_of(request), work))


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
    base = version_number(if_match)
    return await _kept(request, principal, rule, draft.message, base, idempotency_key)


async def _kept(
    request: Request,
    principal: Principal,
    rule: Rule,
    message: str,
    base_version: int | None,
    idempotency_key: str | None,
) -> Response:
    author = author_of(request, principal)

    def work(connection: Connection) -> SegmentVersion:
        return store.create_version(
            connection, rule, author, base_version=base_version, message=message
        )

    return await changed(request, principal, work, idempotency_key, status=201)
