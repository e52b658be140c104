"""A version of a segment as the caller may see it."""

from starlette.requests import Request
from starlette.responses import Response

from segmentation.rules.sentences import rule_sentence
from segmentation.store.versions import SegmentVersion
from serving.access.permissions import Principal
from serving.api.models.segments import VersionOfSegment
from serving.api.pages import json_answer
from serving.api.state import serving_of


def version_answer(
    request: Request, principal: Principal, found: SegmentVersion, *, status: int = 200
) -> Response:
    return json_answer(version_shown(request, principal, found), status=status)


def version_shown(
    request: Request, principal: Principal, found: SegmentVersion
) -> VersionOfSegment:
    document: dict[str, object] = {
        **{name: getattr(found, name) for name in VersionOfSegment.model_fields
           if name not in ("rule", "sentence")},
        "rule": found.rule.model_dump(mode="json", exclude_none=True),
        "sentence": rule_sentence(found.rule),
    }  # fmt: skip
    return VersionOfSegment.model_validate(serving_of(request).shown_rule(document, principal))
