"""The OpenAPI document: what FastAPI knows of the routes, and how each can fail."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from serving.api.problems import MEDIA_TYPE, InvalidPart, ProblemDocument

_DESCRIPTION = """Customer insight: sales, refunds, stores, customers and their segments, streams.

Send a key or token as `Authorization: Bearer ...`. Lists come in pages: give `next_cursor` back as
`cursor`. Amounts of money and shares are decimal numbers in strings. Each answer to a GET has an
`ETag`; `If-None-Match` gets 304. Errors are problem documents (RFC 9457).

Changes are pushed over the WebSocket `/v1/ws?topics=transactions,stream-status,live-customers`,
which this document cannot describe: each message is a JSON object, rows with topic and offset."""

_EVERYWHERE = (400, 408, 413, 414, 422, 431, 500, 503)
_BEHIND_THE_GATE = (401, 403, 429)
_NO_VERSION_NAMED = 428


def openapi_of(app: FastAPI) -> dict[str, Any]:
    """Built once. Each operation tells every status that it can answer."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=_DESCRIPTION, routes=app.routes
        )
        schemas = document["components"]["schemas"]
        for model in (InvalidPart, ProblemDocument):
            schemas[model.__name__] = model.model_json_schema(
                ref_template="#/components/schemas/{model}"
            )
            schemas[model.__name__].pop("$defs", None)
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                _complete(path, method, operation)
        app.openapi_schema = document
    return app.openapi_schema


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    statuses = list(_EVERYWHERE)
    if operation.get("security"):
        statuses += _BEHIND_THE_GATE
    if "{" in path:
        statuses.append(404)
    if method == "post":
        statuses.append(409)
    if (path, method) == ("/v1/streams", "post"):
        statuses.append(415)
    if path.endswith("/versions") and method == "post":
        statuses.append(_NO_VERSION_NAMED)
    for status in sorted(set(statuses)):
        if path == "/readyz" and status == 503:
            continue
        operation["responses"][str(status)] = {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
        }
    operation["responses"] = dict(sorted(operation["responses"].items()))
