"""The spec of a rule: what an analyst writes, checked as far as it can be without a catalogue.

A rule is a tree of groups (all, any, not, n_of) over leaves (trait, aggregate, sequence, member,
list, bucket). What it means is written in docs/rules.md.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)

from segmentation.rules.windows import AnyWindow, Duration

SPEC_VERSION = 1
MAX_DEPTH = 8
MAX_LEAVES = 64
MAX_LIST = 10_000

_NAME_PATTERN = r"^[a-z][a-z0-9_-]{0,62}$"
# More digits than this do not survive JSON, whose numbers are floats for most readers.
_MOST_DIGITS, _MOST_DECIMALS = 15, 6


def _as_decimal(value: object) -> object:
    """Through text: the float 0.1 is meant as 0.1. A text stays a text, true stays true."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        if isinstance(value, Decimal):
            return value
        raise ValueError("is not a number")
    return Decimal(str(value))


def _plain_number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


def _storable(text: str) -> str:
    if "\x00" in text or any("\ud800" <= each <= "\udfff" for each in text):
        raise ValueError("holds a character that cannot be stored")
    return text


Number = Annotated[
    Decimal,
    Field(max_digits=_MOST_DIGITS, decimal_places=_MOST_DECIMALS),
    BeforeValidator(_as_decimal),
    PlainSerializer(_plain_number),
    WithJsonSchema({"type": "number"}),
]
Text = Annotated[str, Field(strict=True, max_length=200), AfterValidator(_storable)]
Flag = Annotated[bool, Field(strict=True)]
Value = Flag | Number | Text
Name = Annotated[str, Field(strict=True, pattern=_NAME_PATTERN)]
Identifier = Annotated[str, Field(strict=True, min_length=1, max_length=63)]
CustomerId = Annotated[
    str, Field(strict=True, min_length=1, max_length=64), AfterValidator(_storable)
]

