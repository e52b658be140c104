"""Sales of the web shop by day and month."""

from typing import Annotated

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from serving.access.permissions import Permission, Principal
from serving.api.gate import Needs
from serving.api.models.sales import DailySales, MonthlySales
from serving.api.pages import Cursor, Filter, Limit, Listing, Page
from serving.api.routes.periods import FirstDay, LastDay, expect_period
from serving.api.state import serving_of

router = APIRouter(prefix="/sales", tags=["sales"])

Reader = Annotated[Principal, Needs(Permission.insights_read)]

_DAILY = Listing("marts", "fct_sales_daily", DailySales, key=("date_day",))
_MONTHLY = Listing("marts", "fct_sales_monthly", MonthlySales, key=("date_month",))


@router.get("/daily", response_model=Page[DailySales])
async def daily(
    request: Request,
    principal: Reader,
    first_day: FirstDay = None,
    last_day: LastDay = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Web sales by day, oldest first."""
    expect_period(first_day, last_day)
    return await serving_of(request).pager.page(
        _DAILY,
        principal,
        limit=limit,
        cursor=cursor,
        filters=[Filter("date_day", ">=", first_day), Filter("date_day", "<=", last_day)],
    )


@router.get("/monthly", response_model=Page[MonthlySales])
async def monthly(
    request: Request, principal: Reader, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """Web sales by calendar month, oldest first."""
    return await serving_of(request).pager.page(_MONTHLY, principal, limit=limit, cursor=cursor)
