"""Segments by rule: their versions, members and changes, and what is asked of a rule."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from segmentation.rules.windows import parse_moment
from serving.api.models.parts import WHOLE, Answer, CustomerId, Moment, Number, example

_RULE: dict[str, object] = {
    "version": 1,
    "name": "big_recent_spenders",
    "description": "Who spent more than 1,000 in a month.",
    "rule": {
        "kind": "aggregate",
        "stream": "transactions",
        "function": "sum",
        "field": "amount",
        "window": "last 30d",
        "op": "gt",
        "value": 1000,
    },
}

_FIRST, _LAST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)

# In the OpenAPI document the published schema of rules stands in place of what has this format.
RULE_FORMAT = "rule"

RuleDocument = Annotated[
    dict[str, JsonValue],
    Field(
        description="A rule, as `GET /v1/rules/schema` describes it.",
        json_schema_extra={"format": RULE_FORMAT},
    ),
]
Message = Annotated[str, Field(default="", max_length=500, description="Why, in a few words.")]
SegmentSlug = Annotated[str, Field(description="The segment's name.")]
VersionNumber = Annotated[
    int, Field(strict=True, ge=1, le=2**31 - 1, description="Number of a version."), WHOLE
]
Condition = Annotated[str, Field(description="The condition as a sentence.")]


def _moment(value: object) -> object:
    """An ISO time, UTC if it names no zone. A number would be taken for seconds since 1970."""
    moment = parse_moment(value)
    if not isinstance(value, str) or not isinstance(moment, datetime):
        raise ValueError("is no time: write 2026-03-01T12:00:00Z")  # noqa: TRY004 (pydantic's)
    # Windows reach ten years back, and to the end of the year that follows.
    if not _FIRST <= moment < _LAST:
        raise ValueError(f"is not between {_FIRST:%Y} and {_LAST:%Y}")
    return moment


class Request(BaseModel):
    """Base of what is asked for."""

    model_config = ConfigDict(extra="forbid")


class SegmentDraft(Request):
    """A rule to be kept as a new segment, or as the next version of one."""

    model_config = example(rule=_RULE, message="Lower limit")

    rule: RuleDocument
    message: Message


class Activation(Request):
    """Which version is to count."""

    model_config = example(version=2)

    version: VersionNumber | None = Field(default=None, description="null: the newest.")


class Reversion(Request):
    """Which version's rule is to count again."""

    model_config = example(to_version=1, message="The limit was too low")

    to_version: VersionNumber
    message: Message


class Question(Request):
    """A rule that is asked about; nothing is kept of it."""

    model_config = example(rule=_RULE, as_of="2026-03-01T12:00:00Z")

    rule: RuleDocument
    as_of: Annotated[datetime, BeforeValidator(_moment)] | None = Field(
        default=None,
        description="Windows end here; null: the second after the newest event that is read.",
    )


class SegmentWorker(Answer):
    """A process that keeps segments up to date, and the version of one segment that it runs."""

    model_config = example(
        worker="host-4711-9f3a",
        version=2,
        refused_version=3,
        reason="stream returns is not registered",
        seen_at="2026-03-01T12:00:02Z",
    )

    worker: str = Field(description="Host and process.")
    version: int | None = Field(description="The version that it runs.")
    refused_version: int | None = Field(description="A version that it refuses.")
    reason: str | None = Field(description="Why it refuses that.")
    seen_at: Moment


class SegmentByRule(Answer):
    """A segment at a glance."""

    model_config = example(
        segment="big_recent_spenders",
        newest=3,
        active=2,
        running=2,
        members=412,
        as_of="2026-03-01T12:00:01Z",
        refused=None,
        workers=[
            {
                "worker": "host-4711-9f3a",
                "version": 2,
                "refused_version": None,
                "reason": None,
                "seen_at": "2026-03-01T12:00:02Z",
            }
        ],
    )

    segment: SegmentSlug
    newest: int = Field(description="The newest version, perhaps a draft.")
    active: int | None = Field(description="The version that counts; null: none.")
    running: int | None = Field(description="The version whose members are there.")
    members: int = Field(description="Customers in it.")
    as_of: Moment | None
    refused: str | None = Field(description="Why the runtime does not run the active version.")
    workers: list[SegmentWorker] = Field(description="Processes at work; last seen first.")


