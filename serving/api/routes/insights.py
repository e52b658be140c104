"""What stands out, in one answer."""

from typing import Annotated

from fastapi import APIRouter
from psycopg import sql
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from serving.access.permissions import Permission, Principal
from serving.api.gate import Needs
from serving.api.models.customers import SegmentSummary
from serving.api.models.insights import Insights
from serving.api.models.retail import Anomaly, Association
from serving.api.pages import json_answer
from serving.api.routes.segmentation import SEGMENTS
from serving.api.state import serving_of

router = APIRouter(tags=["insights"])


def _columns(model: type[BaseModel]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, model.model_fields))


_ANOMALIES = sql.SQL(
    """select {} from marts.fct_revenue_anomalies
       order by window_start desc, source_product_id limit 5"""
).format(_columns(Anomaly))
_ASSOCIATIONS = sql.SQL(
    """select {} from marts.fct_product_associations where rule_count >= 5
       order by lift desc, domain, antecedent, consequent limit 5"""
).format(_columns(Association))


@router.get("/insights", response_model=Insights)
async def insights(
    request: Request, _: Annotated[Principal, Needs(Permission.insights_read)]
) -> Response:
    """The newest anomalies, the strongest associations, and the segments by revenue."""
    warehouse = serving_of(request).warehouse
    anomalies = await warehouse.rows(_ANOMALIES)
    associations = await warehouse.rows(_ASSOCIATIONS)
    segments = [SegmentSummary.model_validate(row) for row in await warehouse.rows(SEGMENTS)]
    return json_answer(
        Insights(
            anomalies=[Anomaly.model_validate(row) for row in anomalies],
            associations=[Association.model_validate(row) for row in associations],
            segments=sorted(segments, key=lambda each: each.total_revenue, reverse=True),
        )
    )
