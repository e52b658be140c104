"""Columns that several answers share."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.config import JsonDict


def _whole(value: object) -> object:
    """JSON has one kind of number: 9.0 is 9."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


# Before a strict integer, which takes neither "9" nor true.
WHOLE = BeforeValidator(_whole)

Money = Annotated[Decimal, Field(description="Amount of money, as a decimal number in a string.")]
Number = Annotated[Decimal, Field(description="A decimal number in a string.")]
Share = Annotated[Decimal, Field(description="A share from 0 to 1, in a string.")]
Count = Annotated[int, Field(description="How many, in the row's period or group.")]
Day = Annotated[date, Field(description="A day (of a month: its first one).")]
Moment = Annotated[datetime, Field(description="A point in time, UTC.")]
Score = Annotated[int, Field(ge=1, le=5, description="1 is the worst fifth, 5 the best (see RFM).")]
CustomerId = Annotated[
    str,
    Field(description="The customer; `masked-...` for who may not see ids: stable, not usable."),
]
ProductId = Annotated[str, Field(description="A product, -1 when the catalogue lacks it.")]
StoreId = Annotated[str, Field(description="A store, -1 when the list of stores lacks it.")]
SourceId = Annotated[str, Field(description="The id as the source wrote it.")]
SegmentId = Annotated[int, Field(description="The segment that machine learning gave; -1: none.")]
SegmentName = Annotated[str, Field(description="The segment's name.")]
Text = Annotated[str, Field(description="Text from the source.")]


class Answer(BaseModel):
    """Base of what is answered. Built from rows that the warehouse's own contract guarantees."""

    model_config = ConfigDict(extra="ignore")


def example(**values: object) -> ConfigDict:
    """The model's config with one example, shown in the OpenAPI document."""
    return ConfigDict(json_schema_extra=cast(JsonDict, {"examples": [values]}))


def example_of(model: type[BaseModel]) -> dict[str, object]:
    """The values that were given to `example`."""
    extra = cast(dict[str, list[dict[str, object]]], model.model_config["json_schema_extra"])
    return extra["examples"][0]
