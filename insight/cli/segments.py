"""`insight segments`: segments by rule."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from insight.cli.author import me
from insight.cli.report import TableFormat, print_rows
from insight.cli.state import out, progress, settings_of
from insight.database import Connection, connect
from insight.errors import InputError, ServiceError
from insight.services import open_services

if TYPE_CHECKING:
    from segmentation.queries.preview import Preview
    from segmentation.queries.run import Explanation
    from segmentation.rules.catalogue import Catalogue
    from segmentation.rules.checks import Finding
    from segmentation.rules.yaml_form import RuleFile
    from segmentation.runtime.membership import Reason, SegmentWorker
    from segmentation.store.versions import SegmentVersion

app = typer.Typer(
    help="Segments by rule: try them, put them into use, see who is in and why.",
    no_args_is_help=True,
)

RuleArgument = Annotated[Path, typer.Argument(help="YAML or JSON file with the rule.")]
AsOf = Annotated[
    datetime | None,
    typer.Option(
        "--as-of",
        help="UTC; windows end here. By default the second after the newest event.",
        formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"],
    ),
]
Style = Annotated[TableFormat, typer.Option("--format", "-f", help="How to print.")]
SegmentArgument = Annotated[str, typer.Argument(help="Name of a segment.")]
Message = Annotated[str, typer.Option("--message", "-m", help="What the change is for.")]
Limit = Annotated[int, typer.Option(min=1, max=1_000, help="At most so many.")]


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
        dedupe = run.bring_notes_up_to_date(connection, catalogue, read.rule)
        explanation = run.explain(connection, read.rule, catalogue, moment, dedupe)
    _print_explanation(explanation, moment)


@app.command()
def preview(
    context: typer.Context,
    file: RuleArgument,
    as_of: AsOf = None,
    style: Style = TableFormat.table,
) -> None:
    """Count the customers a rule would have, and who would enter and leave the active version."""
    from segmentation.queries import run
    from segmentation.queries.preview import preview_rule

    with _warehouse(context) as (connection, catalogue):
        read = _checked(file, catalogue)
        moment = _moment(as_of) or run.default_as_of(connection, read.rule, catalogue)
        active = catalogue.segments.get(read.rule.name)
        with progress("Counting"):
            rules = (read.rule,) if active is None else (read.rule, active)
            dedupe = run.bring_notes_up_to_date(connection, catalogue, *rules)
            found = preview_rule(connection, read.rule, catalogue, moment, dedupe, active=active)
    _print_preview(read, found, style)


@app.command()
def schema() -> None:
    """Print the JSON Schema of a rule, for editors and other programs."""
    from segmentation.rules.schema import schema_text

    sys.stdout.write(schema_text())


@app.command()
def create(
    context: typer.Context,
    file: RuleArgument,
    message: Message = "",
    base: Annotated[
        int | None, typer.Option(min=1, help="The version that was edited. Default: the newest.")
    ] = None,
    activate_: Annotated[bool, typer.Option("--activate", help="Put it into use at once.")] = False,
) -> None:
    """Keep a rule as a new segment, or as a new version of the segment of its name."""
    from segmentation.store import versions

    with _store(context) as (connection, catalogue):
        read = _checked(file, catalogue)
        edited = base or versions.newest_version(connection, read.rule.name)
        with connection.transaction():
            made = versions.create_version(
                connection, read.rule, me(), base_version=edited, message=message
            )
            if activate_:
                made = versions.activate(connection, made.segment, me(), version=made.version)
    _print_status(made)


@app.command()
def activate(
    context: typer.Context,
    segment: SegmentArgument,
    version: Annotated[
        int | None, typer.Option(min=1, help="Which version. Default: the newest.")
    ] = None,
) -> None:
    """Put a version into use: the role segment-rules takes it up within seconds."""
    from segmentation.store import versions

    with _store(context) as (connection, _):
        _print_status(versions.activate(connection, segment, me(), version=version))


@app.command()
def revert(
    context: typer.Context,
    segment: SegmentArgument,
    to: Annotated[int, typer.Option("--to", min=1, help="The version whose rule is wanted.")],
    message: Message = "",
) -> None:
    """Put the rule of an old version into use again, as a new version."""
    from segmentation.store import versions

    with _store(context) as (connection, _):
        _print_status(versions.revert(connection, segment, me(), to_version=to, message=message))


@app.command()
def retire(context: typer.Context, segment: SegmentArgument) -> None:
    """Take a segment out of use: everybody leaves it, its versions and history stay."""
    from segmentation.store import versions

    with _store(context) as (connection, _):
        _print_status(versions.retire(connection, segment, me()))


@app.command(name="list")
def list_(context: typer.Context, style: Style = TableFormat.table) -> None:
    """All segments: active and running version, members, and which worker runs and refuses what."""
    from segmentation.runtime.membership import list_segments

    with _store(context) as (connection, _):
        found = list_segments(connection)
    listed = [asdict(each) for each in found]
    if style is not TableFormat.json:
        for row, each in zip(listed, found, strict=True):
            row["workers"] = "; ".join(map(_shown_worker, each.workers))
    columns = ["segment", "newest", "active", "running", "members", "as_of", "refused", "workers"]
    if style is not TableFormat.table:
        print_rows(columns, [[row[name] for name in columns] for row in listed], style)
        return
    columns.remove("refused")
    for row, each in zip(listed, found, strict=True):
        row["members"] = f"{each.members:,}"
        row["as_of"] = None if each.as_of is None else _shown(each.as_of)
    print_rows(columns, [[row[name] for name in columns] for row in listed])
    for each in found:
        if each.refused:
            out.print(f"{each.segment}: {each.refused}", markup=False)


@app.command()
def show(
    context: typer.Context,
    segment: SegmentArgument,
    version: Annotated[
        int | None, typer.Option(min=1, help="Which version. Default: the newest.")
    ] = None,
    style: Style = TableFormat.table,
) -> None:
    """One version of a segment, how it differs from the one before, and all its versions."""
    from segmentation.store import versions

    with _store(context) as (connection, _):
        chosen = versions.read_version(connection, segment, version)
        found = versions.versions(connection, segment)
    before = next((each for each in found if each.version == chosen.base_version), None)
    _print_version(chosen, before, found, style)


@app.command()
def members(
    context: typer.Context,
    segment: SegmentArgument,
    after: Annotated[str, typer.Option(help="Only customers whose ids come after it.")] = "",
    limit: Limit = 100,
    style: Style = TableFormat.table,
) -> None:
    """Who is in a segment, in the order of their ids, and as of when they entered."""
    from segmentation.runtime.membership import list_members

    with _store(context) as (connection, _):
        found = list_members(connection, segment, after=after, limit=limit)
    print_rows(
        ["customer_id", "since"], [(each.customer_id, _shown(each.since)) for each in found], style
    )


@app.command()
def history(
    context: typer.Context,
    segment: SegmentArgument,
    customer: Annotated[str | None, typer.Option(help="Only of this customer.")] = None,
    limit: Limit = 100,
    style: Style = TableFormat.table,
) -> None:
    """Who entered and left a segment, the newest first, with what was found of them."""
    from segmentation.runtime.membership import list_changes

    with _store(context) as (connection, _):
        found = list_changes(connection, segment, customer=customer, limit=limit)
    columns = ["change_id", "customer_id", "change", "version", "as_of", "recorded_at", "evidence"]
    if style is TableFormat.json:
        rows = [[getattr(each, name) for name in columns] for each in found]
    else:
        rows = [
            [each.change_id, each.customer_id, each.change, each.version, _shown(each.as_of),
             _shown(each.recorded_at.replace(microsecond=0)), _shown_evidence(each.evidence)]
            for each in found
        ]  # fmt: skip
    print_rows(columns, rows, style)


@app.command()
def why(
    context: typer.Context,
    segment: SegmentArgument,
    customer: Annotated[str, typer.Argument(help="Id of a customer.")],
    version: Annotated[
        int | None, typer.Option(min=1, help="Which version. Default: the one that runs.")
    ] = None,
    as_of: AsOf = None,
    style: Style = TableFormat.table,
) -> None:
    """Why a customer is in a segment or not: each condition, and what was found."""
    from segmentation.runtime import membership

    with _store(context) as (connection, _):
        reason = membership.why(
            connection, segment, customer, version=version, as_of=_moment(as_of)
        )
    _print_reason(reason, style)


@app.command()
def rebuild(context: typer.Context) -> None:
    """Write every customer's segments to Redis again, from what stands in Postgres."""
    import redis

    from segmentation.runtime.cache import rebuild as rebuild_cache
    from segmentation.runtime.run import prepare
    from streaming.contract import load_contracts

    with open_services(settings_of(context)) as services, progress("Writing to Redis") as tell:
        prepare(services.database, load_contracts())
        url = services.redis.url.get_secret_value()
        with (
            connect(services.database, autocommit=True) as connection,
            redis.Redis.from_url(url) as client,
        ):
            try:
                count = rebuild_cache(
                    connection, client, lambda written: tell(f"{written:,} customers")
                )
            except redis.RedisError as error:
                raise ServiceError(
                    f"Redis does not take the segments of customers ({error})",
                    next_step="Check that it runs and that REDIS_URL is right",
                ) from error
    out.print(f"{count:,} customers who are in a segment are in Redis")