ComparisonOp = Literal["eq", "ne", "lt", "lte", "gt", "gte"]
FilterOp = Literal[
    "eq", "ne", "lt", "lte", "gt", "gte", "in", "not_in", "between", "contains", "starts_with",
    "is_set", "is_not_set",
]  # fmt: skip
AggregateFunction = Literal["count", "sum", "avg", "min", "max", "distinct"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Comparison(_Model):
    """A field beside a value: one for most operators, two for between, many for in, none for
    is_set.
    """

    field: Identifier
    op: FilterOp
    value: Value | tuple[Value, ...] | None = None

    @model_validator(mode="after")
    def _value_fits_operator(self) -> Self:
        values = self.value
        match self.op:
            case "is_set" | "is_not_set":
                if values is not None:
                    raise ValueError(f"{self.op} takes no value")
            case "in" | "not_in":
                if not isinstance(values, tuple) or not 1 <= len(values) <= MAX_LIST:
                    raise ValueError(f"{self.op} takes a list of 1 to {MAX_LIST:,} values")
            case "between":
                if not isinstance(values, tuple) or len(values) != 2:
                    raise ValueError("between takes a list of two values, both included")
            case _:
                if values is None or isinstance(values, tuple):
                    raise ValueError(f"{self.op} takes one value")
        return self

    @property
    def values(self) -> tuple[Value, ...]:
        """All values, however many the operator takes."""
        if self.value is None:
            return ()
        return self.value if isinstance(self.value, tuple) else (self.value,)


class Filter(_Comparison):
    """Which events count: a field of the event beside a value."""


class Trait(_Comparison):
    """A trait of the customer beside a value; false where the trait is not known."""

    kind: Literal["trait"] = "trait"


class Aggregate(_Model):
    """A number made of the customer's events in a window, beside a value.

    Of no events count, sum and distinct are 0; avg, min and max are unknown, and the leaf false.
    """

    kind: Literal["aggregate"] = "aggregate"
    stream: Identifier
    function: AggregateFunction
    field: Identifier | None = None
    where: tuple[Filter, ...] = Field(default=(), max_length=8)
    window: AnyWindow
    op: ComparisonOp
    value: Number | Text

    @model_validator(mode="after")
    def _field_fits_function(self) -> Self:
        if self.function == "count" and self.field is not None:
            raise ValueError("count takes no field: it counts events")
        if self.function != "count" and self.field is None:
            raise ValueError(f"{self.function} needs a field")
        return self


class Step(_Model):
    """One event of a sequence."""

    stream: Identifier
    where: tuple[Filter, ...] = Field(default=(), max_length=8)


class Sequence(_Model):
    """Events one strictly after the other in a window.

    `within` bounds the time from the first to the last; `without` forbids an event strictly
    between those two.
    """

    kind: Literal["sequence"] = "sequence"
    steps: tuple[Step, ...] = Field(min_length=2, max_length=6)
    window: AnyWindow
    within: Duration | None = None
    without: Step | None = None


class Member(_Model):
    """The customer is in the active version of another segment."""

    kind: Literal["member"] = "member"
    segment: Name


class CustomerList(_Model):
    """The customer is one of those named."""

    kind: Literal["list"] = "list"
    customers: tuple[CustomerId, ...] = Field(min_length=1, max_length=MAX_LIST)


class Bucket(_Model):
    """A share of all customers, drawn by a hash: the same salt gives the same customers."""

    kind: Literal["bucket"] = "bucket"
    salt: Annotated[str, Field(strict=True, min_length=1, max_length=64), AfterValidator(_storable)]
    percent: Annotated[Number, Field(gt=0, le=100)]


Conditions = Annotated[tuple["Condition", ...], Field(min_length=1, max_length=MAX_LEAVES)]


class All(_Model):
    """All conditions hold."""

    kind: Literal["all"] = "all"
    conditions: Conditions


class AnyOf(_Model):
    """At least one condition holds."""

    kind: Literal["any"] = "any"
    conditions: Conditions


class Not(_Model):
    """The condition does not hold."""

    kind: Literal["not"] = "not"
    condition: "Condition"


class NOf(_Model):
    """At least, at most, or between so many of the conditions hold."""

    kind: Literal["n_of"] = "n_of"
    at_least: Annotated[int, Field(ge=0, le=MAX_LEAVES, strict=True)] | None = None
    at_most: Annotated[int, Field(ge=0, le=MAX_LEAVES, strict=True)] | None = None
    conditions: Conditions

    @model_validator(mode="after")
    def _has_a_bound(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise ValueError("n_of needs at_least, at_most or both")
        return self


Leaf = Trait | Aggregate | Sequence | Member | CustomerList | Bucket
Group = All | AnyOf | Not | NOf
Condition = Annotated[
    All | AnyOf | Not | NOf | Trait | Aggregate | Sequence | Member | CustomerList | Bucket,
    Field(discriminator="kind"),
]


class Rule(_Model):
    """A segment by rule.

    `population` names the domains whose customers are asked; by default those of the streams and
    traits in the rule, and everybody when it has none.
    """

    version: Literal[1]
    name: Name
    description: Annotated[Text, Field(max_length=200)] = ""
    population: Annotated[tuple[Identifier, ...], Field(min_length=1)] | None = None
    rule: Condition

    @model_validator(mode="after")
    def _is_within_limits(self) -> Self:
        if (found := depth(self.rule)) > MAX_DEPTH:
            raise ValueError(f"the rule is {found} levels deep, at most {MAX_DEPTH} are allowed")
        if (leaves := sum(1 for _ in walk_leaves(self.rule))) > MAX_LEAVES:
            raise ValueError(f"the rule has {leaves} leaves, at most {MAX_LEAVES} are allowed")
        return self


for _model in (All, AnyOf, Not, NOf, Rule):
    _model.model_rebuild()


def children(condition: Any) -> tuple[Any, ...]:
    """The conditions of a group, in its order; none of a leaf."""
    if isinstance(condition, Not):
        return (condition.condition,)
    return condition.conditions if isinstance(condition, All | AnyOf | NOf) else ()


def depth(condition: Any) -> int:
    """Levels of a tree; 1 for a leaf."""
    return 1 + max(map(depth, children(condition)), default=0)


def walk_leaves(condition: Any) -> Iterator[Leaf]:
    """All leaves, from left to right."""
    below = children(condition)
    if not below:
        yield condition
    for each in below:
        yield from walk_leaves(each)


def walk(condition: Any, pointer: str = "/rule") -> Iterator[tuple[str, Any]]:
    """Every condition with its JSON pointer, groups before what they hold."""
    yield pointer, condition
    if isinstance(condition, Not):
        yield from walk(condition.condition, f"{pointer}/condition")
    else:
        for index, each in enumerate(children(condition)):
            yield from walk(each, f"{pointer}/conditions/{index}")


def steps_of(leaf: Aggregate | Sequence) -> tuple[tuple[str, Step], ...]:
    """What a leaf reads from streams, with the part of its pointer: one step for an aggregate."""
    if isinstance(leaf, Aggregate):
        return (("", Step(stream=leaf.stream, where=leaf.where)),)
    found = tuple((f"/steps/{index}", step) for index, step in enumerate(leaf.steps))
    return (*found, ("/without", leaf.without)) if leaf.without else found


def streams_of(condition: Any) -> tuple[str, ...]:
    """The names of all streams that a condition reads, sorted."""
    return tuple(
        sorted(
            {
                step.stream
                for leaf in walk_leaves(condition)
                if isinstance(leaf, Aggregate | Sequence)
                for _, step in steps_of(leaf)
            }
        )
    )


def segments_of(condition: Any) -> tuple[str, ...]:
    """The names of all segments that a condition refers to, sorted."""
    return tuple(sorted({e.segment for e in walk_leaves(condition) if isinstance(e, Member)}))
