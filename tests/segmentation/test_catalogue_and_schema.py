"""The catalogue agrees with the models, the schema with the code, the SQL with both."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from random_rules import CATALOGUE, rule_of, rules
from rule_worlds import CATALOGUE_WITH_OTHERS
from sqlglot import parse_one

from segmentation.queries.compile import compile_rule
from segmentation.queries.query import Dedupe, Output
from segmentation.queries.syntax import Dialect
from segmentation.rules import schema as schema_module
from segmentation.rules.catalogue import UNKNOWN_CUSTOMER
from segmentation.rules.schema import SCHEMA_FILE, schema_text
from segmentation.rules.spec import Rule
from segmentation.rules.yaml_form import read_rule

EXAMPLE = Path(schema_module.__file__).parent / "examples" / "big_recent_spenders.yaml"
AS_OF = datetime(2020, 1, 1, tzinfo=UTC)


def test_the_published_schema_is_current() -> None:
    assert SCHEMA_FILE.read_text() == schema_text(), "run: python -m segmentation.rules.schema"


@given(rules)
@settings(max_examples=50)
def test_every_rule_fits_the_published_schema(rule: Rule) -> None:
    jsonschema.validate(rule.model_dump(mode="json"), json.loads(schema_text()))


def test_the_schema_takes_windows_as_text_and_refuses_unknown_keys() -> None:
    document = yaml.safe_load(EXAMPLE.read_text())
    jsonschema.validate(document, json.loads(schema_text()))
    document["rule"]["conditions"][0]["extra"] = 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, json.loads(schema_text()))


def test_streams_without_customers_are_not_in_the_catalogue() -> None:
    assert set(CATALOGUE.streams) == {"transactions", "refunds", "account-transactions"}
    assert CATALOGUE.domains == ("banking", "ecommerce", "retail")


@pytest.mark.parametrize("stream", sorted(CATALOGUE.streams))
def test_amounts_are_rounded_as_the_staging_models_round_them(
    stream: str, project_root: Path
) -> None:
    found = CATALOGUE.streams[stream]
    model = f"stg_{stream.replace('-', '_')}.sql"
    (file,) = (project_root / "dbt_pipeline/models/staging").rglob(model)
    casts = re.findall(r"cast\((\w+) as numeric\(\d+, (\d+)\)\)", file.read_text())
    assert {name: int(places) for name, places in casts} == {
        each.name: each.decimals for each in found.fields.values() if each.decimals is not None
    }


def test_traits_are_columns_of_the_customer_dimension(project_root: Path) -> None:
    model = (project_root / "dbt_pipeline/models/marts/ecommerce/dim_customer.sql").read_text()
    selected = model.rpartition("final as (")[2]
    assert all(re.search(rf"\b{name}\b", selected) for name in CATALOGUE.traits)
    assert f"'{UNKNOWN_CUSTOMER}' as customer_id" in model


@given(rules)
@settings(max_examples=60)
def test_no_value_of_a_rule_is_in_its_sql_and_every_parameter_is_given(rule: Rule) -> None:
    for dialect in Dialect:
        for output in Output:
            query = compile_rule(
                rule, CATALOGUE_WITH_OTHERS, dialect=dialect, output=output, restricted=True
            )
            given_values = query.parameters(AS_OF, ["C1"])
            pattern = r"%\((\w+)\)s" if dialect is Dialect.postgres else r"(?<!:):(\w+)"
            assert set(re.findall(pattern, query.sql)) == set(given_values)
            without = re.sub(r"%\(\w+\)s", "", query.sql)
            assert "%" not in without
            assert "'" not in query.sql


@given(rules)
@settings(max_examples=40)
def test_spark_reads_what_is_written_for_it(rule: Rule) -> None:
    query = compile_rule(rule, CATALOGUE_WITH_OTHERS, dialect=Dialect.spark)
    assert parse_one(query.sql, read="spark").sql("spark", pretty=True) == query.sql


def test_the_standing_example_is_one_scan_and_asks_nobody_else() -> None:
    query = compile_rule(read_rule(EXAMPLE).rule, CATALOGUE, dedupe=Dedupe.noted)
    assert query.sql.count('"streaming"."transactions_raw"') == 1
    assert "known_customers" not in query.sql
    assert query.parameters(AS_OF)["w0_start"] == datetime(2019, 12, 2, tzinfo=UTC)


def test_parameters_want_customers_exactly_when_the_query_is_restricted() -> None:
    rule = rule_of({"kind": "bucket", "salt": "a", "percent": 5})
    with pytest.raises(ValueError, match="customers"):
        compile_rule(rule, CATALOGUE).parameters(AS_OF, ["C1"])
    with pytest.raises(ValueError, match="customers"):
        compile_rule(rule, CATALOGUE, restricted=True).parameters(AS_OF)