@contextmanager
def _store(context: typer.Context) -> Iterator[tuple[Connection, "Catalogue"]]:
    """A connection in which each change of the store is a transaction, and all its tables."""
    from segmentation.queries.run import open_catalogue
    from segmentation.runtime.run import prepare
    from segmentation.store.versions import active_rules
    from streaming.contract import load_contracts

    with open_services(settings_of(context)) as services:
        prepare(services.database, load_contracts())
        with connect(services.database, autocommit=True) as connection:
            yield connection, open_catalogue(connection, active_rules(connection))


@contextmanager
def _warehouse(context: typer.Context) -> Iterator[tuple[Connection, "Catalogue"]]:
    from segmentation.queries.run import open_catalogue
    from segmentation.store.versions import active_rules

    with open_services(settings_of(context)) as services, connect(services.database) as connection:
        yield connection, open_catalogue(connection, active_rules(connection))


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
    moved = found.change
    if style is TableFormat.json:
        document = {
            "segment": read.rule.name,
            "as_of": found.as_of.isoformat(),
            "customers": found.matched,
            "conditions": [
                {"condition": each.sentence, "customers": each.customers} for each in found.leaves
            ],
            "samples": found.samples,
            "change": None if moved is None else asdict(moved),
        }
        sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=1) + "\n")
        return
    rows = [(each.sentence, each.customers) for each in found.leaves]
    if style is TableFormat.csv:
        extra = [] if moved is None else [("(would enter)", moved.entering),
                                          ("(would leave)", moved.leaving)]  # fmt: skip
        print_rows(
            ["condition", "customers"], [("(the rule)", found.matched), *rows, *extra], style
        )
        return
    out.print(
        f"{found.matched:,} customers in {read.rule.name} as of {_shown(found.as_of)}",
        markup=False,
    )
    print_rows(["condition", "customers"], [(text, f"{count:,}") for text, count in rows])
    if found.samples:
        out.print(f"For example: {', '.join(found.samples)}", markup=False)
    if moved is not None:
        out.print("Against the active version:")
        _print_movement(moved.entering, "would enter", moved.would_enter)
        _print_movement(moved.leaving, "would leave", moved.would_leave)


