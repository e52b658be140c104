"""The application: routes, errors and the OpenAPI document, around what a server shares."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version

import orjson
from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute
from starlette.responses import Response
from starlette.types import ASGIApp

from serving.api.edge import Edge
from serving.api.gate import open_to_all
from serving.api.meter import ApiMeter
from serving.api.openapi import openapi_of
from serving.api.options import ApiOptions
from serving.api.problems import add_handlers
from serving.api.routes import ROUTERS, UNVERSIONED
from serving.api.shortcut import SegmentShortcut
from serving.api.sockets.topics import topics_of
from serving.api.state import Serving, Topics

PREFIX = "/v1"
# Answered without the framework when it can be.
_QUICK = f"{PREFIX}/customers/{{customer_id}}/segment"


def create_app(
    options: ApiOptions,
    meter: ApiMeter | None = None,
    routers: Sequence[APIRouter] = ROUTERS,
    topics: Topics = topics_of,
) -> FastAPI:
    """The routes without the edge; `create_server_app` is what a server runs."""
    serving = Serving.of(options, meter or ApiMeter(), topics)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await serving.open()
        try:
            yield
        finally:
            await serving.close()

    app = FastAPI(
        title="Marketing Insight API",
        version=version("marketing-insight-pipeline"),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        generate_unique_id_function=_operation_id,
    )
    app.state.serving = serving
    app.state.gate = serving.gate
    add_handlers(app)
    for router in UNVERSIONED:
        app.include_router(router)
    for router in (*routers, _document(app)):
        app.include_router(router, prefix=PREFIX)
    app.openapi = lambda: openapi_of(app)  # type: ignore[method-assign]
    return app


def create_server_app(
    options: ApiOptions,
    meter: ApiMeter | None = None,
    routers: Sequence[APIRouter] = ROUTERS,
    topics: Topics = topics_of,
) -> ASGIApp:
    """The application with limits, ids, tags, compression and metrics around it."""
    meter = meter or ApiMeter()
    app = create_app(options, meter, routers, topics)
    quick = next((each for each in app.routes if getattr(each, "path", "") == _QUICK), None)
    shortcut = SegmentShortcut(app.state.serving, quick) if quick else None
    return Edge(app, options, meter, shortcut)


def _document(app: FastAPI) -> APIRouter:
    router = APIRouter()

    @router.get("/openapi.json", include_in_schema=False, dependencies=[Depends(open_to_all)])
    async def openapi() -> Response:
        return Response(orjson.dumps(app.openapi()), media_type="application/json")

    return router


def _operation_id(route: APIRoute) -> str:
    return route.name
