"""The audit log, read only. It is checked by `insight audit verify`."""

from typing import Annotated

from fastapi import APIRouter, Query
from psycopg import sql
from starlette.requests import Request
from starlette.responses import Response

from serving.access.permissions import Permission, Principal
from serving.api.gate import Needs
from serving.api.models.administration import AuditRow
from serving.api.pages import Limit, Page, json_answer
from serving.api.state import serving_of

router = APIRouter(prefix="/audit", tags=["access"])

_ROWS = sql.SQL(
    """select seq, recorded_at, actor, action, object, detail, request_id, client,
           encode(hash, 'hex') as hash
       from access.audit_log where seq < coalesce(%s, 9223372036854775807)
       order by seq desc limit %s"""
)


@router.get("", response_model=Page[AuditRow])
async def audit(
    request: Request,
    _: Annotated[Principal, Needs(Permission.audit_read)],
    limit: Limit = 100,
    cursor: Annotated[
        str | None,
        Query(pattern="^[1-9][0-9]{0,17}$", description="`next_cursor` of the page before."),
    ] = None,
) -> Response:
    """Who changed what, newest first."""
    before = int(cursor) if cursor else None
    async with serving_of(request).writer.transaction() as connection:
        found = await connection.execute(_ROWS, (before, limit + 1))
        rows = await found.fetchall()
    items = [AuditRow.model_validate(row) for row in rows[:limit]]
    following = str(items[-1].seq) if len(rows) > limit else None
    return json_answer(Page[AuditRow](items=items, next_cursor=following))
