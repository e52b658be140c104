"""The stores: refunds, revenue, associations, anomalies."""

from typing import Annotated

from fastapi import APIRouter, Query
from psycopg import sql
from starlette.requests import Request
from starlette.responses import Response

from serving.access.permissions import Permission, Principal
from serving.api.gate import Needs
from serving.api.models.retail import Anomaly, Association, Refund, Shop, Store, StoreDay
from serving.api.pages import Cursor, Filter, Limit, Listing, Page
from serving.api.routes.identifiers import ProductFilter, StoreFilter
from serving.api.routes.periods import FirstDay, LastDay, Since, expect_period
from serving.api.state import serving_of

router = APIRouter(tags=["stores"])

Reader = Annotated[Principal, Needs(Permission.insights_read)]

_REFUNDS = Listing(
    "marts", "fct_pos_refunds", Refund, key=("refunded_at", "refund_id"), is_descending=True
)
_STORES = Listing(
    "marts",
    "dim_pos_stores",
    Store,
    key=("store_id",),
    relation=sql.SQL(
        """(select store_id, store_name, city, region, size_sqft,
                coalesce(sum(sale_count), 0)::bigint as sale_count,
                coalesce(sum(gross_revenue), 0) as gross_revenue,
                coalesce(sum(refund_count), 0)::bigint as refund_count,
                coalesce(sum(refund_amount), 0) as refund_amount,
                coalesce(sum(net_revenue), 0) as net_revenue
            from marts.dim_pos_stores
            left join marts.fct_pos_net_revenue_daily using (store_id)
            group by store_id, store_name, city, region, size_sqft) as stores"""
    ),
)
_STORE_DAYS = Listing(
    "marts", "fct_pos_net_revenue_daily", StoreDay,
    key=("date_day", "source_store_id", "source_product_id"),
)  # fmt: skip
_ASSOCIATIONS = Listing(
    "marts", "fct_product_associations", Association, key=("domain", "antecedent", "consequent")
)
_ANOMALIES = Listing(
    "marts", "fct_revenue_anomalies", Anomaly,
    key=("window_start", "source_product_id"), is_descending=True,
)  # fmt: skip


@router.get("/refunds", response_model=Page[Refund])
async def refunds(
    request: Request,
    principal: Reader,
    store_id: StoreFilter = None,
    product_id: ProductFilter = None,
    first_day: FirstDay = None,
    last_day: LastDay = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Refunds of the tills, newest first."""
    expect_period(first_day, last_day)
    return await serving_of(request).pager.page(
        _REFUNDS,
        principal,
        limit=limit,
        cursor=cursor,
        filters=[
            Filter("store_id", "=", store_id),
            Filter("product_id", "=", product_id),
            Filter("date_day", ">=", first_day),
            Filter("date_day", "<=", last_day),
        ],
    )


@router.get("/stores", response_model=Page[Store])
async def stores(
    request: Request, principal: Reader, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """All stores with their revenue over all days, by id."""
    return await serving_of(request).pager.page(_STORES, principal, limit=limit, cursor=cursor)


@router.get("/stores/daily", response_model=Page[StoreDay])
async def store_days(
    request: Request,
    principal: Reader,
    store_id: StoreFilter = None,
    product_id: ProductFilter = None,
    first_day: FirstDay = None,
    last_day: LastDay = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Gross, refunds and net revenue by day, store and product, oldest first."""
    expect_period(first_day, last_day)
    return await serving_of(request).pager.page(
        _STORE_DAYS,
        principal,
        limit=limit,
        cursor=cursor,
        filters=[
            Filter("store_id", "=", store_id),
            Filter("product_id", "=", product_id),
            Filter("date_day", ">=", first_day),
            Filter("date_day", "<=", last_day),
        ],
    )


@router.get("/associations", response_model=Page[Association])
async def associations(
    request: Request,
    principal: Reader,
    shop: Annotated[Shop | None, Query(description="Of this shop.", examples=["retail"])] = None,
    consequent: ProductFilter = None,
    min_lift: Annotated[
        float | None,
        Query(ge=0, le=1_000_000, allow_inf_nan=False, description="Of at least this lift."),
    ] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Products that are bought together, by shop and product."""
    return await serving_of(request).pager.page(
        _ASSOCIATIONS,
        principal,
        limit=limit,
        cursor=cursor,
        filters=[
            Filter("domain", "=", shop),
            Filter("consequent", "=", consequent),
            Filter("lift", ">=", min_lift),
        ],
    )


@router.get("/anomalies", response_model=Page[Anomaly])
async def anomalies(
    request: Request,
    principal: Reader,
    product_id: ProductFilter = None,
    since: Since = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Minutes and products whose revenue was unusual, newest first."""
    return await serving_of(request).pager.page(
        _ANOMALIES,
        principal,
        limit=limit,
        cursor=cursor,
        filters=[Filter("product_id", "=", product_id), Filter("window_start", ">=", since)],
    )
