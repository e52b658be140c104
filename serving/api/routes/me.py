"""Who asks."""

from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from serving.access.permissions import Permission, Principal
from serving.api.gate import Needs
from serving.api.models.administration import Me
from serving.api.pages import json_answer

router = APIRouter(prefix="/me", tags=["access"])


@router.get("", response_model=Me)
async def me(principal: Annotated[Principal, Needs(Permission.insights_read)]) -> Response:
    """Who the key or token is for, and what it allows."""
    return json_answer(
        Me(
            actor=principal.actor,
            roles=list(principal.roles),
            permissions=sorted(principal.permissions),
        )
    )
