"""The routes of the API, one module an area: a new one is a module and a line in `ROUTERS`."""

from fastapi import APIRouter

from serving.api.routes import (
    audit,
    banking,
    customers,
    health,
    insights,
    keys,
    kpis,
    me,
    retail,
    sales,
    segmentation,
    segments,
    sockets,
    streams,
)

# Under /v1. They are tried in this order: the one that is asked a thousand times a second is first.
# Within an area a path with a fixed last part stands before one with a parameter there.
ROUTERS: tuple[APIRouter, ...] = (
    customers.router,
    me.router,
    streams.router,
    kpis.router,
    sales.router,
    retail.router,
    segmentation.router,
    *segments.ROUTERS,
    banking.router,
    insights.router,
    sockets.router,
    keys.router,
    audit.router,
)
# At the root: for load balancers and Prometheus.
UNVERSIONED: tuple[APIRouter, ...] = (health.router,)