def _print_movement(count: int, what: str, samples: Sequence[str]) -> None:
    some = f": {', '.join(samples)}" if samples else ""
    more = f" and {count - len(samples):,} more" if count > len(samples) else ""
    out.print(f"  {count:,} {what}{some}{more}", markup=False)


def _print_status(version: "SegmentVersion") -> None:
    told = {
        "draft": f"a draft. Put it into use: insight segments activate {version.segment}",
        "active": "active. The role segment-rules takes it up: insight segment-rules",
        "retired": "retired",
    }[version.status]
    out.print(f"{version.segment} version {version.version} is {told}", markup=False)


def _print_version(
    chosen: "SegmentVersion",
    before: "SegmentVersion | None",
    found: "Sequence[SegmentVersion]",
    style: TableFormat,
) -> None:
    from segmentation.rules.sentences import rule_sentence
    from segmentation.store.differences import differences

    changed = () if before is None else differences(before.rule, chosen.rule)
    if style is TableFormat.json:
        document = {
            **{name: getattr(chosen, name) for name in ("segment", "version", "status", "spec_sha",
               "base_version", "author", "message", "created_at", "activated_at", "retired_at")},
            "rule": chosen.rule.model_dump(mode="json", exclude_none=True),
            "configuration": chosen.configuration,
            "differences": [asdict(each) for each in changed],
            "versions": [each.version for each in found],
        }  # fmt: skip
        sys.stdout.write(json.dumps(document, default=str, ensure_ascii=False, indent=1) + "\n")
        return
    columns = ["version", "status", "base", "author", "created_at", "message"]
    rows = [
        (each.version, each.status, each.base_version, each.author,
         _shown(each.created_at.replace(microsecond=0)), each.message)
        for each in found
    ]  # fmt: skip
    if style is TableFormat.table:
        out.print(f"{chosen.segment} version {chosen.version}, {chosen.status}", markup=False)
        out.print(rule_sentence(chosen.rule), markup=False)
        for each in changed:
            out.print(
                f"  {each.pointer or '/'}: {_json(each.before)} became {_json(each.after)}",
                markup=False,
            )
        out.print()
    print_rows(columns, rows, style)


