"""Rules as YAML: every complaint names the file, the line and what to write."""

from pathlib import Path

import pytest

from insight.errors import InputError
from segmentation.rules import yaml_form
from segmentation.rules.spec import Rule
from segmentation.rules.yaml_form import InvalidRuleError, parse_rule, read_rule

EXAMPLES = Path(yaml_form.__file__).parent / "examples"
FILE = Path("rule.yaml")
HEAD = "version: 1\nname: x\nrule:\n"
AGGREGATE = """  kind: aggregate
  stream: transactions
  function: count
  window: last 30d
  op: gt
  value: 5
"""


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.yaml")), ids=lambda file: file.stem)
def test_examples_are_rules_named_like_their_files(file: Path) -> None:
    assert read_rule(file).rule.name == file.stem


def test_yaml_and_structured_windows_are_the_same_rule() -> None:
    short = parse_rule(HEAD + AGGREGATE, FILE).rule
    long = parse_rule(HEAD + AGGREGATE.replace("last 30d", "{kind: rolling, last: 30d}"), FILE).rule
    assert short == long


def test_dates_stay_texts_until_the_rule_reads_them() -> None:
    text = HEAD + AGGREGATE.replace(
        "last 30d", "{kind: between, start: 2019-01-01, end: 2019-02-01}"
    )
    assert "2019-01-01T00:00:00" in parse_rule(text, FILE).rule.model_dump_json()


@pytest.mark.parametrize(
    ("text", "line", "complaint"),
    [
        ("", 1, "is empty"),
        ("- 1", 1, "is no rule"),
        ("version: 1\nname: [", 2, "is no readable YAML"),
        ("version: 1\nversion: 1", 2, "key 'version' stands twice"),
        ("version: 1\n2: 3", 2, "2 is no name of a key"),
        ("version: 1\nname: &a x\ndescription: *a", 3, "aliases are not allowed"),
        ("[" * 5000, 1, "nested too deeply"),
        (HEAD.replace("version: 1", "version: 2") + AGGREGATE, 1, "version: input should be 1"),
        (HEAD.replace("name: x", "name: A b") + AGGREGATE, 2, "name: string should match"),
        (HEAD + "  stream: transactions\n", 4, "kind is missing"),
        (HEAD + "  kind: aggregat\n", 4, "'aggregat' is no kind"),
        (HEAD + AGGREGATE.replace("value: 5", "valeu: 5"), 9, "valeu is not known here"),
        (HEAD + AGGREGATE.replace("value: 5", "value: .nan"), 9, "value takes a text, a number"),
        (HEAD + AGGREGATE.replace("value: 5", "value: -.inf"), 9, "value takes a text, a number"),
        (HEAD + AGGREGATE.replace("value: 5", "value: [1]"), 9, "value takes a text, a number"),
        (HEAD + AGGREGATE.replace("last 30d", "last 30"), 7, "is no duration: write a number"),
        (HEAD + AGGREGATE.replace("last 30d", "lately"), 7, "is no window: write `last 30d`"),
        (HEAD + AGGREGATE.replace("last 30d", "last 4000d"), 7, "at most 3650d"),
        (HEAD + AGGREGATE.replace("30d", "30d\n  within: 3d"), 8, "within is not known here"),
        (HEAD + AGGREGATE.replace("count", "sum"), 4, "sum needs a field"),
        (HEAD + AGGREGATE.replace("op: gt", "op: '>'"), 8, "'gt' or 'gte'"),
        (HEAD + '  kind: member\n  segment: "a b"', 5, "segment: string should match"),
        (HEAD + "  kind: list\n  customers: []", 5, "at least 1 item"),
        (HEAD + "  kind: bucket\n  salt: a\n  percent: 101", 6, "less than or equal to 100"),
        (HEAD + "  kind: n_of\n  conditions:\n  -" + AGGREGATE[1:].replace("\n  ", "\n    "), 4,
         "n_of needs at_least, at_most or both"),
        (HEAD + '  kind: trait\n  field: gender\n  op: eq\n  value: "a\\0"', 7, "value takes"),
        (HEAD + "  kind: trait\n  field: gender\n  op: is_set\n  value: 1", 4, "takes no value"),
        (HEAD + "  kind: trait\n  field: gender\n  op: between\n  value: [1]", 4, "two values"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(text: str, line: int, complaint: str) -> None:
    with pytest.raises(InvalidRuleError) as caught:
        parse_rule(text, FILE)
    assert any(at == line and complaint in sentence for at, sentence in caught.value.complaints)
    assert str(caught.value).startswith("rule.yaml:")


def test_all_that_is_wrong_is_told_at_once() -> None:
    text = HEAD + "  kind: all\n  conditions:\n    - kind: bucket\n      salt: a\n    - kind: none"
    with pytest.raises(InvalidRuleError) as caught:
        parse_rule(text, FILE)
    assert caught.value.complaints == [
        (6, "/rule/conditions/0/percent: percent is missing"),
        (8, "/rule/conditions/1: 'none' is no kind: write 'all', 'any', 'not', 'n_of', 'trait',"
            " 'aggregate', 'sequence', 'member', 'list', 'bucket'"),
    ]  # fmt: skip


def _nested(levels: int) -> dict[str, object]:
    found: dict[str, object] = {"kind": "bucket", "salt": "a", "percent": 5}
    for _ in range(levels - 1):
        found = {"kind": "not", "condition": found}
    return {"version": 1, "name": "x", "rule": found}


def test_rules_are_as_deep_and_as_wide_as_the_limits_and_not_more() -> None:
    leaf = {"kind": "bucket", "salt": "a", "percent": 5}
    wide = {"kind": "all", "conditions": [leaf] * 32}
    Rule.model_validate(_nested(8))
    Rule.model_validate(
        {"version": 1, "name": "x", "rule": {"kind": "any", "conditions": [wide, wide]}}
    )
    with pytest.raises(ValueError, match="9 levels deep, at most 8"):
        Rule.model_validate(_nested(9))
    with pytest.raises(ValueError, match="65 leaves, at most 64"):
        Rule.model_validate(
            {"version": 1, "name": "x", "rule": {"kind": "any", "conditions": [wide, wide, leaf]}}
        )
    too_long = {"kind": "list", "customers": [str(n) for n in range(10_001)]}
    with pytest.raises(ValueError, match="at most 10000"):
        Rule.model_validate({"version": 1, "name": "x", "rule": too_long})


def test_a_file_that_is_missing_or_no_text_or_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no readable text"):
        read_rule(tmp_path / "none.yaml")
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is no readable text"):
        read_rule(binary)
    large = tmp_path / "large.yaml"
    large.write_text("#" * (yaml_form.MOST_BYTES + 1))
    with pytest.raises(InputError, match="is larger than"):
        read_rule(large)
