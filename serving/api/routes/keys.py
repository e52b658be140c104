"""API keys: made, listed, revoked. Each change stands in the audit log, in one transaction."""

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter
from psycopg import AsyncConnection
from starlette.requests import Request
from starlette.responses import Response

from insight import audit
from insight.audit import AuditEvent
from serving.access.keys import INSERT, REVOKE, SELECT_ALL, ApiKey, new_key
from serving.access.permissions import Permission, Principal
from serving.api.gate import Needs
from serving.api.models.administration import CreatedKey, Key, KeyRequest, Keys
from serving.api.pages import json_answer
from serving.api.problems import Problem
from serving.api.repetition import IdempotencyKey
from serving.api.routes.identifiers import KeyPath
from serving.api.state import Serving, serving_of

router = APIRouter(prefix="/keys", tags=["access"])

Admin = Annotated[Principal, Needs(Permission.keys_manage)]

Connection = AsyncConnection[dict[str, Any]]


@router.get("", response_model=Keys)
async def keys(request: Request, _: Admin) -> Response:
    """All keys, without their secret part."""
    serving = serving_of(request)
    async with serving.writer.transaction() as connection:
        rows = await (await connection.execute(SELECT_ALL)).fetchall()
    return json_answer(Keys(items=[_key(serving, ApiKey(**row)) for row in rows]))


@router.post("", response_model=CreatedKey, status_code=201)
async def create_key(
    request: Request, principal: Admin, wanted: KeyRequest, idempotency_key: IdempotencyKey = None
) -> Response:
    """Make a key. The answer shows it once."""
    serving = serving_of(request)

    async def change(connection: Connection) -> Response:
        new = new_key(
            serving.options.secret,
            role=wanted.role,
            name=wanted.name,
            created_by=principal.actor,
            lifetime=timedelta(days=wanted.expires_in_days) if wanted.expires_in_days else None,
            requests_per_minute=wanted.requests_per_minute,
        )
        row = await (await connection.execute(INSERT, new.values)).fetchone()
        assert row is not None
        detail: dict[str, object] = {"role": wanted.role, "name": wanted.name}
        await _record(connection, request, principal, "key.create", new.key_id, detail)
        key = _key(serving, ApiKey(**row))
        created = CreatedKey(**key.model_dump(), key=new.token)
        return json_answer(created, status=201, headers={"Cache-Control": "no-store"})

    return await serving.repetition.once(request, principal, idempotency_key, change)


@router.post("/{key_id}/revoke", response_model=Key)
async def revoke_key(
    request: Request, principal: Admin, key_id: KeyPath, idempotency_key: IdempotencyKey = None
) -> Response:
    """End a key: here at once, on other servers within five seconds."""
    serving = serving_of(request)

    async def change(connection: Connection) -> Response:
        row = await (await connection.execute(REVOKE, (key_id,))).fetchone()
        if row is None:
            raise Problem(404, "no-such-key", "There is no key of this id that is not revoked.")
        await _record(connection, request, principal, "key.revoke", key_id, {})
        return json_answer(_key(serving, ApiKey(**row)))

    response = await serving.repetition.once(request, principal, idempotency_key, change)
    serving.gate.keys.forget(key_id)
    return response


async def _record(
    connection: Connection,
    request: Request,
    principal: Principal,
    action: str,
    key_id: str,
    detail: dict[str, object],
) -> None:
    event = AuditEvent(
        principal.actor,
        action,
        f"key:{key_id}",
        detail,
        request.state.request_id,
        request.client.host if request.client else None,
    )
    await connection.execute(audit.INSERT, event.values())


def _key(serving: Serving, key: ApiKey) -> Key:
    state = key.state(serving.options.secret.secret_id)
    return Key.model_validate({**asdict(key), "state": state})