class SegmentsByRule(Answer):
    """All segments by rule."""

    items: list[SegmentByRule] = Field(description="By name.")


class VersionOfSegment(Answer):
    """One version of a segment. It never changes, but for its status."""

    model_config = example(
        segment="big_recent_spenders",
        version=2,
        status="active",
        sentence="Customers for whom the total of amount over transactions in the last 30 days is"
        " more than 1,000.",
        rule=_RULE,
        spec_sha="1f" * 32,
        configuration={"version": 2},
        base_version=1,
        author="key:0f3a9c41d27b",
        message="Lower limit",
        created_at="2026-03-01T12:00:00Z",
        activated_at="2026-03-01T12:05:00Z",
        retired_at=None,
    )

    segment: SegmentSlug
    version: VersionNumber
    status: Literal["draft", "active", "retired"] = Field(description="One is active at most.")
    sentence: str = Field(description="The rule in words.")
    rule: RuleDocument
    spec_sha: str = Field(description="Equal for rules that ask the same in other words.")
    configuration: dict[str, JsonValue] = Field(
        description="What the runtime reads: sources, aggregations, filters, outputs, parameters."
    )
    base_version: int | None = Field(description="The version that was edited.")
    author: str = Field(description="Who made it, as the audit log has it.")
    message: str = Field(description="Why.")
    created_at: Moment
    activated_at: Moment | None
    retired_at: Moment | None


class VersionsOfSegment(Answer):
    """All versions of a segment."""

    items: list[VersionOfSegment] = Field(description="The newest first.")


class RuleDifference(Answer):
    """A place at which two versions differ."""

    model_config = example(pointer="/rule/value", before=1000, after=800)

    pointer: str = Field(description="JSON pointer into the rule.")
    before: JsonValue = Field(description="What stood there; null: nothing.")
    after: JsonValue = Field(description="What stands there; null: nothing.")


class RuleDifferences(Answer):
    """Where two versions differ."""

    items: list[RuleDifference] = Field(description="From the top down.")


class RuleFinding(Answer):
    """Something about a place in a rule."""

    model_config = example(
        severity="warning",
        code="empty_window",
        pointer="/rule/window",
        message="the window has no extent",
    )

    severity: Literal["error", "warning"] = Field(description="Errors stop, warnings do not.")
    code: str = Field(description="The kind of finding; stable.")
    pointer: str = Field(description="JSON pointer into the rule.")
    message: str = Field(description="What is odd there.")


class CheckedRule(Answer):
    """A rule in words, and what is to be said about it."""

    model_config = example(sentence="more than 5 transactions in the last 30 days", findings=[])

    sentence: str = Field(description="The rule in words.")
    findings: list[RuleFinding] = Field(description="In the order of the rule.")


class ConditionCount(Answer):
    """For how many customers one condition holds."""

    model_config = example(condition="more than 5 transactions in the last 30 days", customers=981)

    condition: Condition
    customers: int = Field(description="Customers for whom it holds.")


class RuleMovement(Answer):
    """What would change against the active version, if this rule were active now."""

    model_config = example(
        version=2, entering=120, leaving=3, would_enter=["c-17"], would_leave=["c-4"]
    )

    version: int = Field(description="The active version.")
    entering: int = Field(description="Customers who would enter.")
    leaving: int = Field(description="Customers who would leave.")
    would_enter: list[str] = Field(description="Some of them.")
    would_leave: list[str] = Field(description="Some of them.")


class RulePreview(Answer):
    """Who would be in the segment."""

    model_config = example(
        as_of="2026-03-01T12:00:01Z", customers=412, conditions=[], samples=["c-17"], change=None
    )

    as_of: Moment
    customers: int = Field(description="Customers for whom the rule holds.")
    conditions: list[ConditionCount] = Field(description="In the order of the rule.")
    samples: list[str] = Field(description="Some of the customers.")
    change: RuleMovement | None = Field(description="null: no version of this name is active.")


