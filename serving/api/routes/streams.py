"""Streams and how far they are loaded."""

from typing import Annotated

from fastapi import APIRouter
from psycopg import sql
from starlette.requests import Request
from starlette.responses import Response

from serving.access.permissions import Permission, Principal
from serving.api.gate import Needs
from serving.api.models.streams import PartitionProgress, Stream
from serving.api.pages import Cursor, Filter, Limit, Listing, Page, json_answer
from serving.api.problems import Problem
from serving.api.routes.identifiers import StreamPath
from serving.api.state import serving_of

router = APIRouter(prefix="/streams", tags=["streams"])

Reader = Annotated[Principal, Needs(Permission.streams_read)]

_STREAMS = Listing(
    "streaming", "stream_status", Stream, key=("stream",), build_with="insight stream"
)
_PARTITIONS = Listing(
    "streaming", "partition_status", PartitionProgress, key=("partition_id",),
    build_with="insight stream",
)  # fmt: skip
_ONE = sql.SQL("select {} from streaming.stream_status where stream = %s").format(
    sql.SQL(", ").join(map(sql.Identifier, Stream.model_fields))
)


@router.get("", response_model=Page[Stream])
async def streams(
    request: Request, principal: Reader, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """All streams with their state, lag and totals, by name."""
    return await serving_of(request).pager.page(_STREAMS, principal, limit=limit, cursor=cursor)


@router.get("/{stream}", response_model=Stream)
async def stream(request: Request, _: Reader, stream: StreamPath) -> Response:
    """One stream with its state, lag and totals."""
    row = await serving_of(request).warehouse.row(_ONE, (stream,))
    if row is None:
        raise Problem(404, "no-such-stream", "There is no stream of this name.")
    return json_answer(Stream.model_validate(row))


@router.get("/{stream}/progress", response_model=Page[PartitionProgress])
async def progress(
    request: Request,
    principal: Reader,
    stream: StreamPath,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """What is loaded of each partition; none before the stream's first message."""
    serving = serving_of(request)
    if await serving.warehouse.row(_ONE, (stream,)) is None:
        raise Problem(404, "no-such-stream", "There is no stream of this name.")
    return await serving.pager.page(
        _PARTITIONS,
        principal,
        limit=limit,
        cursor=cursor,
        filters=[Filter("stream", "=", stream)],
        may_be_empty=True,
    )
