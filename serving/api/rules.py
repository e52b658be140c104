"""Segments by rule, as the API asks the warehouse for them, in a thread of their own.

What is kept of segments is read as the role that reads. Rules read raw rows and the contracts of
streams, which no role of the API may: to try one, and to change a segment, takes the owner of the
warehouse. What only asks cannot write, and ends after ten seconds.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import TypeVar

from pydantic import ValidationError

from insight.database import Connection, DatabaseEndpoint, connect
from insight.errors import InputError, ServiceError
from segmentation.rules.checks import Finding
from segmentation.rules.spec import Rule
from segmentation.store.versions import ConflictError, InvalidSegmentError, UnknownSegmentError
from serving.api.problems import InvalidPart, Problem

_logger = logging.getLogger(__name__)

_MOST_ERRORS = 20

Result = TypeVar("Result")
Work = Callable[[Connection], Result]


def read_rule(document: Mapping[str, object]) -> Rule:
    """The rule of a request. Raises Problem 422 with the places at fault."""
    try:
        return Rule.model_validate(document)
    except ValidationError as error:
        parts = [
            InvalidPart(where=_pointer(each["loc"]), message=str(each["msg"])[:300])
            for each in error.errors()[:_MOST_ERRORS]
        ]
        raise _invalid(parts) from error


async def ask(database: DatabaseEndpoint, work: "Work[Result]") -> Result:
    """What the work finds, in a transaction that cannot write. Raises Problem."""

    def reading(connection: Connection) -> Result:
        connection.execute("set transaction read only")
        connection.execute("set local statement_timeout = '10s'")
        return work(connection)

    return await asyncio.to_thread(_in_transaction, database, reading)


async def change(owner: DatabaseEndpoint, work: "Work[Result]") -> Result:
    """The work in one transaction. Raises Problem: 404, 409, 422, or 503 without a warehouse."""

    def changing(connection: Connection) -> Result:
        # Below the thirty seconds for which the writer may wait to keep the answer.
        connection.execute("set local statement_timeout = '20s'")
        return work(connection)

    return await asyncio.to_thread(_in_transaction, owner, changing)


def _in_transaction(database: DatabaseEndpoint, work: "Work[Result]") -> Result:
    try:
        with connect(database) as connection:
            return work(connection)
    except UnknownSegmentError as error:
        raise Problem(404, "no-such-segment", f"{_sentence(error)}.") from error
    except ConflictError as error:
        raise Problem(409, "conflict", f"{_sentence(error)}.") from error
    except InvalidSegmentError as error:
        raise _invalid(list(map(_part, error.findings[:_MOST_ERRORS]))) from error
    except InputError as error:
        raise Problem(422, "cannot-be-done", f"{_sentence(error)}.") from error
    except ServiceError as error:
        # Its sentence may name the server, which nobody outside has to know.
        _logger.warning("%s", error)
        detail = "The warehouse does not answer. Try again."
        raise Problem(503, "warehouse-away", detail, headers={"Retry-After": "10"}) from error


def _part(finding: Finding) -> InvalidPart:
    return InvalidPart(where=f"rule{finding.pointer}"[:200], message=finding.message[:300])


def _pointer(place: tuple[int | str, ...]) -> str:
    return "/".join(["rule", *map(str, place)])[:200]


def _invalid(parts: list[InvalidPart]) -> Problem:
    return Problem(422, "invalid-rule", "The rule cannot be used.", errors=parts)


def _sentence(error: InputError) -> str:
    """Without the next step, which is a command for a terminal."""
    return f"{error.where}: {error.what}" if error.where else error.what
