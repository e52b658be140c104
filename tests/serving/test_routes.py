"""Which routes there are, whom they let in, and what they answer."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import orjson
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from jsonschema import Draft202012Validator
from pydantic import BaseModel
from running_api import RunningApi
from served_marts import contracts, is_not_null
from starlette.routing import WebSocketRoute

from segmentation.rules.spec import Rule
from serving.access.permissions import PERMISSIONS, Permission, Role
from serving.api.app import create_app
from serving.api.gate import declared, open_to_all
from serving.api.models.administration import KeyRequest
from serving.api.models.parts import Answer, example_of
from serving.api.onboarding import read_document
from serving.api.openapi import rule_schemas
from serving.api.options import ApiOptions
from serving.api.pages import Listing
from serving.api.routes import customers, retail, sales, segmentation
from serving.api.sockets.topics import topics_of
from serving.api.warehouse import Warehouse

PUBLIC = {"/healthz", "/readyz", "/v1/openapi.json"}
EXAMPLES = {"stream": "transactions", "customer_id": "c-000", "key_id": "000000000000",
            "segment": "nobody", "version": "1"}  # fmt: skip


def dependencies_of(dependant: Dependant) -> Iterator[object]:
    for each in dependant.dependencies:
        yield each.call
        yield from dependencies_of(each)


def permission_of(route: APIRoute) -> list[Permission]:
    calls = list(dependencies_of(route.dependant))
    return [found for call in calls if (found := declared(call)) is not None]


def test_there_is_one_websocket(options: ApiOptions) -> None:
    """The tests below pass it over: a second one would be seen by none of them."""
    routes = create_app(options).routes
    assert [each.path for each in routes if isinstance(each, WebSocketRoute)] == ["/v1/ws"]
    assert all(isinstance(each, APIRoute | WebSocketRoute) for each in routes)


def test_every_route_declares_one_permission_or_that_it_is_open(options: ApiOptions) -> None:
    for route in create_app(options).routes:
        if isinstance(route, WebSocketRoute):
            # There each topic declares one, and the connection needs credentials.
            continue
        assert isinstance(route, APIRoute), f"{route} cannot declare a permission"
        permissions = permission_of(route)
        is_open = open_to_all in list(dependencies_of(route.dependant))
        assert len(permissions) + is_open == 1, route.path
        assert is_open == (route.path in PUBLIC), route.path


def test_each_role_gets_into_the_routes_of_its_permissions_and_no_other(
    api: RunningApi, clients: Callable[[Role | None], httpx.Client], options: ApiOptions
) -> None:
    seen = 0
    for route in create_app(options).routes:
        if isinstance(route, WebSocketRoute) or route.path in PUBLIC:  # type: ignore[attr-defined]
            continue
        assert isinstance(route, APIRoute)
        (permission,) = permission_of(route)
        path = re.sub(r"\{(\w+)\}", lambda found: EXAMPLES[found[1]], route.path)
        for method in route.methods:
            for role in (None, *Role):
                answer = clients(role).request(method, path, json={} if method != "GET" else None)
                seen += 1
                if role is None:
                    assert answer.status_code == 401, (method, path)
                elif permission not in PERMISSIONS[role]:
                    assert answer.status_code == 403, (method, path, role)
                else:
                    # 404 and 422 come after the gate: the key or the body is none.
                    expected = (200, 201, 404, 422, 428)
                    assert answer.status_code in expected, (method, path, role, answer.text)
    assert seen > 100


def test_every_topic_declares_a_permission(api: RunningApi) -> None:
    topics = topics_of(Warehouse(api.options.database.reader, 1))
    assert {topic.name for topic in topics} >= {"live-customers", "stream-status", "transactions"}
    assert all(topic.permission in PERMISSIONS[Role.viewer] for topic in topics)


def test_open_routes_need_no_key(clients: Callable[[Role | None], httpx.Client]) -> None:
    for path in PUBLIC:
        assert clients(None).get(path).status_code == 200


def test_every_permission_belongs_to_somebody_and_admin_has_all() -> None:
    assert PERMISSIONS[Role.admin] == frozenset(Permission)
    assert set(PERMISSIONS) == set(Role)


LISTINGS: list[Listing[Any]] = [
    value
    for module in (customers, retail, sales, segmentation)
    for value in vars(module).values()
    if isinstance(value, Listing)
]

_JSON_TYPES = {
    "text": {"string"},
    "text[]": {"array"},
    "integer": {"integer"},
    "bigint": {"integer"},
    "boolean": {"boolean"},
    "date": {"string"},
    "timestamp with time zone": {"string"},
    "numeric": {"string"},
}


@pytest.mark.parametrize("listing", LISTINGS, ids=lambda each: each.table)
def test_a_model_is_what_the_contract_of_its_mart_says(listing: Listing[Any]) -> None:
    contract = contracts()[listing.table]
    columns = {column["name"]: column for column in contract["columns"]}
    schema = listing.model.model_json_schema(mode="serialization")["properties"]
    for name, shown in schema.items():
        if listing.relation is not None and name not in columns:
            continue
        column = columns[name]
        types = {part["type"] for part in shown.get("anyOf", [shown])}
        wanted = _JSON_TYPES[column["data_type"].partition("(")[0]]
        assert types == wanted | (set() if is_not_null(column) else {"null"}), name
    (key,) = (c["columns"] for c in contract["constraints"] if c["type"] == "primary_key")
    # A page could lose rows between two others if its order were not that of a key.
    assert set(listing.key) == set(key) or listing.key in (
        ("refunded_at", "refund_id"),
        ("run_number",),
    )
    assert set(listing.key) <= set(schema)


# Lists of models that have one.
WITHOUT_EXAMPLE = {"Answer", "Keys", "SegmentOverlaps", "SegmentSummaries"}
WITHOUT_EXAMPLE |= {"SegmentsByRule", "VersionsOfSegment", "RuleDifferences", "SharedMembersList"}


def test_the_openapi_document_is_complete(options: ApiOptions) -> None:
    document = create_app(options).openapi()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["description"], path
            assert operation["tags"], path
            for parameter in operation.get("parameters", []):
                assert parameter["description"], (path, parameter["name"])
            statuses = set(operation["responses"])
            assert {"422", "500"} <= statuses
            assert ("401" in statuses) == bool(operation.get("security")), (method, path)
    for name, schema in document["components"]["schemas"].items():
        if name in rule_schemas():
            # Of the schema that is published for itself.
            continue
        for field, shown in schema.get("properties", {}).items():
            parts = [shown, *shown.get("anyOf", ())]
            assert any({"description", "$ref"} & set(part) for part in parts), (name, field)


def answers() -> Iterator[type[BaseModel]]:
    waiting: list[type[BaseModel]] = [Answer, KeyRequest]
    while waiting:
        model = waiting.pop()
        waiting += model.__subclasses__()
        if not model.__name__.startswith("_") and model.__name__ not in WITHOUT_EXAMPLE:
            yield model


@pytest.mark.parametrize("model", list(answers()), ids=lambda each: each.__name__)
def test_every_answer_has_an_example_that_is_one(model: type[BaseModel]) -> None:
    example = example_of(model)
    assert set(example) <= set(model.model_fields)
    model.model_validate(example)


def request_bodies(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], list[Any]]]:
    """Each body that a route takes: where, its schema, its examples."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
                schema = content["schema"]
                name = schema.get("$ref", "").rpartition("/")[2]
                given = [
                    *(document["components"]["schemas"][name]["examples"] if name else ()),
                    *(each["value"] for each in content.get("examples", {}).values()),
                ]
                yield f"{method} {path} {media_type}", schema, given


