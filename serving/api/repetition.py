"""Idempotency keys: a POST that is sent twice changes once, and answers the same.

The answer is stored in the transaction of the change, so there is never one without the other. It
is sealed with the idempotency key in it: who reads the database cannot read an API key there.
"""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import orjson
from fastapi import Header
from psycopg import AsyncConnection
from starlette.requests import Request
from starlette.responses import Response

from serving.access.permissions import Principal
from serving.access.sealing import Seal
from serving.api.problems import Problem
from serving.api.warehouse import Writer

REPLAYED = "Idempotency-Replayed"
_FORGET = "delete from access.idempotent_answers where created_at < now() - interval '24 hours'"
_CLAIM = """insert into access.idempotent_answers (actor, key_digest, request_digest)
            values (%s, %s, %s) on conflict do nothing"""
_FIND = """select request_digest, answer from access.idempotent_answers
           where actor = %s and key_digest = %s"""
_KEEP = "update access.idempotent_answers set answer = %s where actor = %s and key_digest = %s"

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=8,
        max_length=200,
        pattern="^[A-Za-z0-9._:-]+$",
        description="Any unique text: the same request with it is answered again, not done again.",
        examples=["7d9c1f0e-4a51-4f0e-9f0a-1f7f5a0b8a11"],
    ),
]

Change = Callable[[AsyncConnection[dict[str, Any]]], Awaitable[Response]]
ChangeElsewhere = Callable[[], Awaitable[Response]]


class Repetition:
    """Runs changes once. Kept for a day; a change that fails leaves nothing behind."""

    def __init__(self, writer: Writer, seal: Seal):
        self._writer = writer
        self._seal = seal

    async def once(
        self, request: Request, principal: Principal, key: str | None, change: Change
    ) -> Response:
        """Do the change and answer, or answer as the first time. 422 for another request."""
        if key is None:
            async with self._writer.transaction() as connection:
                return await change(connection)
        digest = await _digest(request)
        key_digest = hashlib.sha256(key.encode()).digest()
        place = (principal.actor, key_digest)
        context = f"{principal.actor} {key}".encode()
        async with self._writer.transaction() as connection:
            await connection.execute(_FORGET)
            # A second request with the key waits here until the first has committed.
            claimed = await connection.execute(_CLAIM, (*place, digest))
            if claimed.rowcount == 0:
                row = await (await connection.execute(_FIND, place)).fetchone()
                assert row is not None
                return self._again(row, digest, context)
            response = await change(connection)
            answer = orjson.dumps([response.status_code, bytes(response.body).decode()])
            await connection.execute(_KEEP, (self._seal.seal(answer, context), *place))
        return response

    async def once_elsewhere(
        self, request: Request, principal: Principal, key: str | None, change: ChangeElsewhere
    ) -> Response:
        """The same for a change in a transaction of its own, which commits before its answer does.

        After a crash between the two the change is there and the key is free: the repetition meets
        what it made.
        """
        if key is None:
            return await change()

        async def of_this_transaction(_: object) -> Response:
            return await change()

        return await self.once(request, principal, key, of_this_transaction)

    def _again(self, row: dict[str, Any], digest: bytes, context: bytes) -> Response:
        if bytes(row["request_digest"]) != digest:
            detail = "This idempotency key was used for another request. Take a new one."
            raise Problem(422, "idempotency-key-reused", detail)
        content = self._seal.open(bytes(row["answer"]), context)
        if content is None:
            raise Problem(
                409, "answer-lost", "The first answer was made under another server secret."
            )
        status, body = orjson.loads(content)
        return Response(
            body,
            status_code=status,
            headers={REPLAYED: "true", "Cache-Control": "no-store"},
            media_type="application/json",
        )


async def _digest(request: Request) -> bytes:
    """What makes a request another one: its path, the version that it edits, its body."""
    parts = [request.url.path, *request.headers.getlist("if-match")]
    return hashlib.sha256(b"\0".join([*map(str.encode, parts), await request.body()])).digest()
