"""Segments by rule, one module a purpose."""

from fastapi import APIRouter

from serving.api.routes.segments import changes, members, trials, versions

ROUTERS: tuple[APIRouter, ...] = (
    versions.router,
    changes.router,
    members.router,
    trials.router,
)