def test_every_request_has_an_example_that_is_one(options: ApiOptions) -> None:
    app = create_app(options)
    document = app.openapi()
    models = {
        f"{method.lower()} {route.path} application/json": route.body_field.field_info.annotation
        for route in app.routes
        if isinstance(route, APIRoute) and route.body_field is not None
        for method in route.methods
    }
    seen = set()
    for place, schema, examples in request_bodies(document):
        assert examples, place
        for each in examples:
            in_document = {**schema, "components": document["components"]}
            Draft202012Validator(in_document).validate(each)
            if place in models:
                models[place].model_validate(each)
            else:
                is_json = not isinstance(each, str)
                text = orjson.dumps(each) if is_json else each.encode()
                assert read_document(text, is_json=is_json)[0].stream == "returns"
        seen.add(place)
    assert seen >= models.keys()
    assert len(seen) >= 10


def rules_in(part: object) -> Iterator[object]:
    if isinstance(part, dict):
        for name, each in part.items():
            yield from ([each] if name == "rule" else rules_in(each))
    elif isinstance(part, list):
        for each in part:
            yield from rules_in(each)


def test_every_rule_in_an_example_is_one(options: ApiOptions) -> None:
    schemas = create_app(options).openapi()["components"]["schemas"]
    found = [rule for each in schemas.values() for rule in rules_in(each.get("examples"))]
    assert len(found) >= 3
    for each in found:
        Rule.model_validate(each)
    assert schemas["SegmentDraft"]["properties"]["rule"]["$ref"] == "#/components/schemas/Rule"


def references_in(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        for name, each in part.items():
            if name == "$ref" and isinstance(each, str):
                yield each
            elif name == "mapping":
                yield from each.values()
            else:
                yield from references_in(each)
    elif isinstance(part, list):
        for each in part:
            yield from references_in(each)


def test_every_reference_of_the_document_leads_to_something(options: ApiOptions) -> None:
    document = create_app(options).openapi()
    references = set(references_in(document))
    assert "#/components/schemas/RuleAggregate" in references
    for each in references:
        assert each.removeprefix("#/components/schemas/") in document["components"]["schemas"]
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
        assert "$defs" not in schema
