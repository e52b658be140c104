"""Streams and how far they are loaded."""

import asyncio
from typing import Annotated

import yaml
from fastapi import APIRouter
from psycopg import sql
from starlette.requests import Request
from starlette.responses import Response

from insight.database import DatabaseEndpoint
from serving.access.permissions import Permission, Principal
from serving.api import onboarding
from serving.api.gate import Needs
from serving.api.models.streams import (
    CONTRACT_EXAMPLE,
    PartitionProgress,
    Registration,
    Stream,
    StreamProgress,
)
from serving.api.onboarding import change_stream, read_document
from serving.api.pages import Cursor, Filter, Limit, Listing, Page, json_answer
from serving.api.problems import Problem
from serving.api.repetition import IdempotencyKey
from serving.api.routes.identifiers import StreamPath
from serving.api.state import author_of, serving_of

router = APIRouter(prefix="/streams", tags=["streams"])

Reader = Annotated[Principal, Needs(Permission.streams_read)]
Writer = Annotated[Principal, Needs(Permission.streams_write)]

_MEDIA_TYPES = ("application/yaml", "application/json")

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
_PROGRESS = sql.SQL("select {} from streaming.stream_onboarding where stream = %s").format(
    sql.SQL(", ").join(map(sql.Identifier, StreamProgress.model_fields))
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


@router.post(
    "",
    response_model=Registration,
    status_code=201,
    responses={200: {"model": Registration, "description": "This contract is in use already."}},
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "A contract (Open Data Contract Standard 3) as YAML or JSON.",
            "content": {
                "application/yaml": {
                    "schema": {"type": "string"},
                    "examples": {"returns": {"value": CONTRACT_EXAMPLE}},
                },
                "application/json": {
                    "schema": {"type": "object"},
                    "examples": {"returns": {"value": yaml.safe_load(CONTRACT_EXAMPLE)}},
                },
            },
        }
    },
)
async def register_stream(
    request: Request, principal: Writer, idempotency_key: IdempotencyKey = None
) -> Response:
    """Put a contract into use; loaders take it up within seconds. The same again changes nothing.

    Another contract of the version in use is a 409, one that cannot follow it a 422.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in _MEDIA_TYPES:
        detail = f"A contract comes as {' or '.join(_MEDIA_TYPES)}."
        raise Problem(415, "unsupported-media-type", detail)
    body = await request.body()
    is_json = media_type == "application/json"

    async def done() -> Response:
        return await _registered(request, principal, body, is_json=is_json)

    repetition = serving_of(request).repetition
    return await repetition.once_elsewhere(request, principal, idempotency_key, done)


async def _registered(
    request: Request, principal: Principal, body: bytes, *, is_json: bool
) -> Response:
    contract, document = await asyncio.to_thread(read_document, body, is_json=is_json)
    by = author_of(request, principal)
    made = await asyncio.to_thread(
        onboarding.register_stream, _owner(request), contract, document, by
    )
    answer = Registration(
        stream=made.stream,
        version=made.version,
        previous=made.previous,
        is_unchanged=made.is_unchanged,
        changes=[str(each) for each in made.changes],
        topic=contract.topic,
        table_name=contract.table,
    )
    return json_answer(answer, status=200 if made.is_unchanged else 201)


@router.post("/{stream}/pause", response_model=StreamProgress)
async def pause(
    request: Request,
    principal: Writer,
    stream: StreamPath,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Stop loading a stream until it is resumed; its messages wait in Kafka."""
    return await _changed(request, principal, stream, idempotency_key, paused=True)


@router.post("/{stream}/resume", response_model=StreamProgress)
async def resume(
    request: Request,
    principal: Writer,
    stream: StreamPath,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Let a paused stream go on, or one that was halted by bad messages; 409 after a loss."""
    return await _changed(request, principal, stream, idempotency_key, paused=False)


async def _changed(
    request: Request,
    principal: Principal,
    stream: str,
    idempotency_key: str | None,
    *,
    paused: bool,
) -> Response:
    by = author_of(request, principal)

    async def done() -> Response:
        await asyncio.to_thread(change_stream, _owner(request), stream, by, paused=paused)
        return await _progress(request, stream)

    repetition = serving_of(request).repetition
    return await repetition.once_elsewhere(request, principal, idempotency_key, done)


@router.get("/{stream}/progress", response_model=StreamProgress)
async def progress(request: Request, _: Reader, stream: StreamPath) -> Response:
    """How far a stream has come: registered, topic, first message, rows, models, flowing."""
    return await _progress(request, stream)


async def _progress(request: Request, stream: str) -> Response:
    row = await serving_of(request).warehouse.row(_PROGRESS, (stream,))
    if row is None:
        raise Problem(404, "no-such-stream", "There is no stream of this name.")
    return json_answer(StreamProgress.model_validate(row))


def _owner(request: Request) -> DatabaseEndpoint:
    return serving_of(request).options.owner


@router.get("/{stream}/partitions", response_model=Page[PartitionProgress])
async def partitions(
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
