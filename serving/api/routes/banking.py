"""Bank customers as they are segmented live. `/v1/ws` tells who has changed."""

from typing import Annotated

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from serving.access.permissions import Permission, Principal
from serving.api.gate import Needs
from serving.api.models.banking import LiveCustomer
from serving.api.pages import Cursor, Filter, Limit, Listing, Page
from serving.api.routes.identifiers import NameFilter
from serving.api.routes.periods import Since
from serving.api.state import serving_of

router = APIRouter(tags=["banking"])

LIVE_CUSTOMERS = Listing(
    "segmentation", "live_customers", LiveCustomer, key=("customer_id",),
    build_with="insight segment-live",
)  # fmt: skip


@router.get("/live-customers", response_model=Page[LiveCustomer])
async def live_customers(
    request: Request,
    principal: Annotated[Principal, Needs(Permission.insights_read)],
    segment: NameFilter = None,
    since: Since = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Bank customers with figures and live segment, in the order of ids."""
    return await serving_of(request).pager.page(
        LIVE_CUSTOMERS,
        principal,
        limit=limit,
        cursor=cursor,
        filters=[Filter("segment", "=", segment), Filter("last_updated", ">=", since)],
    )
