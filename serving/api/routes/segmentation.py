"""Segments that machine learning gave, and the runs that gave them. Segments by rule are others."""

from typing import Annotated

from fastapi import APIRouter
from psycopg import sql
from starlette.requests import Request
from starlette.responses import Response

from serving.access.permissions import Permission, Principal
from serving.api.gate import Needs
from serving.api.models.customers import (
    SegmentationRun,
    SegmentOverlap,
    SegmentOverlaps,
    SegmentSummaries,
    SegmentSummary,
)
from serving.api.pages import Cursor, Limit, Listing, Page, json_answer
from serving.api.problems import not_built
from serving.api.state import serving_of
from serving.api.warehouse import BUILD_ALL

router = APIRouter(prefix="/segmentation", tags=["segmentation"])

Reader = Annotated[Principal, Needs(Permission.insights_read)]

SEGMENTS = sql.SQL(
    """select segment_id, segment_name, count(*) as customers,
           round(count(*) / sum(count(*)) over (), 4) as customer_share,
           sum(total_orders) as total_orders, sum(total_revenue) as total_revenue,
           round(sum(total_revenue) / nullif(sum(sum(total_revenue)) over (), 0), 4)
               as revenue_share,
           max(updated_at) as updated_at
       from marts.fct_customer_segments
       group by segment_id, segment_name order by segment_id, segment_name"""
)
_OVERLAPS = sql.SQL(
    """with segments as (
           select segment_name, count(*) as customers
           from marts.fct_customer_segments group by segment_name
       ),
       cells as (
           select rfm_segment, count(*) as customers
           from marts.fct_customer_rfm group by rfm_segment
       ),
       shared as (
           select segment_name, rfm_segment, count(*) as customers
           from marts.fct_customer_segments join marts.fct_customer_rfm using (customer_id)
           group by segment_name, rfm_segment
       )
       select segment_name, rfm_segment, segments.customers as segment_customers,
           cells.customers as rfm_customers, shared.customers as shared_customers,
           round(shared.customers::numeric
               / (segments.customers + cells.customers - shared.customers), 4) as jaccard,
           round(shared.customers::numeric / segments.customers, 4) as segment_share,
           round(shared.customers::numeric / cells.customers, 4) as rfm_share
       from shared join segments using (segment_name) join cells using (rfm_segment)
       order by segment_name, rfm_segment"""
)
_RUNS = Listing(
    "marts", "fct_segmentation_runs", SegmentationRun, key=("run_number",), is_descending=True
)


@router.get("/segments", response_model=SegmentSummaries)
async def segments(request: Request, _: Reader) -> Response:
    """The segments of the last run with their customers and revenue."""
    rows = await serving_of(request).warehouse.rows(SEGMENTS)
    if not rows:
        raise not_built("marts.fct_customer_segments", BUILD_ALL)
    items = [SegmentSummary.model_validate(row) for row in rows]
    return json_answer(SegmentSummaries(items=items))


@router.get("/overlap", response_model=SegmentOverlaps)
async def overlap(request: Request, _: Reader) -> Response:
    """How far the segments of machine learning and those of RFM scores are the same customers."""
    rows = await serving_of(request).warehouse.rows(_OVERLAPS)
    if not rows:
        raise not_built("marts.fct_customer_segments", BUILD_ALL)
    items = [SegmentOverlap.model_validate(row) for row in rows]
    return json_answer(SegmentOverlaps(items=items))


@router.get("/runs", response_model=Page[SegmentationRun])
async def runs(
    request: Request, principal: Reader, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """Runs of the segmentation, newest first."""
    return await serving_of(request).pager.page(_RUNS, principal, limit=limit, cursor=cursor)
