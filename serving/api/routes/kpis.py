"""Both shops in a few figures."""

from typing import Annotated

from fastapi import APIRouter
from psycopg import sql
from starlette.requests import Request
from starlette.responses import Response

from serving.access.permissions import Permission, Principal
from serving.api.gate import Needs
from serving.api.models.sales import Kpis, TillKpis, WebKpis
from serving.api.pages import json_answer
from serving.api.problems import not_built
from serving.api.routes.periods import FirstDay, LastDay, expect_period
from serving.api.state import serving_of
from serving.api.warehouse import BUILD_ALL

router = APIRouter(prefix="/kpis", tags=["sales"])

_PERIOD = sql.SQL(
    "date_day >= coalesce(%s::date, '-infinity') and date_day <= coalesce(%s::date, 'infinity')"
)
_WEB = sql.SQL(
    """select min(date_day) as first_day, max(date_day) as last_day,
           coalesce(sum(orders), 0)::bigint as orders,
           coalesce(sum(new_customers), 0)::bigint as new_customers,
           coalesce(sum(gross_sales_amount), 0) as gross_sales_amount,
           coalesce(sum(discount_amount), 0) as discount_amount,
           coalesce(sum(net_sales_amount), 0) as net_sales_amount,
           coalesce(sum(total_amount), 0) as total_amount,
           round(sum(total_amount) / nullif(sum(orders), 0), 2) as avg_order_value,
           exists (select from marts.fct_sales_daily) as is_filled
       from marts.fct_sales_daily where {}"""
).format(_PERIOD)
_TILLS = sql.SQL(
    """select min(date_day) as first_day, max(date_day) as last_day,
           coalesce(sum(sale_count), 0)::bigint as sale_count,
           coalesce(sum(gross_revenue), 0) as gross_revenue,
           coalesce(sum(refund_count), 0)::bigint as refund_count,
           coalesce(sum(refund_amount), 0) as refund_amount,
           coalesce(sum(net_revenue), 0) as net_revenue,
           round(sum(refund_amount) / nullif(sum(gross_revenue), 0), 4) as refund_share
       from marts.fct_pos_net_revenue_daily where {}"""
).format(_PERIOD)


@router.get("", response_model=Kpis)
async def kpis(
    request: Request,
    _: Annotated[Principal, Needs(Permission.insights_read)],
    first_day: FirstDay = None,
    last_day: LastDay = None,
) -> Response:
    """Orders, revenue, refunds and net revenue of the web shop and the tills in a period."""
    expect_period(first_day, last_day)
    warehouse = serving_of(request).warehouse
    web = await warehouse.row(_WEB, (first_day, last_day))
    tills = await warehouse.row(_TILLS, (first_day, last_day))
    assert web is not None
    if not web["is_filled"]:
        raise not_built("marts.fct_sales_daily", BUILD_ALL)
    return json_answer(Kpis(web=WebKpis.model_validate(web), tills=TillKpis.model_validate(tills)))
