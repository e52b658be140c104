"""`/v1/ws`, and the tickets with which a browser gets in."""

from typing import Annotated

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket

from serving.access.permissions import Permission, Principal
from serving.api.gate import Needs
from serving.api.models.administration import Ticket
from serving.api.pages import json_answer
from serving.api.problems import InvalidPart, Problem
from serving.api.state import serving_of

router = APIRouter(tags=["listening"])


@router.post("/ws/tickets", response_model=Ticket, status_code=201)
async def create_ticket(
    request: Request, principal: Annotated[Principal, Needs(Permission.streams_read)]
) -> Response:
    """A one-time ticket for `/v1/ws?ticket=...`, for browsers, which send no header there.

    It takes no `Idempotency-Key`: the ticket of an answer that is repeated may be used up.
    """
    if "idempotency-key" in request.headers:
        part = InvalidPart(where="header.Idempotency-Key", message="each request gets a new ticket")
        detail = "A ticket works once: ask without Idempotency-Key for another one."
        raise Problem(422, "invalid-request", detail, errors=[part])
    new = serving_of(request).tickets.give(principal)
    ticket = Ticket(ticket=new.text, expires_at=new.expires_at)
    return json_answer(ticket, status=201, headers={"Cache-Control": "no-store"})


async def listen(websocket: WebSocket) -> None:
    """Each topic says which permission it needs; the hub asks for it."""
    await serving_of(websocket).hub.serve(websocket)


router.add_websocket_route("/ws", listen, name="listen")
