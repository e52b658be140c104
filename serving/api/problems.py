"""Errors as RFC 9457 documents (application/problem+json). None shows what goes on inside."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated

import orjson
import psycopg
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError, ResponseValidationError
from psycopg_pool import PoolTimeout
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

MEDIA_TYPE = "application/problem+json"

_logger = logging.getLogger(__name__)


def _speakable(text: object) -> str:
    """Text of a request that JSON can hold: half a character of UTF-16 is written out."""
    return str(text).encode("utf-8", "backslashreplace").decode()


_Words = Annotated[str, BeforeValidator(_speakable)]


class InvalidPart(BaseModel):
    """One part of a request that is not as it should be."""

    where: _Words = Field(description="Path to it, for instance `query.limit`.")
    message: _Words = Field(description="What is wrong with it.")


class ProblemDocument(BaseModel):
    """What went wrong, as RFC 9457 has it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:insight:problem:not-built",
                    "title": "Service Unavailable",
                    "status": 503,
                    "detail": "marts.fct_sales_daily is not built yet. Run: insight run",
                    "request_id": "9f8b5c0e2d6a4b1f",
                }
            ]
        }
    )

    type: str = Field(description="Names the kind of problem; stable.")
    title: str = Field(description="The status in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What is wrong, and what to do.")
    request_id: str = Field(description="Names this request in the server's log.")
    errors: list[InvalidPart] | None = Field(
        default=None, description="The parts of the request at fault."
    )


class Problem(Exception):  # noqa: N818 (it is what the client gets, not a defect)
    """Ends a request with a problem document. `kind` is a stable word for programs."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[InvalidPart] = (),
    ):
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.headers = dict(headers or {})
        self.errors = tuple(errors)


def not_built(table: str, command: str) -> Problem:
    """A mart that does not exist yet or holds nothing."""
    return Problem(503, "not-built", f"{table} is not built yet or empty. Run: {command}")


def problem_body(scope: Scope, problem: Problem) -> bytes:
    """The document; `scope` knows the request's id."""
    document: dict[str, object] = {
        "type": f"urn:insight:problem:{problem.kind}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "request_id": scope.get("state", {}).get("request_id", ""),
    }
    if problem.errors:
        document["errors"] = [error.model_dump() for error in problem.errors]
    return orjson.dumps(document)


def problem_response(request: Request, problem: Problem) -> Response:
    return Response(
        problem_body(request.scope, problem),
        status_code=problem.status,
        headers=problem.headers,
        media_type=MEDIA_TYPE,
    )


def add_handlers(app: FastAPI) -> None:
    """Turn every error of the application into a problem document."""
    app.add_exception_handler(Problem, _of_problem)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(RequestValidationError, _of_request)
    app.add_exception_handler(ResponseValidationError, _of_defect)
    app.add_exception_handler(PoolTimeout, _of_database)
    app.add_exception_handler(psycopg.OperationalError, _of_database)
    app.add_exception_handler(psycopg.errors.InsufficientPrivilege, _of_privilege)
    app.add_exception_handler(psycopg.DataError, _of_data)
    app.add_exception_handler(Exception, _of_defect)


async def _of_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return problem_response(request, error)


async def _of_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    headers = dict(error.headers or {})
    detail = str(error.detail)
    if error.status_code == 404:
        detail = "There is nothing at this address."
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_allowed(request))
        detail = f"This address takes {headers['Allow']}."
    return problem_response(request, Problem(error.status_code, kind, detail, headers=headers))


def _allowed(request: Request) -> list[str]:
    """The methods of all routes at the path: Starlette names those of the first one only."""
    methods: set[str] = set()
    for route in request.app.routes:
        match, _ = route.matches({**request.scope, "path": request.url.path})
        if match is not Match.NONE:
            methods |= set(getattr(route, "methods", None) or ())
    return sorted(methods)


async def _of_request(request: Request, error: Exception) -> Response:
    """Says where and why, never the value: it may be a secret."""
    assert isinstance(error, RequestValidationError)
    errors = [
        InvalidPart(where=".".join(map(str, each["loc"]))[:200], message=str(each["msg"])[:300])
        for each in error.errors()[:20]
    ]
    names = ", ".join(each.where for each in errors)
    detail = f"These parts of the request are not as they should be: {names}."
    return problem_response(request, Problem(422, "invalid-request", detail, errors=errors))


async def _of_database(request: Request, error: Exception) -> Response:
    _logger.warning("%s %s: %s", request.method, request.url.path, " ".join(str(error).split()))
    if isinstance(error, psycopg.errors.QueryCanceled):
        detail = "The answer took too long. Ask for less."
    else:
        detail = "The warehouse does not answer. Try again."
    return problem_response(
        request, Problem(503, "warehouse-away", detail, headers={"Retry-After": "2"})
    )


async def _of_privilege(request: Request, error: Exception) -> Response:
    _logger.warning("%s %s: %s", request.method, request.url.path, " ".join(str(error).split()))
    detail = "The API may not read this table. Start it again: insight api"
    return problem_response(request, Problem(503, "not-granted", detail))


async def _of_data(request: Request, error: Exception) -> Response:
    _logger.info("%s %s: %s", request.method, request.url.path, " ".join(str(error).split()))
    detail = "A value of the request is none that the warehouse can hold."
    return problem_response(request, Problem(422, "invalid-request", detail))


async def _of_defect(request: Request, error: Exception) -> Response:
    if isinstance(error, ResponseValidationError):
        _logger.error("an answer is not as its model says", exc_info=error)
    detail = "Something went wrong here. The server's log has it under this request id."
    return problem_response(request, Problem(500, "internal-error", detail))