def _print_reason(reason: "Reason", style: TableFormat) -> None:
    columns = ["condition", "holds", "found", "events"]
    rows = [
        (sentence, "yes" if leaf.holds else "no",
         None if leaf.found is None else _shown(leaf.found), leaf.events)
        for sentence, leaf in reason.conditions
    ]  # fmt: skip
    if style is TableFormat.json:
        document = {
            "segment": reason.version.segment,
            "version": reason.version.version,
            "customer_id": reason.customer_id,
            "as_of": reason.as_of.isoformat(),
            "matches": reason.matches,
            "is_member": reason.is_member,
            "changes_at": None if reason.changes_at is None else reason.changes_at.isoformat(),
            "conditions": [
                {"condition": sentence, "holds": leaf.holds, "found": leaf.found,
                 "events": leaf.events}
                for sentence, leaf in reason.conditions
            ],
        }  # fmt: skip
        sys.stdout.write(json.dumps(document, default=str, ensure_ascii=False, indent=1) + "\n")
        return
    if style is TableFormat.table:
        verdict = "fits" if reason.matches else "does not fit"
        out.print(
            f"{reason.customer_id} {verdict} {reason.version.segment} version"
            f" {reason.version.version} as of {_shown(reason.as_of)}",
            markup=False,
        )
        if reason.is_member is not reason.matches:
            told = "a member" if reason.is_member else "no member"
            out.print(f"The runtime has them as {told}: it asked another version or moment")
    print_rows(columns, rows, style)
    if style is TableFormat.table and reason.changes_at is not None:
        out.print(f"Without new events that stays so until {_shown(reason.changes_at)} at least")


def _shown_worker(worker: "SegmentWorker") -> str:
    """`host-12-ab runs 2, refuses 3, seen 2026-03-01T12:00:00Z`."""
    runs = None if worker.version is None else f"runs {worker.version}"
    refuses = None if worker.refused_version is None else f"refuses {worker.refused_version}"
    seen = f"seen {_shown(worker.seen_at.replace(microsecond=0))}"
    return f"{worker.worker} {', '.join(filter(None, (runs, refuses, seen)))}"


def _shown_evidence(evidence: "Sequence[Mapping[str, object]] | None") -> str:
    """One mark a condition: whether it holds, and the number that was found."""
    if evidence is None:
        return "nothing found"
    return "; ".join(
        ("yes" if each["holds"] else "no") + (f" {each['found']}" if "found" in each else "")
        for each in evidence
    )


def _json(value: object) -> str:
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False)


def _shown(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, list) and len(value) > 10:
        return f"{value[:10]} and {len(value) - 10:,} more"
    return str(value)
