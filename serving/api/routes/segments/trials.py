"""Rules that are tried: checked, counted and explained; nothing is kept of them."""

from collections.abc import Sequence
from datetime import datetime

from fastapi import APIRouter
from pydantic import JsonValue
from starlette.requests import Request
from starlette.responses import Response

from insight.database import Connection
from segmentation.queries import run
from segmentation.queries.plan import make_plan
from segmentation.queries.preview import Movement, preview_rule
from segmentation.rules.lint import lint
from segmentation.rules.schema import schema_text
from segmentation.rules.sentences import rule_sentence
from segmentation.rules.spec import Rule
from segmentation.store import versions as store
from serving.api.models.segments import (
    CheckedRule,
    ConditionCount,
    Question,
    RuleExplanation,
    RuleFinding,
    RuleMovement,
    RulePreview,
)
from serving.api.pages import json_answer
from serving.api.routes.segments.callers import TAGS, Reader, Writer, owner_of
from serving.api.rules import ask, read_rule

# Not below /segments: there a segment could have the name.
router = APIRouter(prefix="/rules", tags=TAGS)


@router.get("/schema", response_model=dict[str, JsonValue])
async def rule_schema(_: Reader) -> Response:
    """The JSON Schema of a rule."""
    return Response(schema_text(), media_type="application/json")


@router.post("/validate", response_model=CheckedRule)
async def validate(request: Request, _: Writer, question: Question) -> Response:
    """A rule in words, with errors and warnings; nothing is counted."""
    rule = read_rule(question.rule)

    def work(connection: Connection) -> CheckedRule:
        catalogue = run.open_catalogue(connection, store.active_rules(connection))
        return CheckedRule(
            sentence=rule_sentence(rule),
            findings=[
                RuleFinding.model_validate(each, from_attributes=True)
                for each in lint(rule, catalogue)
            ],
        )

    return json_answer(await ask(owner_of(request), work))


@router.post("/preview", response_model=RulePreview)
async def preview(request: Request, _: Writer, question: Question) -> Response:
    """How many customers a rule has, for each condition too, and against the active version."""
    rule = read_rule(question.rule)
    answer = await ask(
        owner_of(request), lambda connection: _preview(connection, rule, question.as_of)
    )
    return json_answer(answer)


@router.post("/explain", response_model=RuleExplanation)
async def explain(request: Request, _: Writer, question: Question) -> Response:
    """A rule in words, its SQL for Postgres and Spark, parameters and plan; nothing is counted."""
    rule = read_rule(question.rule)
    answer = await ask(
        owner_of(request), lambda connection: _explain(connection, rule, question.as_of)
    )
    return json_answer(answer)


def _preview(connection: Connection, rule: Rule, as_of: datetime | None) -> RulePreview:
    active = store.active_rules(connection)
    catalogue = run.open_catalogue(connection, active)
    # The errors of a rule first: they say more than that nothing has arrived.
    make_plan(rule, catalogue)
    moment = as_of or run.default_as_of(connection, rule, catalogue)
    before = active.get(rule.name)
    rules = (rule,) if before is None else (rule, before)
    dedupe = run.notes_in_use(connection, catalogue, *rules)
    found = preview_rule(connection, rule, catalogue, moment, dedupe, active=before)
    return RulePreview(
        as_of=moment,
        customers=found.matched,
        conditions=[
            ConditionCount(condition=each.sentence, customers=each.customers)
            for each in found.leaves
        ],
        samples=list(found.samples),
        change=_change(connection, rule, found.change),
    )


def _change(connection: Connection, rule: Rule, found: Movement | None) -> RuleMovement | None:
    if found is None:
        return None
    (version,) = (
        each.version for each in store.active_versions(connection) if each.segment == rule.name
    )
    return RuleMovement(
        version=version,
        entering=found.entering,
        leaving=found.leaving,
        would_enter=list(found.would_enter),
        would_leave=list(found.would_leave),
    )


def _explain(connection: Connection, rule: Rule, as_of: datetime | None) -> RuleExplanation:
    catalogue = run.open_catalogue(connection, store.active_rules(connection))
    make_plan(rule, catalogue)
    moment = as_of or run.default_as_of(connection, rule, catalogue)
    dedupe = run.notes_in_use(connection, catalogue, rule)
    found = run.explain(connection, rule, catalogue, moment, dedupe)
    return RuleExplanation(
        sentence=found.sentence,
        conditions=list(found.leaves),
        population=list(found.population),
        spec_sha=found.spec_sha,
        as_of=moment,
        sql={dialect.value: query.sql for dialect, query in found.queries.items()},
        parameters={name: _plain(value) for name, value in found.parameters.items()},
        plan=list(found.plan),
    )


def _plain(value: object) -> JsonValue:
    """A parameter as JSON has it: decimals and moments in strings."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Sequence):
        return [_plain(each) for each in value]
    return value.isoformat() if isinstance(value, datetime) else str(value)