class RuleExplanation(Answer):
    """A rule in words, as SQL, and as Postgres would run it."""

    model_config = example(
        sentence="more than 5 transactions in the last 30 days",
        conditions=["more than 5 transactions in the last 30 days"],
        population=["retail"],
        spec_sha="1f" * 32,
        as_of="2026-03-01T12:00:01Z",
        sql={"postgres": "SELECT ...", "spark": "SELECT ..."},
        parameters={"p0": 5},
        plan=["HashAggregate"],
    )

    sentence: str = Field(description="The rule in words.")
    conditions: list[str] = Field(description="Its conditions, in the order of their bits.")
    population: list[str] = Field(description="Domains whose customers are asked.")
    spec_sha: str = Field(description="Equal for rules that ask the same in other words.")
    as_of: Moment
    sql: dict[str, str] = Field(description="The query, by dialect.")
    parameters: dict[str, JsonValue] = Field(description="Of the query for Postgres.")
    plan: list[str] = Field(description="The plan of Postgres, a line each.")


class SegmentMember(Answer):
    """A customer in a segment."""

    model_config = example(customer_id="c-17", since="2026-03-01T12:00:01Z")

    customer_id: CustomerId
    since: Moment


class MembershipChange(Answer):
    """A customer entered or left."""

    model_config = example(
        change_id=9041,
        customer_id="c-17",
        version=2,
        change="entered",
        as_of="2026-03-01T12:00:01Z",
        recorded_at="2026-03-01T12:00:02Z",
        evidence=[],
    )

    change_id: int = Field(description="Grows; names the change in Kafka as well.")
    customer_id: CustomerId
    version: int = Field(description="The version that said so.")
    change: Literal["entered", "left"] = Field(description="Which way.")
    as_of: Moment
    recorded_at: Moment
    evidence: list[JsonValue] | None = Field(
        description="Each condition with what was found; null: nothing was."
    )


class ChangeOfSegment(MembershipChange):
    """A customer entered or left a segment."""

    model_config = example(
        change_id=9041,
        segment="big_recent_spenders",
        customer_id="c-17",
        version=2,
        change="left",
        as_of="2026-03-01T12:00:01Z",
        recorded_at="2026-03-01T12:00:02Z",
        evidence=None,
    )

    segment: SegmentSlug


class ConditionReason(Answer):
    """Whether a condition holds for one customer, and what was found."""

    model_config = example(
        condition="more than 5 transactions in the last 30 days", holds=True, found="7", events=7
    )

    condition: Condition
    holds: bool = Field(description="Whether it holds.")
    found: str | None = Field(description="The number or value that was compared.")
    events: int = Field(description="Events that were looked at.")


class MembershipReason(Answer):
    """Why a customer is in a segment, or not."""

    model_config = example(
        segment="big_recent_spenders",
        version=2,
        customer_id="c-17",
        as_of="2026-03-01T12:00:01Z",
        matches=True,
        is_member=True,
        conditions=[],
        changes_at=None,
    )

    segment: SegmentSlug
    version: int = Field(description="The version that was asked: the active, else the newest.")
    customer_id: CustomerId
    as_of: Moment
    matches: bool = Field(description="What the rule says.")
    is_member: bool = Field(description="What the runtime said last.")
    conditions: list[ConditionReason] = Field(description="In the order of the rule.")
    changes_at: Moment | None


class Membership(Answer):
    """A segment by rule that a customer is in."""

    model_config = example(segment="big_recent_spenders", version=2, since="2026-03-01T12:00:01Z")

    segment: SegmentSlug
    version: int = Field(description="The version whose member they are.")
    since: Moment


class Memberships(Answer):
    """All segments by rule that a customer is in."""

    model_config = example(customer_id="c-17", segments=[], updated_at="2026-03-01T12:00:01Z")

    customer_id: CustomerId
    segments: list[Membership] = Field(description="By name.")
    updated_at: Moment


class SharedMembers(Answer):
    """How far two segments are the same customers."""

    model_config = example(
        segment="big_recent_spenders",
        other="many_refunds",
        customers=412,
        other_customers=90,
        shared=31,
        jaccard="0.0658",
    )

    segment: SegmentSlug
    other: SegmentSlug
    customers: int = Field(description="Customers of the segment.")
    other_customers: int = Field(description="Customers of the other.")
    shared: int = Field(description="Customers in both.")
    jaccard: Number


class SharedMembersList(Answer):
    """Pairs of segments that share customers."""

    items: list[SharedMembers] = Field(description="By names; each pair once.")
