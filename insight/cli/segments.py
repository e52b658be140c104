"""`insight segments`: segments by rule."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from insight.cli.report import TableFormat, print_rows
from insight.cli.state import out, progress, settings_of
from insight.database import Connection, connect
from insight.errors import InputError
from insight.services import open_services

if TYPE_CHECKING:
    from segmentation.queries.run import Explanation, Preview
    from segmentation.rules.catalogue import Catalogue
    from segmentation.rules.checks import Finding
    from segmentation.rules.yaml_form import RuleFile

app = typer.Typer(help="Segments by rule: check, explain and try them.", no_args_is_help=True)

RuleArgument = Annotated[Path, typer.Argument(help="YAML or JSON file with the rule.")]
AsOf = Annotated[
    datetime | None,
    typer.Option(
        "--as-of",
        help="UTC; windows end here. By default the second after the newest event.",
        formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"],
    ),
]


# Imports of segmentation stand inside the commands, because sqlglot takes a moment that other
# commands need not wait.


@app.command()
def validate(context: typer.Context, file: RuleArgument) -> None:
    """Check a rule: what is wrong with it, and what is hardly meant."""
    from segmentation.rules.lint import lint
    from segmentation.rules.sentences import rule_sentence
    from segmentation.rules.yaml_form import InvalidRuleError, read_rule

    try:
        read = read_rule(file)
    except InvalidRuleError as error:
        for line, sentence in error.complaints:
            out.print(f"{file}:{line}: error: {sentence}", markup=False)
        raise _invalid(file, len(error.complaints)) from None
    with _warehouse(context) as (_, catalogue):
        findings = lint(read.rule, catalogue)
    _print_findings(read, findings)
    if wrong := sum(each.severity == "error" for each in findings):
        raise _invalid(file, wrong)
    out.print(rule_sentence(read.rule), markup=False)


@app.command()
def explain(context: typer.Context, file: RuleArgument, as_of: AsOf = None) -> None:
    """Print a rule as a sentence, as SQL for Postgres and Spark, and the plan of Postgres."""
    from segmentation.queries import run

    with _warehouse(context) as (connection, catalogue):
        read = _checked(file, catalogue)
        moment = _moment(as_of) or run.default_as_of(connection, read.rule, catalogue)
        dedupe = run.bring_notes_up_to_date(connection, read.rule, catalogue)
        explanation = run.explain(connection, read.rule, catalogue, moment, dedupe)
    _print_explanation(explanation, moment)


@app.command()
def preview(
    context: typer.Context,
    file: RuleArgument,
    as_of: AsOf = None,
    style: Annotated[TableFormat, typer.Option("--format", "-f")] = TableFormat.table,
) -> None:
    """Count the customers a rule would have, for each condition too; name some of them."""
    from segmentation.queries import run

    with _warehouse(context) as (connection, catalogue):
        read = _checked(file, catalogue)
        moment = _moment(as_of) or run.default_as_of(connection, read.rule, catalogue)
        with progress("Counting"):
            dedupe = run.bring_notes_up_to_date(connection, read.rule, catalogue)
            found = run.preview(connection, read.rule, catalogue, moment, dedupe)
    _print_preview(read, found, style)


@app.command()
def schema() -> None:
    """Print the JSON Schema of a rule, for editors and other programs."""
    from segmentation.rules.schema import schema_text

    sys.stdout.write(schema_text())


@contextmanager
def _warehouse(context: typer.Context) -> Iterator[tuple[Connection, "Catalogue"]]:
    from segmentation.queries.run import open_catalogue

    with open_services(settings_of(context)) as services, connect(services.database) as connection:
        yield connection, open_catalogue(connection)


def _checked(file: Path, catalogue: "Catalogue") -> "RuleFile":
    """The rule of a file, without errors. Raises InputError that names file and line."""
    from segmentation.rules.checks import errors
    from segmentation.rules.yaml_form import read_rule

    read = read_rule(file)
    if found := errors(read.rule, catalogue):
        raise InputError(str(found[0]), where=read.place(found[0]))
    return read


def _invalid(file: Path, count: int) -> InputError:
    return InputError(f"has {count} errors" if count > 1 else "has an error", where=str(file))


def _moment(as_of: datetime | None) -> datetime | None:
    return None if as_of is None else as_of.replace(tzinfo=UTC)


def _print_findings(read: "RuleFile", findings: "list[Finding]") -> None:
    for each in findings:
        out.print(f"{read.place(each)}: {each.severity}: {each}", markup=False)


def _print_explanation(explanation: "Explanation", as_of: datetime) -> None:
    out.print(explanation.sentence, markup=False)
    out.print(f"\nAs of {_shown(as_of)}, of the customers of {', '.join(explanation.population)}")
    out.print(f"Hash of the rule: {explanation.spec_sha}")
    for index, sentence in enumerate(explanation.leaves):
        out.print(f"  leaf {index}: {sentence}", markup=False)
    for dialect, query in explanation.queries.items():
        out.print(f"\n-- SQL for {dialect.value.capitalize()}\n{query.sql}", markup=False)
    out.print("\n-- Parameters")
    for name, value in explanation.parameters.items():
        out.print(f"{name} = {_shown(value)}", markup=False)
    out.print("\n-- Plan of Postgres")
    for line in explanation.plan:
        out.print(line, markup=False)


def _print_preview(read: "RuleFile", found: "Preview", style: TableFormat) -> None:
    if style is TableFormat.json:
        document = {
            "segment": read.rule.name,
            "as_of": found.as_of.isoformat(),
            "customers": found.matched,
            "conditions": [
                {"condition": each.sentence, "customers": each.customers} for each in found.leaves
            ],
            "samples": found.samples,
        }
        sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=1) + "\n")
        return
    rows = [(each.sentence, each.customers) for each in found.leaves]
    if style is TableFormat.csv:
        print_rows(["condition", "customers"], [("(the rule)", found.matched), *rows], style)
        return
    out.print(
        f"{found.matched:,} customers in {read.rule.name} as of {_shown(found.as_of)}",
        markup=False,
    )
    print_rows(["condition", "customers"], [(text, f"{count:,}") for text, count in rows])
    if found.samples:
        out.print(f"For example: {', '.join(found.samples)}", markup=False)


def _shown(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, list) and len(value) > 10:
        return f"{value[:10]} and {len(value) - 10:,} more"
    return str(value)
