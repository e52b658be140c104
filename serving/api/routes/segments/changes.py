"""Which version of a segment counts: activated, reverted, retired; and how any change is made."""

from typing import Annotated

from fastapi import APIRouter, Header
from starlette.requests import Request
from starlette.responses import Response

from insight.database import Connection
from segmentation.store import versions as store
from segmentation.store.versions import SegmentVersion
from serving.access.permissions import Principal
from serving.api.models.segments import Activation, Reversion, VersionOfSegment
from serving.api.repetition import IdempotencyKey
from serving.api.routes.identifiers import SegmentPath
from serving.api.routes.segments.callers import TAGS, Activator, owner_of
from serving.api.routes.segments.shown import version_answer
from serving.api.rules import Work, change
from serving.api.state import author_of, serving_of

router = APIRouter(prefix="/segments", tags=TAGS)

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


@router.post("/{segment}/activate", response_model=VersionOfSegment)
async def activate(
    request: Request,
    principal: Activator,
    segment: SegmentPath,
    activation: Activation,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Make a draft the version that counts; the runtime takes it up within two seconds."""
    author = author_of(request, principal)

    def work(connection: Connection) -> SegmentVersion:
        return store.activate(connection, segment, author, version=activation.version)

    return await changed(request, principal, work, idempotency_key)


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
    author = author_of(request, principal)

    def work(connection: Connection) -> SegmentVersion:
        return store.revert(
            connection,
            segment,
            author,
            to_version=reversion.to_version,
            base_version=version_number(if_match),
            message=reversion.message,
        )

    return await changed(request, principal, work, idempotency_key)


@router.post("/{segment}/retire", response_model=VersionOfSegment)
async def retire(
    request: Request,
    principal: Activator,
    segment: SegmentPath,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Take the active version out of use: everybody leaves. 409 while another segment reads it."""
    author = author_of(request, principal)

    def work(connection: Connection) -> SegmentVersion:
        return store.retire(connection, segment, author)

    return await changed(request, principal, work, idempotency_key)


async def changed(
    request: Request,
    principal: Principal,
    work: Work[SegmentVersion],
    idempotency_key: str | None,
    *,
    status: int = 200,
) -> Response:
    """Make a change once, and answer with the version that it made. Raises Problem."""

    async def done() -> Response:
        found = await change(owner_of(request), work)
        return version_answer(request, principal, found, status=status)

    repetition = serving_of(request).repetition
    return await repetition.once_elsewhere(request, principal, idempotency_key, done)


def version_number(if_match: str | None) -> int | None:
    """The version that `If-Match` names."""
    return None if if_match is None else int(if_match.strip('"'))
