"""What rules can speak of: streams with a customer, their fields, and traits of customers.

It is built from the contracts of the streams. Every identifier in the SQL of a rule comes from
here; a rule only names what it means.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from segmentation.rules.spec import Rule
from streaming.model import Column, Contract
from streaming.tables import SCHEMA

FieldType = Literal["text", "number", "boolean", "timestamp"]

# A stream whose events are those of customers has this column.
CUSTOMER_COLUMN = "customer_id"
CUSTOMER_DIMENSION = ("marts", "dim_customer")
# Stands for customers that are not known; nobody is it.
UNKNOWN_CUSTOMER = "-1"
TRAITS_DOMAIN = "ecommerce"

_TYPES: Mapping[str, FieldType] = {
    "string": "text",
    "integer": "number",
    "number": "number",
    "boolean": "boolean",
    "timestamp": "timestamp",
}
# The staging models round these on the way to the marts, and a rule must find the same sums.
_DECIMALS = {
    "transactions": {"amount": 2},
    "refunds": {"refund_amount": 2},
    "account-transactions": {"transaction_amt": 2},
}


@dataclass(frozen=True)
class Field:
    """A field of an event or a trait of a customer.

    `values` are all that it can be, if the contract says so; `minimum` is the least, `decimals`
    how many the marts keep.
    """

    name: str
    type: FieldType
    description: str = ""
    values: tuple[str, ...] = ()
    minimum: Decimal | None = None
    decimals: int | None = None


@dataclass(frozen=True)
class Stream:
    """A stream of customers' events: `schema.table`, one row a message as it arrived."""

    name: str
    domain: str
    table: str
    key: str
    event_time: str
    fields: Mapping[str, Field]
    schema: str = SCHEMA
    customer: str = CUSTOMER_COLUMN


@dataclass(frozen=True)
class Catalogue:
    """Streams and traits by name, and the active rule of each segment that others may refer to."""

    streams: Mapping[str, Stream]
    traits: Mapping[str, Field]
    segments: Mapping[str, Rule] = field(default_factory=dict)

    @property
    def domains(self) -> tuple[str, ...]:
        """All domains that have customers, sorted."""
        return tuple(sorted({TRAITS_DOMAIN, *(each.domain for each in self.streams.values())}))

    def streams_of(self, domain: str) -> tuple[Stream, ...]:
        """The streams of a domain, by name."""
        found = [each for each in self.streams.values() if each.domain == domain]
        return tuple(sorted(found, key=lambda each: each.name))


TRAITS = (
    Field("gender", "text", "Gender, as the customer file says."),
    Field("location", "text", "Where the customer lives."),
    Field("customer_tenure_months", "number", "Months since the first order.", minimum=Decimal(0)),
    Field(
        "customer_segment",
        "text",
        "Class of tenure.",
        ("New", "Developing", "Established", "Loyal", "Unknown"),
    ),
    Field("customer_tenure_years", "number", "Tenure in years.", minimum=Decimal(0)),
)


def build_catalogue(
    contracts: Iterable[Contract], segments: Mapping[str, Rule] | None = None
) -> Catalogue:
    """The catalogue of those streams whose events name a customer."""
    streams = {each.stream: _stream(each) for each in contracts if _has_customers(each)}
    return Catalogue(streams, {each.name: each for each in TRAITS}, segments or {})


def _has_customers(contract: Contract) -> bool:
    return any(
        each.name == CUSTOMER_COLUMN and each.logical_type == "string" for each in contract.columns
    )


def _stream(contract: Contract) -> Stream:
    decimals = _DECIMALS.get(contract.stream, {})
    return Stream(
        name=contract.stream,
        domain=contract.domain,
        table=contract.table,
        key=contract.key,
        event_time=contract.event_time,
        fields={
            each.name: _field(each, decimals.get(each.name))
            for each in contract.columns
            if each.name != CUSTOMER_COLUMN
        },
    )


def _field(column: Column, decimals: int | None) -> Field:
    options = column.options
    least = options.get("minimum", options.get("exclusiveMinimum"))
    return Field(
        name=column.name,
        type=_TYPES[column.logical_type],
        description=column.description,
        values=column.enum,
        minimum=Decimal(str(least)) if isinstance(least, int | float) else None,
        decimals=decimals,
    )
