"""Changes of streams: registering, pausing, resuming; each with its row in the audit log.

They run as the owner of the warehouse, in a thread of their own: a contract makes a table that
loaders have to fill, which neither database role of the API may.
"""

import logging
from pathlib import Path

import orjson
import yaml

from insight.audit import Author
from insight.database import Connection, DatabaseEndpoint, connect
from insight.errors import InputError, IntegrityError, ServiceError
from serving.api.problems import InvalidPart, Problem
from streaming.contract import Contract, read_contract_text
from streaming.evolution import changes
from streaming.operating import audited
from streaming.registry import Registration, lock_registry, registered_stream

_logger = logging.getLogger(__name__)

_PLACE = Path("contract")
_MOST_BYTES = 64 * 1024
_DEEPEST = 20


def read_document(body: bytes, *, is_json: bool) -> tuple[Contract, str]:
    """A contract and its text as it is kept. Raises Problem 413 or 422 with the reason."""
    if len(body) > _MOST_BYTES:
        raise Problem(413, "body-too-large", f"A contract has at most {_MOST_BYTES} bytes.")
    try:
        text = body.decode("utf-8")
        if is_json:
            content = orjson.loads(text)
            _refuse_depth(content)
            text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
        _refuse_mazes(text)
        return read_contract_text(text, _PLACE), text
    except (UnicodeDecodeError, orjson.JSONDecodeError, yaml.YAMLError) as error:
        raise _unusable("contract", "is neither readable YAML nor JSON in UTF-8") from error
    except InputError as error:
        raise _of_input(error) from error


def register_stream(
    owner: DatabaseEndpoint, contract: Contract, document: str, by: Author
) -> Registration:
    """Put a contract into use, once. Raises Problem 409 or 422 when it cannot be."""
    try:
        with connect(owner) as connection:
            lock_registry(connection)
            _refuse_same_version(connection, contract)
            return audited.register(connection, contract, document, by)
    except InputError as error:
        raise _of_input(error) from error
    except IntegrityError as error:
        raise Problem(409, "table-differs", f"{error}.") from error
    except ServiceError as error:
        raise _away(error) from error


def change_stream(owner: DatabaseEndpoint, stream: str, by: Author, *, paused: bool) -> bool:
    """Pause a stream or let it go on; False when it was so already.

    Raises Problem 404 for an unknown stream, 409 when messages are lost.
    """
    try:
        with connect(owner) as connection:
            if registered_stream(connection, stream) is None:
                raise Problem(404, "no-such-stream", "There is no stream of this name.")
            return (audited.pause if paused else audited.resume)(connection, stream, by)
    except InputError as error:
        raise Problem(409, "messages-lost", f"{error}.") from error
    except ServiceError as error:
        raise _away(error) from error


def _refuse_same_version(connection: Connection, contract: Contract) -> None:
    stored = registered_stream(connection, contract.stream)
    if stored is None or stored.contract is None or stored.contract.version != contract.version:
        return
    if found := [str(each) for each in changes(stored.contract, contract)]:
        detail = (
            f"{contract.stream} {contract.version} is in use with another contract:"
            f" {found[0][:200]}. Raise the version."
        )
        errors = [InvalidPart(where="contract", message=each[:300]) for each in found[:20]]
        raise Problem(409, "another-contract", detail, errors=errors)


def _away(error: ServiceError) -> Problem:
    """Its sentence may name the server, which nobody outside has to know."""
    _logger.warning("%s", error)
    detail = "The warehouse does not answer, or a long query holds the table. Try again."
    return Problem(503, "warehouse-away", detail, headers={"Retry-After": "10"})


def _refuse_depth(content: object) -> None:
    level, depth = [content], 0
    while level := [
        part
        for each in level
        if isinstance(each, dict | list)
        for part in (each.values() if isinstance(each, dict) else each)
    ]:
        depth += 1
        if depth > _DEEPEST:
            raise _unusable("contract", f"is nested deeper than {_DEEPEST} levels")


def _refuse_mazes(text: str) -> None:
    """An alias can stand for a million values, and a deep nest ends the reader's stack."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise _unusable("contract", "has an alias, which a contract does not need")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise _unusable("contract", f"is nested deeper than {_DEEPEST} levels")


def _of_input(error: InputError) -> Problem:
    where = (error.where or "contract").removeprefix(f"{_PLACE}: ")
    message = error.what if error.next_step is None else f"{error.what}. {error.next_step}"
    return _unusable(where[:200], message[:300])


def _unusable(where: str, message: str) -> Problem:
    detail = "The contract cannot be used."
    parts = [InvalidPart(where=where, message=message)]
    return Problem(422, "invalid-contract", detail, errors=parts)
