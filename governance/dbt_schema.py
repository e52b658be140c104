"""The JSON schema that dbt carries, amended where dbt itself takes more than its schema says."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from dbt.jsonschemas import JSONSCHEMAS_PATH
from dbt_semantic_interfaces.parsing import schemas as metricflow
from jsonschema import Draft7Validator

# Relative to dbt's folder of schemas; those that dbt 1.11 uses for other databases.
RESOURCES, PROJECT = "resources/latest.json", "project/0.0.110.json"

Schema = dict[str, Any]


@cache
def validator(name: str) -> Draft7Validator:
    """Checks one parsed YAML file, of resources or dbt_project.yml."""
    schema = json.loads((Path(JSONSCHEMAS_PATH) / name).read_text())
    definitions = schema["definitions"]
    _take_severity_in_lower_case(definitions)
    if name == RESOURCES:
        _know_the_keys_of_versions(definitions)
        _know_the_metrics_of_metricflow(definitions)
    return Draft7Validator(schema)


def _take_severity_in_lower_case(definitions: Schema) -> None:
    definitions["Severity"]["enum"] = ["Error", "Warn", "error", "warn"]


def _know_the_keys_of_versions(definitions: Schema) -> None:
    """The schema knows no key of a version, and wants a mapping even as `defined_in`."""
    model = definitions["ModelProperties"]["properties"]
    taken = {key: model[key] for key in model.keys() - {"name", "versions", "latest_version"}}
    include = {
        "type": "object",
        "required": ["include"],
        "properties": {"include": {}, "exclude": {}},
        "additionalProperties": False,
    }
    columns = {"type": "array", "items": {"anyOf": [include, model["columns"]["items"]]}}
    definitions["Versions"] = {
        "type": "object",
        "required": ["v"],
        "properties": {**taken, "v": {}, "defined_in": {"type": "string"}, "columns": columns},
        "additionalProperties": False,
    }


def _know_the_metrics_of_metricflow(definitions: Schema) -> None:
    """The schema is ahead of dbt 1.11: it knows the coming form of metrics only."""
    type_params = {
        "type": "object",
        "properties": {key: {} for key in _keys(metricflow.metric_type_params_schema)},
        "additionalProperties": False,
    }
    definitions["MetricsProperties"]["properties"]["type_params"] = type_params
    query = definitions["SavedQueriesQueryParams"]["properties"]
    for key in _keys(metricflow.saved_query_query_params_schema):
        query.setdefault(key, {})


def _keys(schema: Schema) -> list[str]:
    return list(schema["properties"])
