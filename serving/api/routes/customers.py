"""Customers: their segment in one read from Redis, their profile, RFM and lifetime value."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from psycopg import sql
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from serving.access.permissions import Permission, Principal
from serving.api.gate import Needs
from serving.api.models.customers import (
    Customer,
    CustomerProfile,
    CustomerSegment,
    LifetimeValue,
    RfmScores,
    TillRfmScores,
)
from serving.api.pages import Cursor, Filter, Limit, Listing, Page, json_answer
from serving.api.problems import Problem, not_built
from serving.api.redis_link import RedisAwayError
from serving.api.routes.identifiers import CustomerPath, NameFilter
from serving.api.routes.sources import FROM_POSTGRES, FROM_REDIS, SOURCE_IS_TOLD
from serving.api.state import Serving, serving_of
from serving.api.warehouse import BUILD_ALL
from serving.segment_lookup import is_lookup_of, lookup_key

router = APIRouter(tags=["customers"])

Reader = Annotated[Principal, Needs(Permission.insights_read)]
# Who may not see ids may not look anybody up by one either.
Finder = Annotated[Principal, Needs(Permission.customers_read)]

_CUSTOMERS = Listing("marts", "fct_customer_segments", Customer, key=("customer_id",))
_RFM = Listing("marts", "fct_customer_rfm", RfmScores, key=("customer_id",))
_TILL_RFM = Listing("marts", "fct_pos_customer_segments", TillRfmScores, key=("customer_id",))
_VALUES = Listing("marts", "fct_customer_lifetime_value", LifetimeValue, key=("customer_id",))

_Score = Annotated[int | None, Query(ge=1, le=5, description="With this score.")]
_Activity = Literal["Active", "Recent", "Dormant", "Inactive", "No Purchases"]


def _select_one(table: str, model: type[BaseModel]) -> sql.Composed:
    return sql.SQL("select {} from {} where customer_id = %s").format(
        sql.SQL(", ").join(map(sql.Identifier, model.model_fields)), sql.Identifier("marts", table)
    )


_ONE_SEGMENT = _select_one("fct_customer_segments", CustomerSegment)
_ONE_CUSTOMER = _select_one("fct_customer_segments", Customer)
_ONE_RFM = _select_one("fct_customer_rfm", RfmScores)
_ONE_VALUE = _select_one("fct_customer_lifetime_value", LifetimeValue)


@router.get("/customers", response_model=Page[Customer])
async def customers(
    request: Request,
    principal: Reader,
    segment_id: Annotated[
        int | None, Query(ge=-1, le=1000, description="In this segment.", examples=[3])
    ] = None,
    activity_status: Annotated[_Activity | None, Query(description="Of this activity.")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Customers of the web shop with their segment, in the order of ids."""
    return await serving_of(request).pager.page(
        _CUSTOMERS,
        principal,
        limit=limit,
        cursor=cursor,
        filters=[
            Filter("segment_id", "=", segment_id),
            Filter("activity_status", "=", activity_status),
        ],
    )


@router.get("/customers/{customer_id}", response_model=CustomerProfile)
async def customer(request: Request, _: Finder, customer_id: CustomerPath) -> Response:
    """One customer with segment, RFM scores and lifetime value."""
    warehouse = serving_of(request).warehouse
    row = await warehouse.row(_ONE_CUSTOMER, (customer_id,))
    if row is None:
        raise await _absent(serving_of(request))
    rfm = await warehouse.row(_ONE_RFM, (customer_id,))
    value = await warehouse.row(_ONE_VALUE, (customer_id,))
    return json_answer(CustomerProfile.model_validate({**row, "rfm": rfm, "lifetime_value": value}))


@router.get(
    "/customers/{customer_id}/segment",
    response_model=CustomerSegment,
    responses=SOURCE_IS_TOLD,
)
async def segment(request: Request, _: Finder, customer_id: CustomerPath) -> Response:
    """One customer's segment: one read from Redis; without Redis, from Postgres."""
    serving = serving_of(request)
    try:
        found = await serving.redis.read(lookup_key(customer_id))
    except RedisAwayError:
        found = None
    if found is not None and is_lookup_of(customer_id, found):
        serving.meter.segment_read("redis")
        return Response(found, headers=FROM_REDIS, media_type="application/json")
    row = await serving.warehouse.row(_ONE_SEGMENT, (customer_id,))
    if row is None:
        raise await _absent(serving)
    serving.meter.segment_read("postgres")
    return json_answer(CustomerSegment.model_validate(row), headers=FROM_POSTGRES)


@router.get("/rfm/web", response_model=Page[RfmScores], tags=["rfm"])
async def web_rfm(
    request: Request,
    principal: Reader,
    rfm_segment: NameFilter = None,
    r_score: _Score = None,
    f_score: _Score = None,
    m_score: _Score = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Recency, frequency and money of the web shop's customers."""
    return await serving_of(request).pager.page(
        _RFM,
        principal,
        limit=limit,
        cursor=cursor,
        filters=_rfm_filters(rfm_segment, r_score, f_score, m_score),
    )


@router.get("/rfm/tills", response_model=Page[TillRfmScores], tags=["rfm"])
async def till_rfm(
    request: Request,
    principal: Reader,
    rfm_segment: NameFilter = None,
    r_score: _Score = None,
    f_score: _Score = None,
    m_score: _Score = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Recency, frequency and money of the tills' customers, net of refunds."""
    return await serving_of(request).pager.page(
        _TILL_RFM,
        principal,
        limit=limit,
        cursor=cursor,
        filters=_rfm_filters(rfm_segment, r_score, f_score, m_score),
    )


@router.get("/lifetime-value", response_model=Page[LifetimeValue], tags=["lifetime value"])
async def lifetime_value(
    request: Request,
    principal: Reader,
    min_probability_alive: Annotated[
        float | None, Query(ge=0, le=1, description="At least as likely still a customer.")
    ] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """What each customer is expected to buy in the horizon."""
    return await serving_of(request).pager.page(
        _VALUES,
        principal,
        limit=limit,
        cursor=cursor,
        filters=[Filter("probability_alive", ">=", min_probability_alive)],
    )


def _rfm_filters(
    name: str | None, r_score: int | None, f_score: int | None, m_score: int | None
) -> list[Filter]:
    return [
        Filter("rfm_segment", "=", name),
        Filter("r_score", "=", r_score),
        Filter("f_score", "=", f_score),
        Filter("m_score", "=", m_score),
    ]


async def _absent(serving: Serving) -> Problem:
    """Why there is no such customer: nobody is there yet, or not this one."""
    found = await serving.warehouse.row(
        sql.SQL("select exists (select from marts.fct_customer_segments) as is_filled")
    )
    if found is None or not found["is_filled"]:
        return not_built("marts.fct_customer_segments", BUILD_ALL)
    return Problem(404, "no-such-customer", "There is no customer of this id.")
