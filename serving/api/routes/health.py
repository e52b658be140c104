"""Whether the server lives and can answer, and its metrics."""

import asyncio
from typing import Annotated

import psycopg
from fastapi import APIRouter, Depends
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from psycopg import sql
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from serving.access.permissions import Permission, Principal
from serving.api.gate import Needs, open_to_all
from serving.api.models.administration import Health, Readiness
from serving.api.pages import json_answer
from serving.api.state import Serving, serving_of

router = APIRouter(tags=["server"])

_PROBE_SECONDS = 2.0


@router.get("/healthz", response_model=Health, dependencies=[Depends(open_to_all)])
async def healthz() -> Response:
    """Whether the process answers. Asks nothing else."""
    return json_answer(Health(status="ok"))


@router.get("/readyz", response_model=Readiness, dependencies=[Depends(open_to_all)])
async def readyz(request: Request) -> Response:
    """Whether Postgres answers, and whether Redis does; 503 without Postgres."""
    serving = serving_of(request)
    postgres, redis = await asyncio.gather(_postgres_answers(serving), serving.redis.answers())
    readiness = Readiness(
        status="ready" if postgres else "not ready",
        postgres="up" if postgres else "down",
        redis="up" if redis else "down",
    )
    return json_answer(readiness, status=200 if postgres else 503)


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(
    request: Request, _: Annotated[Principal, Needs(Permission.metrics_read)]
) -> Response:
    """The metrics of this server, as Prometheus reads them."""
    registry = CollectorRegistry()
    registry.register(serving_of(request).meter)
    ProcessCollector(registry=registry)
    return PlainTextResponse(generate_latest(registry))


async def _postgres_answers(serving: Serving) -> bool:
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            await serving.warehouse.row(sql.SQL("select 1 as one"))
    except (psycopg.Error, TimeoutError):
        return False
    return True
