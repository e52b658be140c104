"""The OpenAPI document: what FastAPI knows of the routes, and how each can fail."""

import json
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from segmentation.rules.schema import schema_text
from serving.api.models.segments import RULE_FORMAT
from serving.api.problems import MEDIA_TYPE, InvalidPart, ProblemDocument

_DESCRIPTION = """Customer insight: sales, refunds, stores, customers and their segments, streams.

Send a key or token as `Authorization: Bearer ...`. Lists come in pages: give `next_cursor` back as
`cursor`. Amounts of money and shares are decimal numbers in strings. Each answer to a GET has an
`ETag`; `If-None-Match` gets 304. Errors are problem documents (RFC 9457).

Changes are pushed over the WebSocket `/v1/ws?topics=transactions,stream-status,live-customers`,
which this document cannot describe: each message is a JSON object, rows with topic and offset."""

_SCHEMAS = "#/components/schemas/"
_RULE = "Rule"
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
        _describe_rules(schemas)
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                _complete(path, method, operation)
        app.openapi_schema = document
    return app.openapi_schema


def rule_schemas() -> dict[str, dict[str, Any]]:
    """The published schema of rules as components: `Rule`, and its parts as `Rule<part>`."""
    published: dict[str, Any] = json.loads(schema_text())
    del published["$schema"]
    parts = published.pop("$defs")
    named = {_RULE: published, **{f"{_RULE}{name}": part for name, part in parts.items()}}
    return {name: _with_references(part) for name, part in named.items()}


def _with_references(part: Any) -> Any:
    """References within the published schema as ones to components."""
    if isinstance(part, dict):
        return {name: _with_references(each) for name, each in part.items()}
    if isinstance(part, list):
        return [_with_references(each) for each in part]
    if isinstance(part, str) and part.startswith("#/$defs/"):
        return f"{_SCHEMAS}{_RULE}{part.removeprefix('#/$defs/')}"
    return part


def _describe_rules(schemas: dict[str, Any]) -> None:
    for schema in schemas.values():
        for name, shown in schema.get("properties", {}).items():
            if shown.get("format") == RULE_FORMAT:
                reference = {"$ref": f"{_SCHEMAS}{_RULE}", "description": shown["description"]}
                schema["properties"][name] = reference
    assert not schemas.keys() & rule_schemas().keys()
    schemas.update(rule_schemas())


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
