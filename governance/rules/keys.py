"""Keys, foreign keys and how many tests there are."""

import re
from collections.abc import Iterator

from governance.manifest import (
    Manifest,
    Node,
    label,
    models,
    nodes,
    primary_key,
    test_arguments,
    tests_of,
)
from governance.rules.rule import Finding, Rule

_TESTS_A_MODEL = 4
# What data tests cannot see whole: which way a row took.
_BRANCH = re.compile(r"\bcase\b|\bjoin\b|\bover \(|categorize_|parse_|first_landed_rows", re.I)


def model_has_a_key_test(manifest: Manifest) -> Iterator[Finding]:
    """Every model, seed and snapshot says by a test what makes a row one row."""
    for node in nodes(manifest, "model", "seed", "snapshot"):
        if not tested_keys(manifest, node):
            yield Finding(label(node), "has no test of its key")


def tested_keys(manifest: Manifest, node: Node) -> list[list[str]]:
    """The sets of columns that tests hold unique, each sorted."""
    keys = []
    for test in tests_of(manifest, node):
        arguments = test_arguments(test)
        if test["test_metadata"]["name"] == "unique":
            keys.append([arguments["column_name"]])
        elif test["test_metadata"]["name"] == "unique_combination":
            keys.append(sorted(arguments["columns"]))
        elif test["test_metadata"]["name"] == "has_valid_history":
            keys.append(sorted([arguments["key"], "dbt_valid_from"]))
    return keys


def mart_has_a_primary_key(manifest: Manifest) -> Iterator[Finding]:
    """Every mart has a primary key that Postgres enforces."""
    for mart in models(manifest, "marts"):
        if not primary_key(mart):
            yield Finding(label(mart), "has no primary_key constraint")


def primary_key_is_tested(manifest: Manifest) -> Iterator[Finding]:
    """The columns of the primary key are those of a key test: the constraint may get lost."""
    for model in models(manifest):
        key = sorted(primary_key(model))
        if key and key not in tested_keys(manifest, model):
            yield Finding(label(model), f"primary key ({', '.join(key)}) has no key test")


def primary_key_is_not_null(manifest: Manifest) -> Iterator[Finding]:
    """The columns of the primary key are declared not null."""
    for model in models(manifest):
        for name in primary_key(model):
            kinds = {each["type"] for each in model["columns"][name]["constraints"]}
            if not kinds & {"not_null", "primary_key"}:
                yield Finding(label(model), f"{name} of the primary key is not declared not_null")


def constraint_has_no_name(manifest: Manifest) -> Iterator[Finding]:
    """Constraints are unnamed: a full refresh makes new names beside the old."""
    for node in nodes(manifest, "model"):
        every = [
            *node["constraints"],
            *(each for column in node["columns"].values() for each in column["constraints"]),
        ]
        for constraint in every:
            if constraint["name"]:
                yield Finding(label(node), f"constraint {constraint['name']} has a name")


def foreign_key_is_tested(manifest: Manifest) -> Iterator[Finding]:
    """A column of a mart named like a dimension's key has a relationships test."""
    dimensions = [mart for mart in models(manifest, "marts") if mart["name"].startswith("dim_")]
    keys = {key[0] for dimension in dimensions if len(key := primary_key(dimension)) == 1}
    for mart in models(manifest, "marts"):
        own = set(primary_key(mart)) if mart in dimensions else set()
        tested = {
            test_arguments(test).get("column_name")
            for test in tests_of(manifest, mart)
            if test["test_metadata"]["name"] == "relationships"
        }
        for column in sorted((keys & set(mart["columns"])) - own - tested):
            yield Finding(f"{label(mart)}.{column}", "has no relationships test")


def there_are_enough_tests(manifest: Manifest) -> Iterator[Finding]:
    """Four data tests a model on average."""
    every = [test.get("attached_node") or "" for test in nodes(manifest, "test")]
    tests = sum(name.startswith("model.") for name in every)
    if tests < _TESTS_A_MODEL * len(models(manifest)):
        yield Finding("the project", f"{tests} data tests on {len(models(manifest))} models")


def branching_model_has_a_unit_test(manifest: Manifest) -> Iterator[Finding]:
    """A model with a case, join, window or parsing macro has a unit test."""
    tested = {test["model"] for test in manifest["unit_tests"].values()}
    for model in models(manifest):
        if _BRANCH.search(model["raw_code"]) and model["name"] not in tested:
            yield Finding(label(model), "branches and has no unit test")


RULES: tuple[Rule, ...] = (
    model_has_a_key_test,
    mart_has_a_primary_key,
    primary_key_is_tested,
    primary_key_is_not_null,
    constraint_has_no_name,
    foreign_key_is_tested,
    there_are_enough_tests,
    branching_model_has_a_unit_test,
)
